"""Marks the pods of the current graph: a hash of each role's pod template, in an annotation of that role's pods.

After a change the operator still reports the graph as `successful` for up to 3 seconds before it touches a pod (seen on
0.7.0; shorter on 1.5), so neither the status nor a count of ready pods shows whether the change has been rolled out.
The hash of a pod does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from manifests.graph import SERVICES
from reference.naming import TEMPLATE_ANNOTATION, content_hash

_LENGTH = 16


@dataclass(frozen=True)
class Stamped:
    """A graph's spec with the hashes on its pods."""

    spec: Mapping[str, Any]
    hashes: Mapping[str, pulumi.Output[str]]
    """Hash of each role's pod template."""


def stamp(spec: Mapping[str, Any], shared: Mapping[str, Any]) -> Stamped:
    """Add each role's hash to the annotations of its pods.

    `shared` is what affects the pods of all roles but is not in `spec`. The number of replicas is not part of a hash:
    scaling keeps the running pods. In a preview only the annotation is unknown; the rest of the graph stays readable.
    """
    common = {**shared, **{key: value for key, value in spec.items() if key != "services"}}
    hashes: dict[str, pulumi.Output[str]] = {}
    services: dict[str, Any] = {}
    for role, name in SERVICES.items():
        service: Mapping[str, Any] = spec["services"][name]
        template = {key: value for key, value in service.items() if key != "replicas"}
        hashes[role] = pulumi.Output.from_input({"common": common, "template": template}).apply(_hash)
        metadata: Mapping[str, Any] = service["extraPodMetadata"]
        annotations = {**metadata["annotations"], TEMPLATE_ANNOTATION: hashes[role]}
        services[name] = {**service, "extraPodMetadata": {**metadata, "annotations": annotations}}
    return Stamped({**spec, "services": services}, hashes)


def _hash(content: Mapping[str, Any]) -> str:
    return content_hash(content, _LENGTH)

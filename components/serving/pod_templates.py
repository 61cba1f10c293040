"""Which pods are those of the graph as it is written now: a hash of each role's pod template, on that role's pods.

After a change the operator goes on calling the graph `successful` for up to 3 seconds before it touches a pod (seen on
0.7.0; shorter on 1.5), so neither the status nor a count of ready pods says whether the change has arrived. A pod that
carries the wanted hash does.
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
    """A graph's spec whose pods carry their hashes."""

    spec: Mapping[str, Any]
    hashes: Mapping[str, pulumi.Output[str]]
    """Role to the hash of its pod template."""


def stamp(spec: Mapping[str, Any], shared: Mapping[str, Any]) -> Stamped:
    """Put each role's hash into the annotations of its pods.

    `shared` is what decides over the pods of all roles and stands outside of `spec`. The number of replicas is no part
    of a hash: scaling leaves the pods that run as they are. Only the annotation waits for values that a preview does
    not know; the rest of the graph stays readable in it.
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

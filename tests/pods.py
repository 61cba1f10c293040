"""The pods that a recorded program describes: those of Jobs, Deployments and DaemonSets, and of a graph's services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from manifests import graph_api
from tests.recorder import Recording


@dataclass(frozen=True)
class DescribedPod:
    """One pod template."""

    name: str
    """Name of the object that describes it, with the service of a graph."""
    namespace: str
    metadata: dict[str, Any]
    spec: dict[str, Any]


def described(recording: Recording) -> Iterator[DescribedPod]:
    """Every pod of a recording."""
    for resource in recording.resources:
        spec, metadata = resource.inputs.get("spec"), resource.inputs.get("metadata", {})
        if not isinstance(spec, dict):
            continue
        where = metadata.get("name", resource.name), metadata.get("namespace", "")
        if "template" in spec:
            template: dict[str, Any] = spec["template"]
            yield DescribedPod(*where, template.get("metadata", {}), template["spec"])
        for component in graph_api.components(spec).values():
            name = f"{where[0]}/{component.name}"
            yield DescribedPod(name, where[1], component.pod["metadata"], dict(component.pod["spec"]))


def standard_of(recording: Recording, namespace: str) -> str:
    """The Pod Security Standard that a namespace enforces."""
    labels = {
        r.inputs["metadata"]["name"]: r.inputs["metadata"].get("labels", {}) for r in recording.of_type("Namespace")
    }
    return labels.get(namespace, {}).get("pod-security.kubernetes.io/enforce", "privileged")

"""The pods that a recorded program describes: those of Jobs, Deployments and DaemonSets, and of a graph's services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rehearsal.simulator.workloads import graphs
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
        for role in graphs.roles(resource.inputs):
            yield DescribedPod(f"{where[0]}/{role.name}", where[1], role.metadata, role.pod)


def standard_of(recording: Recording, namespace: str) -> str:
    """The Pod Security Standard that a namespace enforces."""
    labels = {
        r.inputs["metadata"]["name"]: r.inputs["metadata"].get("labels", {}) for r in recording.of_type("Namespace")
    }
    return labels.get(namespace, {}).get("pod-security.kubernetes.io/enforce", "privileged")

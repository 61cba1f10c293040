"""What common admission policies object to in a pod.

The names are those of the Kyverno policy library, which others follow; the rules of the first six belong to the Pod
Security Standards (`restricted`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

POLICIES: Final[Mapping[str, str]] = {
    "disallow-privileged-containers": "a container is privileged",
    "disallow-host-namespaces": "the pod is in the host's network or process namespace",
    "disallow-host-path": "the pod mounts a path of the host",
    "require-run-as-nonroot": "a container may run as root",
    "disallow-privilege-escalation": "a container may gain privileges",
    "disallow-capabilities-strict": "a container keeps capabilities",
    "require-requests-limits": "a container lacks a request of CPU or memory, or a limit of memory",
    "restrict-automount-sa-token": "the pod gets a token of its service account",
}
"""Policy and the reason for which a pod breaks it."""


def broken(pod: Mapping[str, Any]) -> list[str]:
    """Policies that a pod breaks, by its spec with the API's field names."""
    containers = [*pod.get("initContainers", ()), *pod.get("containers", ())]
    contexts = [{**pod.get("securityContext", {}), **c.get("securityContext", {})} for c in containers]
    found = {
        "disallow-privileged-containers": any(context.get("privileged") for context in contexts),
        "disallow-host-namespaces": any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")),
        "disallow-host-path": any("hostPath" in volume for volume in pod.get("volumes", ())),
        "require-run-as-nonroot": any(context.get("runAsNonRoot") is not True for context in contexts),
        "disallow-privilege-escalation": any(
            context.get("allowPrivilegeEscalation") is not False for context in contexts
        ),
        "disallow-capabilities-strict": any(
            "ALL" not in context.get("capabilities", {}).get("drop", ()) for context in contexts
        ),
        "require-requests-limits": any(list(_without_resources(containers))),
        "restrict-automount-sa-token": pod.get("automountServiceAccountToken") is not False,
    }
    return [policy for policy in POLICIES if found[policy]]


def _without_resources(containers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for container in containers:
        resources = container.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        # A limit stands in for a request that is not set.
        if not {"cpu", "memory"} <= {*requests, *limits} or "memory" not in limits:
            yield str(container.get("name"))

"""Kubernetes namespaces that already have an owner, so that no stack or platform may use them.

The namespace of a stack or of a created platform is created and deleted with it. With two owners of one namespace, one
would delete what the other runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from reference import naming, pod_security
from reference.flows import Part
from reference.prerequisites import Prerequisite

DEFAULT: Final = "default"
"""Exists in every cluster and cannot be deleted; holds Helm's record of the chart `dynamo-crds`."""

DRA_DRIVER: Final = "nvidia-dra-driver-gpu"
KAI: Final = "kai-scheduler"
KAI_RESERVATION: Final = "kai-resource-reservation"
"""KAI's chart makes this one unless it is there (its templates/services/resourcereservation-namespace.yaml)."""

_KAI: Final = "KAI, the scheduler"
_GKE: Final = "GKE or one of its features"

_OWNERS: Final[Mapping[str, str]] = {
    DEFAULT: "every cluster, and holds Helm's record of Dynamo's custom resource definitions",
    DRA_DRIVER: "NVIDIA's DRA driver",
    naming.DOWNLOAD_NAMESPACE: "the downloads of models",
    KAI: _KAI,
    KAI_RESERVATION: _KAI,
    "kai-scale-adjust": _KAI,
    "asm-system": _GKE,
    "cnrm-system": _GKE,
    "config-management-monitoring": _GKE,
    "config-management-system": _GKE,
    "configconnector-operator-system": _GKE,
    "gatekeeper-system": _GKE,
    "istio-system": _GKE,
    "resource-group-system": _GKE,
}

_BEGINNINGS: Final[Mapping[str, str]] = {
    "kube-": "Kubernetes, which keeps all names with kube- in front for itself",
    "gke-": _GKE,
    "gmp-": "GKE's managed Prometheus",
    f"{naming.DOWNLOAD_NAMESPACE}-": "the downloads of models",
    f"{naming.FABRIC_NAMESPACE}-": "the tests of NVLink domains",
}


SYSTEM: Final = tuple(name for name, who in _OWNERS.items() if who == _GKE)
SYSTEM_BEGINNINGS: Final = ("kube-", "gke-", "gmp-")
"""Namespaces of Kubernetes and GKE by name, and how the names of the others begin."""

CHECK: Final = "namespaces"
"""Name of the preflight check of namespaces that others made."""


@dataclass(frozen=True)
class Foreign:
    """A namespace that somebody else makes."""

    key: str
    """Key of the config that names it."""
    name: str
    part: Part
    stack: str = ""
    """The stack whose namespace it is: platforms let in the pods of namespaces with its label."""

    @property
    def privileged(self) -> bool:
        """Whether pods there violate the Pod Security Standards: they are privileged, or mount the host."""
        return pod_security.ENFORCED.get(self.part) == "privileged"


def prerequisites(wanted: Iterable[Foreign]) -> Iterator[Prerequisite]:
    """What a platform team provides where the program creates no namespace."""
    for one in wanted:
        labels = {
            **({pod_security.ENFORCE: "privileged"} if one.privileged else {}),
            **({naming.STACK_LABEL: one.stack} if one.stack else {}),
        }
        command = f"kubectl create namespace {one.name}"
        if labels:
            pairs = " ".join(f"{label}={value}" for label, value in labels.items())
            command += f"; kubectl label namespace {one.name} {pairs}"
        listed = " and ".join(f"{label}: {value}" for label, value in labels.items())
        said = f" with the label {listed}" if listed else ""
        yield Prerequisite(
            one.key,
            f"namespace {one.name}{said}, in which whoever runs pulumi may create, read and delete objects",
            command,
            CHECK,
            "https://kubernetes.io/docs/concepts/security/pod-security-standards/",
        )


def owner(name: str) -> str | None:
    """The owner of namespace `name`, as text to follow "belongs to"; None if it is free to use."""
    return _OWNERS.get(name) or next((who for start, who in _BEGINNINGS.items() if name.startswith(start)), None)

"""Kubernetes namespaces that already have an owner, so that no stack or platform may use them.

The namespace of a stack or of a created platform is created and deleted with it. With two owners of one namespace, one
would delete what the other runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reference import naming

DEFAULT: Final = "default"
"""Exists in every cluster and cannot be deleted; holds Helm's record of the chart `dynamo-crds`."""

DRA_DRIVER: Final = "nvidia-dra-driver-gpu"
KAI: Final = "kai-scheduler"

_KAI: Final = "KAI, the scheduler"
_GKE: Final = "GKE or one of its features"

_OWNERS: Final[Mapping[str, str]] = {
    DEFAULT: "every cluster, and holds Helm's record of Dynamo's custom resource definitions",
    DRA_DRIVER: "NVIDIA's DRA driver",
    naming.DOWNLOAD_NAMESPACE: "the downloads of models",
    KAI: _KAI,
    "kai-resource-reservation": _KAI,
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


def owner(name: str) -> str | None:
    """The owner of namespace `name`, as text to follow "belongs to"; None if it is free to use."""
    return _OWNERS.get(name) or next((who for start, who in _BEGINNINGS.items() if name.startswith(start)), None)

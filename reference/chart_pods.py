"""What common admission policies object to in the pods of the charts, which the program does not describe itself.

Rendered by Helm with the program's values: KAI-Scheduler v0.16.8 and v0.17.0 (alike), k8s-dra-driver-gpu v25.12.0,
Grove v0.1.0-alpha.3 and alpha.6 (alike), nats-io/k8s nats-1.3.2 with the values of Dynamo's chart. Not known: the pods
of Dynamo's operator and of etcd, whose charts were not to be had, and those that KAI's operator starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_AS_ROOT: Final = ("require-run-as-nonroot", "disallow-privilege-escalation", "disallow-capabilities-strict")
_PLAIN: Final = (*_AS_ROOT, "require-requests-limits", "restrict-automount-sa-token")


@dataclass(frozen=True)
class ChartPod:
    """One pod template of a chart."""

    kind: str
    name: str
    """Name of the object, including the release's name where the chart prefixes it."""
    policies: Sequence[str]
    """Policies that it breaks, of `reference.pod_policies`."""


KAI: Final = (
    ChartPod("Deployment", "kai-operator", _PLAIN),
    *(
        ChartPod("Job", hook, _PLAIN)
        for hook in ("kai-config-deployer", "post-delete-cleanup", "crd-upgrader", "topology-migration")
    ),
)
DRA_DRIVER: Final = (
    ChartPod(
        "DaemonSet",
        "nvidia-dra-driver-gpu-kubelet-plugin",
        ("disallow-privileged-containers", "disallow-host-path", *_PLAIN),
    ),
    ChartPod("Deployment", "nvidia-dra-driver-gpu-controller", _PLAIN),
)
PLATFORM: Final[Mapping[str, ChartPod]] = {
    "grove": ChartPod("Deployment", "grove-operator", _AS_ROOT),
    "nats": ChartPod("StatefulSet", "dynamo-platform-nats", _PLAIN),
}
"""By the part of the platform."""

"""What common admission policies object to in the pods of the charts, which the program does not describe itself.

Rendered by Helm with the program's values: KAI-Scheduler v0.16.8 and v0.17.0 (alike), k8s-dra-driver-gpu v25.12.0,
Grove v0.1.0-alpha.3, alpha.6, alpha.8 and fcc3b3bb (about alpha.13), alike, nats-io/k8s nats-1.3.2 with the values of
Dynamo's chart, and Dynamo's operator near 1.0.2, 1.2.1 and 1.5.1 (alike; that of 0.7.0 is taken for the same [i]). Not
known: the pods of etcd, whose chart was not to be had, and those that KAI's operator starts.
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
    "operator": ChartPod(
        "Deployment",
        "dynamo-platform-dynamo-operator-controller-manager",
        ("require-requests-limits", "restrict-automount-sa-token"),
    ),
    "grove": ChartPod("Deployment", "grove-operator", _AS_ROOT),
    "nats": ChartPod("StatefulSet", "dynamo-platform-nats", _PLAIN),
}
"""By the part of the platform."""

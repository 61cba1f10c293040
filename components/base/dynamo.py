"""Dynamo releases: what differs between them, one object each.

Charts, value names, the SGLang release in the image, and what the operator insists on change from release to
release. All of it is said here once; no other module asks for a version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from components.base.a4x import Toleration

CHART_SOURCE: Final = "https://helm.ngc.nvidia.com/nvidia/ai-dynamo/charts"
"""Where NVIDIA publishes the Dynamo charts as `<chart>-<version>.tgz`, readable without an account."""

QUEUE_ANNOTATION: Final = "nvidia.com/kai-scheduler-queue"
PRIORITY_CLASS: Final = "inference"
"""KAI's priority class for pods that must not be preempted; without it KAI 0.9.4 ranks them as `train`."""


@dataclass(frozen=True)
class DynamoProfile:
    """One Dynamo release as this program deploys it."""

    version: str
    sglang: str
    """SGLang release in the runtime image."""

    crds_chart: str
    platform_chart: str
    runtime_image: str
    """Image of workers and frontends, without tag."""

    graph_api: str = "nvidia.com/v1alpha1"
    kubernetes: tuple[int, int] = (34, 35)
    """First and last minor version of Kubernetes 1.x that this release's schedulers work with: below 1.34 DRA
    needs beta APIs that can never be switched off again, from 1.36 on KAI 0.9.4 may not bind resource claims."""

    notes: tuple[str, ...] = field(default=())

    @property
    def image(self) -> str:
        """The runtime image with the tag of this release."""
        return f"{self.runtime_image}:{self.version}"

    def chart(self, name: str, source: str) -> str:
        """Address (or path) of a chart archive of this release below `source`."""
        return f"{source.rstrip('/')}/{name}-{self.version}.tgz"

    def platform_values(self, pull_secret: str, tolerations: list[Toleration]) -> Mapping[str, Any]:
        """Helm values of `dynamo-platform`: Grove and KAI on, `tolerations` on every system pod.

        The chart's `mpiRun.sshKeygen` hook stays on: this operator reconciles no deployment while the ssh
        secret is missing, SGLang or not.
        """
        return {
            "dynamo-operator": {
                "imagePullSecrets": [{"name": pull_secret}],
                "controllerManager": {"tolerations": tolerations},
            },
            "etcd": {"tolerations": tolerations},
            "nats": {"podTemplate": {"merge": {"spec": {"tolerations": tolerations}}}},
            "grove": {"enabled": True, "tolerations": tolerations},
            "kai-scheduler": {"enabled": True, "global": {"tolerations": tolerations}},
        }


def _legacy(version: str) -> DynamoProfile:
    return DynamoProfile(
        version=version,
        sglang="0.5.4.post3",
        crds_chart="dynamo-crds",
        platform_chart="dynamo-platform",
        runtime_image="nvcr.io/nvidia/ai-dynamo/sglang-runtime",
        notes=("KAI 0.9.4 does not know Grove's PodCliqueSet: pods are scheduled one by one, not as a gang.",),
    )


PROFILES: Final[Mapping[str, DynamoProfile]] = {p.version: p for p in (_legacy("0.7.0"), _legacy("0.7.1"))}

REFUSED: Final[Mapping[str, str]] = {
    "0.9.0": "the chart dynamo-platform-0.9.0 ships the operator image 0.7.1 (mended in 0.9.0-post1)",
}
"""Releases that must not be deployed, with the reason."""

"""KAI, the scheduler of the GPU pods: one Helm release of its own, whatever the Dynamo release.

The KAI that the platform's charts bundle does not serve a GKE cluster: 0.9.4 (Dynamo 0.7) waits for a kind of NVIDIA's
GPU operator and never schedules a pod; 0.13.0-rc1 (Dynamo 1.0) asks for a RuntimeClass that GKE does not have, and
leaves webhooks behind that refuse every pod of the cluster. One later release serves all of these Dynamo releases.

Seen on a real API server with simulated nodes: KAI 0.13.4, 0.16.8 and 0.17.0 under Dynamo 0.7.0, and 0.17.0 under
1.0.1, 1.2 and 1.5. What is said of other releases was read in the charts at their tags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from reference import charts, namespaces
from reference.machines import Toleration
from validation.problems import RuleError

Mode = Literal["create", "adopt", "none"]
"""Install KAI, use one that runs, or do without: pods then go to the cluster's own scheduler."""

DEFAULT_VERSION: Final = "0.17.0"
RUN: Final = ("0.16.8", "0.17.0")
"""Releases that `check` accepts and that were run."""
RUN_ADOPTED: Final = ("0.13.4",)
"""Releases that were run and that this program does not install."""

CHART: Final = "kai-scheduler"
REGISTRY: Final = "oci://ghcr.io/kai-scheduler/kai-scheduler"
"""Where KAI publishes its chart since 0.13; before, and no longer, below ghcr.io/nvidia."""
NAMESPACE: Final = namespaces.KAI

QUEUE_ANNOTATION: Final = "nvidia.com/kai-scheduler-queue"
"""On a DynamoGraphDeployment: the queue that the operator hands its pods to."""
PRIORITY_CLASS: Final = "inference"
"""Class of KAI's chart for pods that must not be preempted; without it KAI ranks pods as `train`, and preempts them."""

API: Final = "kai.scheduler/v1"
CONFIG: Final = "kai-config"
"""The one object of kind Config; KAI's operator starts scheduler, webhooks and controllers for it."""
SHARD: Final = "default"
"""Name of the SchedulingShard; a scheduler runs for each of them."""
GRACE_ARGUMENT: Final = "default-staleness-grace-period"
GRACE_PERIOD: Final = "-1s"
"""How long a gang may lack a pod before KAI evicts all others of it; below 0: for ever. With KAI's own 60 s, one
decode leader that was gone took 18 running pods with it, frontends too (seen on 0.17.0)."""

_VERSION: Final = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """Releases of KAI from `first` on, up to the next line, and what is wrong with them."""

    first: Version
    refused: str = ""
    """Why this program does not install them; empty where it does."""
    shard: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What their SchedulingShard has beside the fields that all of them know."""


LINES: Final = (
    Line(
        (0, 0, 0),
        "its operator needs the kind ClusterPolicy of NVIDIA's GPU operator, which GKE does not have: no pod is ever "
        "scheduled",
    ),
    Line(
        (0, 12, 0),
        "it gives every GPU pod the RuntimeClass nvidia, which GKE does not have, and when it is uninstalled its "
        "webhooks stay and refuse every pod of the cluster",
    ),
    Line(
        (0, 13, 0),
        "its chart always makes the SchedulingShard itself, which Helm never changes again, so that a gang which lacks "
        "one pod would be evicted after 60 s",
    ),
    Line((0, 16, 0)),
    Line((0, 17, 0), shard={"goMemLimitRatio": 0.9}),
)
"""By `first`, ascending."""

RETRACTED: Final = ("0.20.0", "0.20.1")
"""Releases that KAI has taken back: of November 2025, and older than 0.12.0."""


def parse(version: str, key: str = "kai.version") -> Version:
    """The numbers of a release, written with or without `v`."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise RuleError(key, version, "a release of KAI has three numbers", f"write it like {DEFAULT_VERSION}")
    return int(match[1]), int(match[2]), int(match[3])


def line(version: Version) -> Line:
    """The line that a release belongs to."""
    return next(found for found in reversed(LINES) if found.first <= version)


def check(version: str, key: str = "kai.version") -> None:
    """Raise `RuleError` for a release that this program does not install, with the reason."""
    refused = line(parse(version, key)).refused
    if plain(version) in RETRACTED:
        refused = "KAI has retracted this release; it is older than 0.12"
    if refused:
        raise RuleError(key, version, refused, f"set {DEFAULT_VERSION}, or run it yourself and set kai.mode: adopt")


def warning(version: str, key: str = "kai.version") -> str | None:
    """What to know of a release that `check` accepts."""
    if plain(version) in RUN:
        return None
    return f"{key} = {version}: this release was not run; {' and '.join(RUN)} were."


def plain(version: str) -> str:
    """A release without the `v`."""
    return ".".join(map(str, parse(version)))


def tag(version: str) -> str:
    """The chart's version: KAI's charts are tagged with a `v`."""
    return f"v{plain(version)}"


def address(mirror: str | None, version: str) -> str:
    """Where the chart comes from: KAI's own registry, or the mirror of all charts."""
    return charts.address(mirror or REGISTRY, CHART, tag(version))


def values(tolerations: Sequence[Toleration]) -> Mapping[str, Any]:
    """Helm values: no SchedulingShard and no queues of the chart's own, `tolerations` on every pod.

    Both would be kept when the release goes, and Helm does not change a shard that is there: values for the scheduler
    were silently ignored (seen). Every other value stays the chart's: since 0.16 only pods with a fraction of a GPU
    are given a RuntimeClass.
    """
    return {
        "global": {"tolerations": list(tolerations)},
        "defaultShard": {"enabled": False},
        "defaultQueue": {"createDefaultQueue": False},
    }


def shard_spec(version: str) -> Mapping[str, Any]:
    """Spec of the SchedulingShard: the chart's own, and no gang that is evicted for one lost pod."""
    return {
        "partitionLabelValue": "",
        "placementStrategy": {"gpu": "binpack", "cpu": "binpack"},
        "args": {GRACE_ARGUMENT: GRACE_PERIOD},
        **line(parse(version)).shard,
    }

"""KAI, the scheduler of the GPU pods: a Helm release of its own, independent of the Dynamo release.

The KAI bundled with the platform's charts does not work on GKE: 0.9.4 (Dynamo 0.7) waits for a kind of NVIDIA's GPU
operator and never schedules a pod; 0.13.0-rc1 (Dynamo 1.0) requires a RuntimeClass that GKE does not have, and leaves
webhooks behind that reject every pod of the cluster. One later release works with all of these Dynamo releases.

Seen on a real API server with simulated nodes: KAI 0.13.4, 0.16.8 and 0.17.0 with Dynamo 0.7.0, and 0.17.0 with
1.0.1, 1.2 and 1.5. Statements about other releases were read in the charts at their tags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reference import charts
from reference.machines import Toleration
from validation.problems import RuleError

DEFAULT_VERSION: Final = "0.17.0"
RUN: Final = ("0.16.8", "0.17.0")
"""Releases that `check` accepts and that were run with one Dynamo release at least (`DynamoProfile.kai_run`)."""

CHART: Final = "kai-scheduler"
REGISTRY: Final = "oci://ghcr.io/kai-scheduler/kai-scheduler"
"""KAI's chart registry since 0.13; earlier it was below ghcr.io/nvidia."""
IMAGES: Final = "ghcr.io/kai-scheduler/kai-scheduler"
"""Folder of all images of the chart, its hooks and what its operator starts."""
QUEUE_ANNOTATION: Final = "nvidia.com/kai-scheduler-queue"
"""On a DynamoGraphDeployment: the queue that the operator puts its pods into."""
PRIORITY_CLASS: Final = "inference"
"""KAI's priority class for pods that must not be preempted; without it pods get `train`, which KAI preempts."""

API: Final = "kai.scheduler/v1"
CONFIG: Final = "kai-config"
"""The one object of kind Config; KAI's operator starts scheduler, webhooks and controllers for it."""
SHARD: Final = "default"
"""Name of the SchedulingShard; a scheduler runs for each of them."""
GRACE_ARGUMENT: Final = "default-staleness-grace-period"
GRACE_PERIOD: Final = "-1s"
"""How long a gang may lack a pod before KAI evicts its other pods; negative: forever. With KAI's default of 60 s, the
loss of one decode leader evicted 18 running pods, frontends too (seen on 0.17.0)."""

_VERSION: Final = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """Releases of KAI from `first` up to the next line, and what is wrong with them."""

    first: Version
    refused: str = ""
    """Why this program does not install them; empty if it does."""
    shard: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of their SchedulingShard beside those that all releases have."""
    needs_cluster_policy: bool = False
    """Whether their operator waits for the kind ClusterPolicy of NVIDIA's GPU operator."""
    runtime_class: str = ""
    """RuntimeClass that they give every GPU pod unless `kai-config` names another; since 0.16 only pods with a fraction
    of a GPU get one."""


LINES: Final = (
    Line(
        (0, 0, 0),
        "its operator needs the kind ClusterPolicy of NVIDIA's GPU operator, which GKE does not have: no pod is ever "
        "scheduled",
        needs_cluster_policy=True,
    ),
    Line(
        (0, 12, 0),
        "it gives every GPU pod the RuntimeClass nvidia, which GKE does not have, and when it is uninstalled its "
        "webhooks stay and refuse every pod of the cluster",
        runtime_class="nvidia",
    ),
    Line(
        (0, 13, 0),
        "its chart always makes the SchedulingShard itself, which Helm never changes again, so that a gang which lacks "
        "one pod would be evicted after 60 s",
        runtime_class="nvidia",
    ),
    Line((0, 16, 0)),
    Line((0, 17, 0), shard={"goMemLimitRatio": 0.9}),
)
"""By `first`, ascending."""

RETRACTED: Final = ("0.20.0", "0.20.1")
"""Releases that KAI has retracted: of November 2025, and older than 0.12.0."""


def parse(version: str, key: str = "kai.version") -> Version:
    """Major, minor and patch of a release, written with or without `v`."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise RuleError(key, version, "a release of KAI has three numbers", f"write it like {DEFAULT_VERSION}")
    return int(match[1]), int(match[2]), int(match[3])


def line(version: Version) -> Line:
    """The line that a release belongs to."""
    return next(found for found in reversed(LINES) if found.first <= version)


def check(version: str, key: str = "kai.version") -> None:
    """Raise `RuleError`, with the reason, for a release that this program does not install."""
    refused = line(parse(version, key)).refused
    if plain(version) in RETRACTED:
        refused = "KAI has retracted this release; it is older than 0.12"
    if refused:
        raise RuleError(key, version, refused, f"set {DEFAULT_VERSION}, or run it yourself and set kai.mode: adopt")


def warning(version: str, dynamo: str, run: Sequence[str], key: str = "kai.version") -> str | None:
    """A warning about a release that `check` accepts; with the release `dynamo`, `run` were run."""
    if plain(version) in run:
        return None
    known = ", ".join(one for one in run if one in RUN)
    return f"{key} = {version}: this release was not run with Dynamo {dynamo} (run: {known})."


def too_old(version: str, dynamo: str, first: Version) -> str | None:
    """Why the release `dynamo`, which takes KAI from `first` on, does not work with a KAI; None, if it does."""
    if parse(version) >= first:
        return None
    return f"Dynamo {dynamo} and its Grove take KAI {'.'.join(map(str, first))} and newer"


def plain(version: str) -> str:
    """A release without the `v`."""
    return ".".join(map(str, parse(version)))


def tag(version: str) -> str:
    """The chart's version: KAI's charts are tagged with a `v`."""
    return f"v{plain(version)}"


def address(mirror: str | None, version: str) -> str:
    """Address of the chart, in KAI's own registry or in the mirror."""
    return charts.address(mirror or REGISTRY, CHART, tag(version))


def values(tolerations: Sequence[Toleration]) -> Mapping[str, Any]:
    """Helm values: the chart creates no SchedulingShard and no queues; `tolerations` on every pod.

    Uninstalling the release would leave both behind, and Helm does not update an existing shard: values for the
    scheduler were silently ignored (seen). All other values are the chart's defaults: since 0.16 only pods with a
    fraction of a GPU get a RuntimeClass.
    """
    return {
        "global": {"tolerations": list(tolerations)},
        "defaultShard": {"enabled": False},
        "defaultQueue": {"createDefaultQueue": False},
    }


def shard_spec(version: str) -> Mapping[str, Any]:
    """Spec of the SchedulingShard: the chart's own, but no gang is evicted for one lost pod."""
    return {
        "partitionLabelValue": "",
        "placementStrategy": {"gpu": "binpack", "cpu": "binpack"},
        "args": {GRACE_ARGUMENT: GRACE_PERIOD},
        **line(parse(version)).shard,
    }

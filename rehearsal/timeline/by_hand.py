"""The same steps as a person runs them: the recipe's README from top to bottom, one command after the other.

The cluster is what Google's Cluster Toolkit makes for the recipe, in one command; Terraform works in parallel inside
of it, and that is granted here. All else a person does in turn. Reading, typing and looking whether pods run
are not counted, and each step takes what it takes in the program.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rehearsal.timeline import graph
from rehearsal.timeline.graph import Minutes, Op, Plan, Span

PROBE_DELAY = 50.0
"""Minutes until the recipe's startup probe asks for the first time (`initialDelaySeconds: 3000`): no server of it is
ready before, however fast it loads."""


@dataclass(frozen=True)
class Stage:
    """One thing that a person runs and waits for."""

    title: str
    where: str
    """Section of the recipe's README, or the toolkit."""
    roles: Sequence[str]
    parallel: bool = False
    """Whether a tool works in parallel inside."""


_GROUND = (
    "ProjectApis/*",
    "ClusterNetwork/*",
    "DeviceVpcs/*",
    "NodeAccount/*",
    "GkeCluster/*",
    "DeviceNetworks/*",
    "NvlinkDomain/*",
    "GibInstaller/*",
    "DraDriver/*",
)
_TOOLKIT = "Cluster Toolkit"
_IDENTITY = ("WorkloadIdentity/*",)
_GUARD = ("PlatformGuard/*", "PlatformUse/*")

UP: tuple[Stage, ...] = (
    Stage("gcluster deploy", _TOOLKIT, _GROUND, parallel=True),
    Stage("create the bucket", "before 2.2", ("ModelBucket/*",)),
    Stage("namespace and secrets", "2.4", ("DynamoPlatform/Namespace", "DynamoPlatform/Secret")),
    Stage("helm install dynamo-crds", "2.5", ("*/Release:dynamo-crds",)),
    Stage("helm install dynamo-platform", "2.5", ("*/Release:*", "DynamoPlatform/*", "KaiScheduler/*", *_GUARD)),
    Stage("grant access to the bucket", "2.6", _IDENTITY),
    Stage("download the model", "2.6", ("ModelDownload/*",)),
    Stage("helm install the deployment", "3", ("ServingQueues/*", "ServingStack/*", "ReadinessCheck/*")),
    Stage("bench client", "4", ("BenchmarkClient/*",)),
)
DESTROY: tuple[Stage, ...] = (
    Stage("delete the bench client", "4", ("BenchmarkClient/*",)),
    Stage("helm uninstall the deployment", "6", ("ReadinessCheck/*", "ServingStack/*", "ServingQueues/*")),
    Stage("helm uninstall dynamo-platform", "6", ("*/Release:dynamo-platform", "KaiScheduler/*")),
    Stage("helm uninstall dynamo-crds", "6", ("*/Release:dynamo-crds",)),
    Stage("delete namespace and secrets", "6", ("DynamoPlatform/*", "ModelDownload/*", *_GUARD)),
    Stage("take back the grants", "after 6", _IDENTITY),
    Stage("delete the bucket", "after 6", ("ModelBucket/*",)),
    Stage("gcluster destroy", _TOOLKIT, _GROUND, parallel=True),
)


@dataclass(frozen=True)
class Run:
    """A stage, when it runs, and the steps in it."""

    stage: Stage
    span: Span
    tasks: Sequence[str]


@dataclass(frozen=True)
class ByHand:
    """All stages in their order."""

    runs: Sequence[Run]
    unplaced: Sequence[str]
    """Tasks that take time and belong to no stage: the table is behind the program."""
    probe: float = 0.0
    """Minutes more with the recipe's own probes."""

    @property
    def makespan(self) -> float:
        """Minutes until the last stage has ended."""
        return max((run.span.end for run in self.runs), default=0.0)


def by_hand(plan: Plan, minutes: Minutes, op: Op) -> ByHand:
    """Put every task that takes time into the first stage that fits it."""
    stages = UP if op == "up" else DESTROY
    placed: dict[Stage, list[str]] = {stage: [] for stage in stages}
    unplaced: list[str] = []
    for urn, task in plan.tasks.items():
        if not minutes[urn]:
            continue
        stage = next((stage for stage in stages if _fits(stage, task.role)), None)
        (unplaced if stage is None else placed[stage]).append(urn)
    order = plan.waits if op == "up" else graph.reverse(plan.waits)
    runs: list[Run] = []
    start = 0.0
    for stage, tasks in placed.items():
        if not tasks:
            continue
        end = start + _length(stage, tasks, order, minutes)
        runs.append(Run(stage, Span(start, end), tasks))
        start = end
    return ByHand(runs, unplaced, _probe(plan.tasks, minutes, op))


def _fits(stage: Stage, role: str) -> bool:
    return any(fnmatch.fnmatchcase(role, pattern) for pattern in stage.roles)


def _length(stage: Stage, tasks: Sequence[str], order: graph.Waits, minutes: Minutes) -> float:
    if not stage.parallel:
        return sum(minutes[task] for task in tasks)
    inside = graph.without(order, set(order) - set(tasks))
    return graph.makespan(graph.schedule(inside, minutes))


def _probe(tasks: Mapping[str, graph.Task], minutes: Minutes, op: Op) -> float:
    if op == "destroy":
        return 0.0
    loads = [minutes[urn] for urn, task in tasks.items() if task.role == "ReadinessCheck/Job"]
    # Stacks are deployed one after the other, and each waits for its own probe.
    return sum(max(0.0, PROBE_DELAY - load) for load in loads)

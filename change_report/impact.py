"""What a change costs the users: what is taken down with its GPUs, and minutes without an answer.

Minutes come from the rehearsal's table of durations (docs/explanation/timeline.md); none was measured on A4X.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from change_report.model import Impact, What
from rehearsal import Step
from rehearsal.simulator.gcp import rules as gcp
from rehearsal.simulator.values import number, text
from rehearsal.simulator.workloads import serving
from rehearsal.timeline import durations, graph, plan

GRAPH: Final = ":DynamoGraphDeployment"
"""End of a graph's type, in every version of its API."""
ENDING_MINUTES: Final = 1.0
"""Until the pods of a graph have ended: the operator's default grace period is 60 s (seen on 0.7.0)."""
_READINESS: Final = "ReadinessCheck/Job"
_REPLACED: Final = frozenset({"replace", "delete"})
_ORDER: Final = get_args(What)


def old_inputs(step: Step) -> dict[str, Any]:
    """Inputs of a step's resource before the change."""
    state = step.metadata.old if step.metadata else None
    return dict(state.inputs or {}) if state else {}


def new_inputs(step: Step) -> dict[str, Any]:
    """Inputs of a step's resource after the change."""
    state = step.metadata.new if step.metadata else None
    return dict(state.inputs or {}) if state else {}


def impacts(changed: Sequence[Step]) -> tuple[Impact, ...]:
    """What with GPUs or data is taken down, clusters first."""
    found = [impact for step in changed if (impact := _impact(step)) is not None]
    return tuple(sorted(found, key=lambda one: (_ORDER.index(one.what), one.name)))


def _impact(step: Step) -> Impact | None:
    what = _what(step)
    if what is None:
        return None
    old, new = old_inputs(step), new_inputs(step)
    if step.op in _REPLACED:
        op = "replace" if step.op == "replace" else "delete"
        return Impact(op=op, what=what, name=step.name, gpus=_gpus(what, old))
    if what == "node pool" and step.op == "update" and _gpus(what, new) < _gpus(what, old):
        return Impact(op="update", what=what, name=step.name, gpus=_gpus(what, old) - _gpus(what, new))
    if what == "graph" and step.op == "update" and (down := list(_down(old, new))):
        return Impact(op="update", what=what, name=step.name, gpus=_gpus(what, old), roles=tuple(down))
    return None


def _what(step: Step) -> What | None:
    if step.kind == gcp.CLUSTER:
        return "cluster"
    if step.kind == gcp.NODE_POOL and is_gpu_pool(old_inputs(step)):
        return "node pool"
    if step.kind.endswith(GRAPH):
        return "graph"
    if step.kind == gcp.BUCKET:
        return "bucket"
    return "platform" if step.kind == serving.RELEASE else None


def is_gpu_pool(inputs: Mapping[str, Any]) -> bool:
    """Whether a node pool's nodes are A4X."""
    return text(inputs, "nodeConfig.machineType") == gcp.MACHINE_A4X


def _gpus(what: What, inputs: dict[str, Any]) -> int:
    if what == "node pool":
        return number(inputs, "nodeCount") * serving.GPUS_PER_NODE
    return gpus_of_graph(inputs) if what == "graph" else 0


def gpus_of_graph(inputs: dict[str, Any]) -> int:
    """GPUs of all workers of a graph."""
    return sum(role.replicas * role.nodes_each * role.gpus for role in serving.roles(inputs))


def _down(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Roles that have no pod while an update rolls them: their only replica ends before its successor starts.

    Seen on Dynamo 0.7.0 with Grove alpha.3, and on 1.2; a change of the number of replicas alone rolls nothing.
    """
    after = {role.name: role for role in serving.roles(dict(new))}
    for role in serving.roles(dict(old)):
        other = after.get(role.name)
        if other is not None and role.template != other.template and min(role.replicas, other.replicas) == 1:
            yield role.name


def down_minutes(step: Step, changed: Sequence[Step], before: plan.Plan, after: plan.Plan) -> float | None:
    """About how long the stack of a changed graph does not answer; None if it answers all the time, or is deleted."""
    if step.op == "replace":
        gone = {one.urn for one in changed if one.op in ("replace", "delete")}
        new = {one.urn for one in changed if one.op in ("replace", "create")}
        return _gap(step.urn, before, after, gone, new)
    down = list(_down(old_inputs(step), new_inputs(step))) if step.op == "update" else []
    if not down:
        return None
    loads = any(role.gpus for role in serving.roles(new_inputs(step)) if role.name in down)
    return ENDING_MINUTES + (_load_minutes() if loads else 0.0)


def _gap(urn: str, before: plan.Plan, after: plan.Plan, gone: Collection[str], new: Collection[str]) -> float:
    """From the moment at which the graph's deletion starts until its stack answers again."""
    removal = durations.minutes_of(before.tasks, "destroy")
    down = graph.schedule(
        graph.reverse(before.waits), {task: minutes for task, minutes in removal.items() if task in gone}
    )
    creation = durations.minutes_of(after.tasks, "up")
    up = graph.schedule(after.waits, {task: minutes for task, minutes in creation.items() if task in new})
    ended = max(graph.makespan(down), down[urn].end + ENDING_MINUTES)
    return ended - down[urn].start + _answers(urn, after, up)


def _answers(urn: str, after: plan.Plan, up: Mapping[str, graph.Span]) -> float:
    """When a stack answers: its readiness check ends, or, without one, as long after its graph as the check takes."""
    namespace = after.tasks[urn].named.namespace
    checks = [
        task.urn for task in after.tasks.values() if task.role == _READINESS and task.named.namespace == namespace
    ]
    return max((up[check].end for check in checks), default=up[urn].end + _load_minutes())


def _load_minutes() -> float:
    return next(row.up for row in durations.ROWS if row.roles == _READINESS)

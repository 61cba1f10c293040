"""The program's order against the necessary one: how much longer it takes, and which waits are to blame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rehearsal.timeline import graph
from rehearsal.timeline.graph import Minutes, Op, Plan, Span, Waits
from rehearsal.timeline.needs import Necessary

_NOTICEABLE = 0.005
"""Minutes; less is not worth a line."""


@dataclass(frozen=True)
class Needless:
    """A task that waits for what it does not need, with the wait on the longest chain."""

    task: str
    waits_for: Sequence[str]
    """The needless ones of its direct waits; the first is the one on the longest chain."""
    saves: float
    """Minutes that the whole run is shorter without these waits."""


@dataclass(frozen=True)
class Verdict:
    """One direction (`up` or `destroy`) of an environment."""

    op: Op
    minutes: Minutes
    order: Waits
    """The program's order in this direction."""
    spans: Mapping[str, Span]
    """When each task runs in the engine with enough workers."""
    chain: Sequence[str]
    """The longest chain of the program's order: tasks that take time."""
    deciding: Sequence[str]
    """What decides the makespan in the engine: the chain, or for `destroy` the slowest of each group."""
    makespan: float
    """Of the engine with enough workers."""
    own: float
    """Of the program's order alone. The engine takes things away in groups, so `makespan` may be longer."""
    limited: float
    """Of the engine with `workers` at a time."""
    workers: int
    shortest: float
    """The longest chain of necessary waits: no order of these steps is faster."""
    shortest_chain: Sequence[str]
    needless: Sequence[Needless]
    missing: Sequence[tuple[str, str]]

    @property
    def ratio(self) -> float:
        """Program's order to necessary order; 1 means that no wait on the longest chain is needless."""
        return _ratio(self.own, self.shortest)

    @property
    def whole(self) -> float:
        """Makespan in the engine to necessary order."""
        return _ratio(self.makespan, self.shortest)

    @property
    def engine_ratio(self) -> float:
        """The engine's way to the program's order; above 1 the engine itself waits."""
        return _ratio(self.makespan, self.own)

    @property
    def worker_ratio(self) -> float:
        """With the workers of a small machine to enough of them; above 1 parallelism is the limit."""
        return _ratio(self.limited, self.makespan)


def judge(plan: Plan, needs: Necessary, minutes: Minutes, op: Op, workers: int) -> Verdict:
    """Compare the orders in one direction."""
    recorded = plan.waits if op == "up" else graph.reverse(plan.waits)
    necessary = needs.waits if op == "up" else graph.reverse(needs.waits)
    idle = [task for task in recorded if not minutes[task]]
    wanted = graph.without(necessary, [task for task in necessary if not minutes[task]])
    # What must work and does not yet delays its user in any order: those times are in both.
    lags = {task: {need: lag for need, lag in at.items() if lag} for task, at in necessary.items()}
    full = graph.union(recorded, lags)
    order = graph.without(full, idle)
    alone = graph.schedule(full, minutes)
    own = graph.makespan(alone)
    spans = _as_the_engine(op, plan.waits, minutes, alone)
    best = graph.schedule(wanted, minutes)
    direct = graph.schedule(order, minutes)
    chain = graph.longest_chain(order, direct, graph.closure(wanted))
    return Verdict(
        op=op,
        minutes=minutes,
        order=order,
        spans=spans,
        chain=chain,
        deciding=chain if op == "up" else _slowest(plan.waits, minutes),
        makespan=graph.makespan(spans),
        own=own,
        limited=_limited(op, full, plan.waits, minutes, workers),
        workers=workers,
        shortest=graph.makespan(best),
        shortest_chain=graph.longest_chain(wanted, best),
        needless=needless(order, wanted, minutes, chain),
        missing=list(needs.missing),
    )


def needless(order: Waits, wanted: Waits, minutes: Minutes, chain: Sequence[str]) -> list[Needless]:
    """The waits on a longest chain that no necessary wait implies; the costliest first."""
    implied = graph.closure(wanted)
    total = graph.makespan(graph.schedule(order, minutes))
    found: list[Needless] = []
    for before, task in pairwise(chain):
        if before in implied[task]:
            continue
        useless = [before, *(need for need in order[task] if need not in implied[task] and need != before)]
        # What the task needs it still waits for, and every other task keeps its own waits.
        kept = {name: dict(needs) for name, needs in order.items()}
        kept[task] = {need: lag for need, lag in order[task].items() if need not in useless}
        shorter = graph.makespan(graph.schedule(graph.union(kept, wanted), minutes))
        found.append(Needless(task, useless, max(0.0, total - shorter)))
    return sorted(found, key=lambda item: -item.saves)


def noticeable(found: Sequence[Needless]) -> list[Needless]:
    """Those that cost time by themselves."""
    return [item for item in found if item.saves > _NOTICEABLE]


def _as_the_engine(op: Op, recorded: Waits, minutes: Minutes, alone: Mapping[str, Span]) -> Mapping[str, Span]:
    """`up` starts a step when its dependencies have ended. `destroy` goes by groups: the resources that depend on
    most first, and a group begins when all of the one before is gone (the engine's ScheduleDeletes).
    """
    if op == "up":
        return alone
    return graph.by_levels(reversed(graph.levels(recorded)), minutes)


def _slowest(recorded: Waits, minutes: Minutes) -> list[str]:
    leaders = [max(group, key=lambda task: minutes[task]) for group in reversed(graph.levels(recorded))]
    return [task for task in leaders if minutes[task]]


def _limited(op: Op, full: Waits, recorded: Waits, minutes: Minutes, workers: int) -> float:
    if op == "up":
        return graph.makespan(graph.with_workers(full, minutes, workers))
    total = 0.0
    for group in graph.levels(recorded):
        free: Waits = {task: {} for task in group}
        total += graph.makespan(graph.with_workers(free, minutes, workers))
    return total


def _ratio(longer: float, shorter: float) -> float:
    return longer / shorter if shorter else 1.0

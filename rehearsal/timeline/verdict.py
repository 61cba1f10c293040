"""The program's order against the necessary one: how much longer it takes, and which waits are to blame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rehearsal.timeline import graph
from rehearsal.timeline.graph import Minutes, Op, Span, Waits
from rehearsal.timeline.needs import Necessary

_NOTICEABLE = 0.005
"""Minutes; less is not worth a line."""


@dataclass(frozen=True)
class Needless:
    """A task on the longest chain that waits there for what it does not need."""

    task: str
    need: str
    saves: float
    """Minutes that the whole run is shorter if the task waits for nothing that it does not need."""


@dataclass(frozen=True)
class Verdict:
    """One direction (`up` or `destroy`) of an environment."""

    op: Op
    minutes: Minutes
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
    shortest: float
    """The longest chain of necessary waits: no order of these steps is faster."""
    needless: Sequence[Needless]
    """The waits that make the longest chain longer, the costliest first."""
    missing: Sequence[tuple[str, str]]

    @property
    def ratio(self) -> float:
        """Program's order to necessary order; 1 means that no wait on the longest chain is needless."""
        return _ratio(self.own, self.shortest)

    @property
    def engine_ratio(self) -> float:
        """The engine's way to the program's order; above 1 the engine itself waits."""
        return _ratio(self.makespan, self.own)


def judge(waits: Waits, needs: Necessary, minutes: Minutes, op: Op) -> Verdict:
    """Compare the recorded order with the necessary one, in one direction."""
    recorded = waits if op == "up" else graph.reverse(waits)
    necessary = needs.waits if op == "up" else graph.reverse(needs.waits)
    wanted = graph.without(necessary, [task for task in necessary if not minutes[task]])
    # What must work and does not yet delays its user in any order: those times are in both.
    lags = {task: {need: lag for need, lag in at.items() if lag} for task, at in necessary.items()}
    full = graph.union(recorded, lags)
    order = graph.without(full, [task for task in recorded if not minutes[task]])
    spans = graph.schedule(full, minutes)
    own = graph.makespan(spans)
    chain = graph.longest_chain(order, graph.schedule(order, minutes), graph.closure(wanted))
    deciding = chain
    if op == "destroy":
        # The engine's ScheduleDeletes: a group of what nothing left depends on begins when the one before is gone.
        groups = engine_groups(waits)
        spans = graph.schedule(graph.barriers(groups), minutes)
        slowest = [max(group, key=lambda task: minutes[task]) for group in groups]
        deciding = [task for task in slowest if minutes[task]]
    return Verdict(
        op=op,
        minutes=minutes,
        spans=spans,
        chain=chain,
        deciding=deciding,
        makespan=graph.makespan(spans),
        own=own,
        shortest=graph.makespan(graph.schedule(wanted, minutes)),
        needless=needless(order, wanted, minutes, chain),
        missing=needs.missing,
    )


def engine_groups(waits: Waits) -> list[list[str]]:
    """The groups in which the engine deletes, the first to go first."""
    return graph.levels(waits)[::-1]


def needless(order: Waits, wanted: Waits, minutes: Minutes, chain: Sequence[str]) -> list[Needless]:
    """The waits on a longest chain that no necessary wait implies and that cost time by themselves."""
    implied = graph.closure(wanted)
    total = graph.makespan(graph.schedule(order, minutes))
    found: list[Needless] = []
    for before, task in pairwise(chain):
        if before in implied[task]:
            continue
        # What the task needs it still waits for, and every other task keeps its own waits.
        kept = {**order, task: {need: lag for need, lag in order[task].items() if need in implied[task]}}
        saves = total - graph.makespan(graph.schedule(graph.union(kept, wanted), minutes))
        if saves > _NOTICEABLE:
            found.append(Needless(task, before, saves))
    return sorted(found, key=lambda item: -item.saves)


def _ratio(longer: float, shorter: float) -> float:
    return longer / shorter if shorter else 1.0

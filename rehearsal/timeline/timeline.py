"""The timeline of one environment: computed from its exported stack, told in words, and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rehearsal.timeline import graph, needs
from rehearsal.timeline.by_hand import ByHand, by_hand
from rehearsal.timeline.durations import minutes_of
from rehearsal.timeline.graph import Op, Plan
from rehearsal.timeline.observed import Observed
from rehearsal.timeline.picture import Block, picture
from rehearsal.timeline.verdict import Verdict, judge, noticeable

LIMIT = 1.05
"""Ratio of makespan to longest necessary chain above which the program is asked to answer for it."""
WORKERS = 8
"""Steps at a time of the engine on the smallest machine that it is usually run on (4 for each of 2 cores)."""
OPS: tuple[Op, ...] = ("up", "destroy")


@dataclass(frozen=True)
class Timeline:
    """Both directions of one environment."""

    stack: str
    plan: Plan
    verdicts: Mapping[Op, Verdict]
    hands: Mapping[Op, ByHand]
    observed: Mapping[Op, Observed] = field(default_factory=dict[Op, Observed])
    """What paced runs showed; empty when there were none."""

    def name(self, urn: str) -> str:
        """How a task is called in messages."""
        return self.plan.tasks[urn].name

    def watched(self, op: Op, seen: Observed) -> Timeline:
        """The same with what a paced run showed."""
        return replace(self, observed={**self.observed, op: seen})


def compute(
    stack: str, export: Mapping[str, Any], *, minutes: Mapping[str, float] | None = None, workers: int = WORKERS
) -> Timeline:
    """The timeline of an exported stack. `minutes` (by URN) stand in for the table's, for both directions."""
    plan = graph.read(export)
    verdicts: dict[Op, Verdict] = {}
    hands: dict[Op, ByHand] = {}
    for op in OPS:
        lengths = {**minutes_of(plan.tasks, op), **(minutes or {})}
        verdicts[op] = judge(plan, needs.necessary(plan, op), lengths, op, workers)
        hands[op] = by_hand(plan, lengths, op)
    return Timeline(stack, plan, verdicts, hands)


def draw(timeline: Timeline, target: Path) -> None:
    """Write the picture; a file that is there is replaced only by a whole one."""
    blocks = [Block(op, timeline.verdicts[op], timeline.hands[op]) for op in OPS]
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(picture(timeline.stack, timeline.plan, blocks), encoding="utf-8")
    partial.replace(target)


def tell(timeline: Timeline) -> list[str]:
    """The figures in words, one line each."""
    lines: list[str] = []
    for op in OPS:
        lines += _tell(timeline, op)
    return lines


def failures(timeline: Timeline) -> list[str]:
    """Why the timeline is not as it should be; empty when it is.

    Counted against the program: a needless wait, a missing one, a table that is behind the program, a step that the
    engine did not take as computed. What the engine itself waits for is told and not counted.
    """
    found: list[str] = []
    for op in OPS:
        judged = timeline.verdicts[op]
        if judged.ratio > LIMIT:
            blamed = [f"{timeline.name(item.task)} for {timeline.name(item.waits_for[0])}" for item in judged.needless]
            found.append(
                f"{op}: the program takes {judged.ratio:.2f} times its longest necessary chain (limit {LIMIT}); "
                f"needless waits: {'; '.join(blamed) or 'none on the longest chain'}"
            )
        found += [
            f"{op}: {timeline.name(task)} does not wait for {timeline.name(need)}, which it needs"
            for task, need in judged.missing
        ]
        found += [f"{op}: {timeline.name(urn)} is in no step of the recipe" for urn in timeline.hands[op].unplaced]
        if op in timeline.observed:
            found += [f"{op}: {said}" for said in timeline.observed[op].contradictions]
    return found


def _tell(timeline: Timeline, op: Op) -> list[str]:
    judged, hand = timeline.verdicts[op], timeline.hands[op]
    head = (
        f"{op}: makespan {judged.makespan:.1f} min, longest necessary chain {judged.shortest:.1f} min, "
        f"ratio {judged.whole:.2f} (program {judged.ratio:.2f} x engine {judged.engine_ratio:.2f}; "
        f"{judged.workers} steps at a time: x {judged.worker_ratio:.2f})"
    )
    lines = [head, *_reasons(judged)]
    lines.append(f"{op}: longest chain of the program, {judged.own:.1f} min")
    lines += _chain(timeline, judged.chain, judged)
    for item in noticeable(judged.needless):
        others = f" (nor for {_names(timeline, item.waits_for[1:])})" if item.waits_for[1:] else ""
        lines.append(
            f"  {timeline.name(item.task)} need not wait for {timeline.name(item.waits_for[0])}{others}: "
            f"{item.saves:.2f} min"
        )
    probe = f", {hand.makespan + hand.probe:.1f} min with the recipe's own probes" if hand.probe else ""
    lines.append(
        f"{op}: by hand, one step after the other, {hand.makespan:.1f} min"
        f"{f' ({hand.makespan / judged.makespan:.2f} x)' if judged.makespan else ''}{probe}"
    )
    lines += [
        f"  {run.span.end - run.span.start:6.1f}  {run.stage.title} [{run.stage.where}], steps: {len(run.tasks)}"
        for run in hand.runs
    ]
    if op in timeline.observed:
        seen = timeline.observed[op]
        lines.append(
            f"{op}: seen in the engine: {seen.steps} steps, {seen.needs} waits kept, {seen.overlaps} overlaps kept, "
            f"{len(seen.contradictions)} contradictions"
        )
    return lines


def _reasons(judged: Verdict) -> list[str]:
    """What a high ratio comes from."""
    said: list[str] = []
    if judged.ratio > LIMIT:
        said.append("  above the limit: the program has needless waits on its longest chain (below)")
    if judged.engine_ratio > LIMIT:
        said.append("  the engine deletes in groups, and each group waits for the slowest of the one before")
    if judged.worker_ratio > LIMIT:
        said.append(f"  a limit of parallelism: {judged.limited:.1f} min with {judged.workers} steps at a time")
    return said


def _chain(timeline: Timeline, chain: Sequence[str], judged: Verdict) -> list[str]:
    return [f"  {judged.minutes[urn]:6.2f}  {timeline.name(urn)}" for urn in chain]


def _names(timeline: Timeline, urns: Sequence[str]) -> str:
    shown = [timeline.name(urn) for urn in urns[:3]]
    return ", ".join(shown) + (f" and {len(urns) - 3} more" if len(urns) > 3 else "")

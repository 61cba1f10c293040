"""The timeline of one environment: computed from its exported stack, reported, and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rehearsal.timeline import needs, plan
from rehearsal.timeline.durations import minutes_of
from rehearsal.timeline.graph import Op
from rehearsal.timeline.observed import Observed
from rehearsal.timeline.picture import picture
from rehearsal.timeline.plan import Plan
from rehearsal.timeline.verdict import Verdict, judge

LIMIT = 1.05
"""Ratio of makespan to longest necessary chain above which the program is asked to answer for it."""
OPS: tuple[Op, ...] = ("up", "destroy")


@dataclass(frozen=True)
class Timeline:
    """Both directions of one environment."""

    stack: str
    plan: Plan
    verdicts: Mapping[Op, Verdict]
    superfluous: list[tuple[str, str]]
    """(who, need): waits of the program that have no reason in `needs`."""
    observed: Mapping[Op, Observed] = field(default_factory=dict[Op, Observed])
    """What paced runs showed; empty when there were none."""

    def name(self, urn: str) -> str:
        """How a task is called in messages."""
        return self.plan.tasks[urn].name

    def watched(self, op: Op, seen: Observed) -> Timeline:
        """The same with what a paced run showed."""
        return replace(self, observed={**self.observed, op: seen})


def compute(stack: str, export: Mapping[str, Any]) -> Timeline:
    """The timeline of an exported stack."""
    read = plan.read(export)
    verdicts: dict[Op, Verdict] = {
        op: judge(read.waits, needs.necessary(read, op), minutes_of(read.tasks, op), op) for op in OPS
    }
    unasked = [wait for wait in needs.superfluous(read) if not any(needs.allowed(read, wait))]
    return Timeline(stack, read, verdicts, unasked)


def draw(timeline: Timeline, target: Path) -> None:
    """Write the picture; a file that is there is replaced only by a whole one."""
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(picture(timeline.stack, timeline.plan, list(timeline.verdicts.values())), encoding="utf-8")
    partial.replace(target)


def tell(timeline: Timeline) -> list[str]:
    """The figures in words, one line each."""
    lines: list[str] = []
    for op, judged in timeline.verdicts.items():
        lines.append(
            f"{op}: makespan {judged.makespan:.1f} min, longest necessary chain {judged.shortest:.1f} min; "
            f"ratio {judged.ratio * judged.engine_ratio:.2f}: of the program {judged.ratio:.2f}, "
            f"of the engine's groups {judged.engine_ratio:.2f}"
        )
        lines.append(
            f"{op}: one step after the other {sum(judged.minutes.values()):.1f} min; "
            f"longest chain of the program {judged.own:.1f} min:"
        )
        lines += [f"  {judged.minutes[urn]:6.2f}  {timeline.name(urn)}" for urn in judged.chain]
        lines += [
            f"  {timeline.name(item.task)} need not wait for {timeline.name(item.need)}: {item.saves:.2f} min"
            for item in judged.needless
        ]
        if op in timeline.observed:
            seen = timeline.observed[op]
            lines.append(
                f"{op}: the engine took {seen.steps} steps, {seen.overlaps} pairs of them side by side as computed; "
                f"{len(seen.contradictions)} contradictions"
            )
    return lines


def failures(timeline: Timeline) -> list[str]:
    """Why the timeline is not as it should be; empty when it is.

    What the engine itself waits for is reported and not counted.
    """
    name = timeline.name
    found = [f"{name(who)} waits for {name(need)}, and no rule asks for it" for who, need in timeline.superfluous]
    for op, judged in timeline.verdicts.items():
        if judged.ratio > LIMIT:
            blamed = [f"{name(item.task)} for {name(item.need)}" for item in judged.needless]
            found.append(
                f"{op}: the program takes {judged.ratio:.2f} times its longest necessary chain (limit {LIMIT}); "
                f"needless waits: {'; '.join(blamed) or 'none on the longest chain'}"
            )
        found += [f"{op}: {name(task)} does not wait for {name(need)}, which it needs" for task, need in judged.missing]
        if op in timeline.observed:
            found += [f"{op}: {contradiction}" for contradiction in timeline.observed[op].contradictions]
    return found

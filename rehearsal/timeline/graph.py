"""Order as pure arithmetic: no engine, no file, no clock.

A `Waits` says for every task what it waits for, and how many minutes after the end of that (0, except where
something works only a while after it was made). Whatever is a task is a key of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal

Op = Literal["up", "destroy"]
Waits = Mapping[str, Mapping[str, float]]
Minutes = Mapping[str, float]

_EXACT = 1e-9


@dataclass(frozen=True)
class Span:
    """When a task runs, in minutes from the beginning."""

    start: float
    end: float


def in_order(waits: Waits) -> list[str]:
    """All tasks, each after what it waits for. Raises `graphlib.CycleError`."""
    return list(TopologicalSorter(waits).static_order())


def reverse(waits: Waits) -> dict[str, dict[str, float]]:
    """The order of the way down: everything waits for what waited for it. Times between two tasks do not count."""
    turned: dict[str, dict[str, float]] = {task: {} for task in waits}
    for task, needs in waits.items():
        for need in needs:
            turned[need][task] = 0.0
    return turned


def schedule(waits: Waits, minutes: Minutes) -> dict[str, Span]:
    """When each task runs if it starts as soon as all that it waits for has ended."""
    spans: dict[str, Span] = {}
    for task in in_order(waits):
        start = max((spans[need].end + lag for need, lag in waits[task].items()), default=0.0)
        spans[task] = Span(start, start + minutes.get(task, 0.0))
    return spans


def makespan(spans: Mapping[str, Span]) -> float:
    """Minutes until the last task has ended."""
    return max((span.end for span in spans.values()), default=0.0)


def longest_chain(
    waits: Waits, spans: Mapping[str, Span], prefer: Mapping[str, Collection[str]] | None = None
) -> list[str]:
    """Tasks of which each starts when the one before lets it, from minute 0 to the makespan.

    Of several that let a task start at the same moment, one that `prefer` names for it is taken.
    """
    if not spans:
        return []
    end = makespan(spans)
    task = next(name for name in waits if spans[name].end >= end - _EXACT)
    chain = [task]
    while spans[task].start > _EXACT:
        start = spans[task].start
        last = [need for need, lag in waits[task].items() if abs(spans[need].end + lag - start) < _EXACT]
        liked = (prefer or {}).get(task, ())
        task = next((need for need in last if need in liked), last[0])
        chain.append(task)
    return chain[::-1]


def levels(waits: Waits) -> list[list[str]]:
    """Tasks by the length of the longest path to a task that waits for nothing."""
    depth: dict[str, int] = {}
    for task in in_order(waits):
        depth[task] = max((depth[need] + 1 for need in waits[task]), default=0)
    groups: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for task in waits:
        groups[depth[task]].append(task)
    return groups


def barriers(groups: Iterable[Sequence[str]]) -> dict[str, dict[str, float]]:
    """The order in which every task of a group waits for all of the group before."""
    waits: dict[str, dict[str, float]] = {}
    before: Sequence[str] = ()
    for group in groups:
        waits.update({task: dict.fromkeys(before, 0.0) for task in group})
        before = group
    return waits


def closure(waits: Waits) -> dict[str, frozenset[str]]:
    """Everything that a task waits for, directly or through others."""
    found: dict[str, frozenset[str]] = {}
    for task in in_order(waits):
        found[task] = frozenset(waits[task]).union(*(found[need] for need in waits[task]))
    return found


def without(waits: Waits, dropped: Iterable[str]) -> dict[str, dict[str, float]]:
    """The order among the other tasks, with the dropped ones' waits handed on."""
    gone = set(dropped)
    through: dict[str, dict[str, float]] = {}
    for task in in_order(waits):
        needs: dict[str, float] = {}
        for need, lag in waits[task].items():
            handed = {other: more + lag for other, more in through[need].items()} if need in gone else {need: lag}
            for other, total in handed.items():
                needs[other] = max(total, needs.get(other, 0.0))
        through[task] = needs
    return {task: through[task] for task in waits if task not in gone}


def union(first: Waits, second: Waits) -> dict[str, dict[str, float]]:
    """Both orders at once, with the longer time between where they differ."""
    both = {task: dict(needs) for task, needs in first.items()}
    for task, needs in second.items():
        for need, lag in needs.items():
            both[task][need] = max(lag, both[task].get(need, 0.0))
    return both

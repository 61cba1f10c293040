"""Tasks and their order, as pure arithmetic: no engine, no file, no clock.

A `Waits` says for every task what it waits for, and how many minutes after the end of that (0, except where
something works only a while after it was made). Whatever is a task is a key of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from rehearsal.simulator.values import mapping

Op = Literal["up", "destroy"]
Waits = Mapping[str, Mapping[str, float]]
Minutes = Mapping[str, float]

_EXACT = 1e-9
_ALIASES = {
    "gcp:projects/service:Service": "Api",
    "networking.gke.io/v1:Network": "GkeNetwork",
}
"""Short names of kinds that would share theirs with another kind."""


class CycleError(ValueError):
    """Tasks that wait for each other."""


@dataclass(frozen=True)
class Task:
    """One resource of the exported stack."""

    urn: str
    kind: str
    """Type token."""
    name: str
    role: str
    """`<component>/<kind>[:<detail>]`, such as `NvlinkDomain/NodePool:a4x-highgpu-4g`: what the tables match."""
    component: str
    """URN of the nearest component above it, or of itself; empty for what belongs to none."""
    custom: bool
    """Whether a provider makes it: a component and a provider take no time of their own."""


@dataclass(frozen=True)
class Span:
    """When a task runs, in minutes from the beginning."""

    start: float
    end: float


@dataclass(frozen=True)
class Plan:
    """Tasks in the order of their URNs, and what each of them was recorded to depend on."""

    tasks: Mapping[str, Task]
    waits: Waits


def read(export: Mapping[str, Any]) -> Plan:
    """Tasks and recorded dependencies of `pulumi stack export`.

    Dependencies of the resource and its properties, parent, provider and deletedWith: what the engine goes by, in both
    directions.
    """
    resources: list[dict[str, Any]] = mapping(export, "deployment")["resources"]
    by_urn = {str(resource["urn"]): resource for resource in resources}
    below: dict[str, list[str]] = {urn: [] for urn in by_urn}
    tasks: dict[str, Task] = {}
    waits: dict[str, dict[str, float]] = {}
    for urn, resource in by_urn.items():
        tasks[urn] = _task(resource, by_urn)
        names = set(_names(resource.get("dependencies")))
        for deps in mapping(resource, "propertyDependencies").values():
            names.update(_names(deps))
        # As the engine does, a dependency on a component is one on all that stands below it by then.
        for name in list(names):
            names.update(below.get(name, []))
        names.add(str(resource.get("parent") or ""))
        names.add(str(resource.get("deletedWith") or ""))
        names.add(str(resource.get("provider") or "").rpartition("::")[0])
        waits[urn] = {name: 0.0 for name in by_urn if name in names and name != urn}
        above = str(resource.get("parent") or "")
        while above in by_urn:
            if not by_urn[above].get("custom"):
                below[above].append(urn)
            above = str(by_urn[above].get("parent") or "")
    # The engine writes resources down in the order in which they happened to end.
    return Plan(
        {urn: tasks[urn] for urn in sorted(tasks)}, {urn: dict(sorted(waits[urn].items())) for urn in sorted(waits)}
    )


def _names(value: Any) -> list[str]:
    return [str(name) for name in cast("list[Any]", value or [])]


def _task(resource: dict[str, Any], by_urn: Mapping[str, dict[str, Any]]) -> Task:
    urn, kind, custom = str(resource["urn"]), str(resource["type"]), bool(resource.get("custom"))
    above = str(resource.get("parent") or "")
    component = above if custom else urn
    noun = str(by_urn[component]["type"]).rsplit(":", 1)[-1] if component in by_urn else "-"
    if noun == "Stack":
        component = ""
    detail = _detail(kind, mapping(resource, "inputs"))
    role = f"{noun}/{short_kind(kind)}{detail}" if custom else noun
    return Task(urn, kind, urn.split("::", 3)[-1], role, component, custom and not kind.startswith("pulumi:"))


def short_kind(kind: str) -> str:
    """The last word of a type token, made unique."""
    for token, alias in _ALIASES.items():
        if kind.endswith(token):
            return alias
    return kind.rsplit(":", 1)[-1]


def _detail(kind: str, inputs: Mapping[str, Any]) -> str:
    if kind.endswith(":NodePool"):
        return f":{mapping(inputs, 'nodeConfig').get('machineType', '')}"
    if kind.endswith(":Release"):
        # The name without folder, and an archive's without version and ending.
        chart = str(inputs.get("chart", "")).rsplit("/", 1)[-1]
        return ":" + (chart.removesuffix(".tgz").rsplit("-", 1)[0] if chart.endswith(".tgz") else chart)
    if kind == "gcp:projects/service:Service":
        return ":" + str(inputs.get("service", "")).split(".", 1)[0]
    return ""


def reverse(waits: Waits) -> dict[str, dict[str, float]]:
    """The order of the way down: everything waits for what waited for it. Times between two tasks do not count."""
    turned: dict[str, dict[str, float]] = {task: {} for task in waits}
    for task, needs in waits.items():
        for need in needs:
            turned[need][task] = 0.0
    return turned


def in_order(waits: Waits) -> list[str]:
    """All tasks, each after what it waits for; among equals in the order of `waits`. Raises `CycleError`."""
    place = {task: index for index, task in enumerate(waits)}
    left = {task: len(needs) for task, needs in waits.items()}
    after: dict[str, list[str]] = {task: [] for task in waits}
    for task, needs in waits.items():
        for need in needs:
            after[need].append(task)
    ready = [place[task] for task, count in left.items() if count == 0]
    heapq.heapify(ready)
    names, order = list(waits), list[str]()
    while ready:
        task = names[heapq.heappop(ready)]
        order.append(task)
        for follower in after[task]:
            left[follower] -= 1
            if left[follower] == 0:
                heapq.heappush(ready, place[follower])
    if len(order) < len(names):
        stuck = [task for task in names if left[task] > 0]
        raise CycleError(f"these wait for each other: {', '.join(stuck[:5])}")
    return order


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


def by_levels(groups: Iterable[Iterable[str]], minutes: Minutes) -> dict[str, Span]:
    """When each task runs if a group starts only when the whole group before it has ended."""
    spans: dict[str, Span] = {}
    start = 0.0
    for group in groups:
        spans.update({task: Span(start, start + minutes.get(task, 0.0)) for task in group})
        start = max([start, *(spans[task].end for task in group)])
    return spans


def with_workers(waits: Waits, minutes: Minutes, workers: int) -> dict[str, Span]:
    """When each task runs if at most `workers` tasks run at a time, those first that are ready first."""
    free_at, left = [0.0] * workers, {task: len(needs) for task, needs in waits.items()}
    place = {task: index for index, task in enumerate(waits)}
    after: dict[str, list[str]] = {task: [] for task in waits}
    for task, needs in waits.items():
        for need in needs:
            after[need].append(task)
    ready = [(0.0, place[task], task) for task, count in left.items() if count == 0]
    heapq.heapify(ready)
    spans: dict[str, Span] = {}
    while ready:
        at, _, task = heapq.heappop(ready)
        length = minutes.get(task, 0.0)
        # What takes no time takes no worker either: components are registered, not made.
        start = max(at, heapq.heappop(free_at)) if length else at
        spans[task] = Span(start, start + length)
        if length:
            heapq.heappush(free_at, start + length)
        for follower in after[task]:
            left[follower] -= 1
            if left[follower] == 0:
                when = max(spans[need].end + lag for need, lag in waits[follower].items())
                heapq.heappush(ready, (when, place[follower], follower))
    return spans


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

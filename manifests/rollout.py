"""Announces which downtime a change of a running graph causes.

When a role's pod template changes, Grove replaces its pods one replica at a time: the old pods end first, because a
domain has no room for both, and all changed roles roll at the same time (seen on Dynamo 0.7.0 with Grove alpha.3, on
1.2, and on 1.5, where a change of one worker role replaces the pods of both). A role with one replica is therefore down
until its successor has loaded the weights; in the shipped layouts that is every decode role. A change of the number of
replicas replaces no remaining pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from manifests import graph, graph_api
from manifests.graph_api import Component, part

GRACE_SECONDS: Final = 60
"""The operator's default termination grace period. Seen: the downtime is this plus the time to load."""

LOAD_MINUTES: Final = 20
"""Time until a worker serves, with a cold cache: 20 minutes on 8 H200 (sgl-project/sglang#3825). An estimate: no figure
for A4X is published."""


@dataclass(frozen=True)
class Roll:
    """A role whose pods are replaced."""

    role: str
    replicas: int
    """Replicas that exist both before and after."""
    nodes: int
    """Pods of one replica; those of a worker are on a node each."""
    grace: int
    """Termination grace period of its pods in seconds."""

    @property
    def gone(self) -> bool:
        """Whether no replica is left during the replacement."""
        return self.replicas == 1

    @property
    def loads(self) -> bool:
        """Whether its pods load the weights."""
        return self.role != "frontend"


def rolls(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Roll]:
    """The roles whose pods are replaced when a graph's spec `old` becomes `new`."""
    before, after = graph_api.components(old), graph_api.components(new)
    for role in graph.SERVICES:
        was, will = before.get(role), after.get(role)
        if was is None or will is None or _pods(was) == _pods(will):
            continue
        yield Roll(
            role=role,
            replicas=min(was.replicas, will.replicas),
            nodes=was.nodes,
            grace=int(part(was.pod, "spec").get("terminationGracePeriodSeconds", GRACE_SECONDS)),
        )


def announcement(stack: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The announcement of a change that takes all replicas of a role down; None for any other."""
    found = list(rolls(old, new))
    gone = [roll for roll in found if roll.gone]
    if not gone:
        return None
    text = (
        f"{stack}: this change takes down {_and(_words(roll) for roll in gone)} before the replacement starts; "
        f"the stack is unavailable {_duration(gone)}."
    )
    others = [f"{r.role} one replica at a time, {r.replicas - 1} of {r.replicas} serve" for r in found if not r.gone]
    return text + (f" Replaced as well: {'; '.join(others)}." if others else "")


def replacement(stack: str, old: str, new: str) -> str:
    """The announcement of a graph's replacement, with its shape and placement before and after."""
    return (
        f"{stack}: {old} becomes {new}, which replaces the graph: all old pods terminate before the new ones start, "
        f"and the stack is unavailable for about {_gap(GRACE_SECONDS)}."
    )


def _pods(component: Component) -> Component:
    return replace(component, replicas=0)


def _words(roll: Roll) -> str:
    pods = f" ({roll.nodes} nodes)" if roll.nodes > 1 else ""
    return f"the only {roll.role} replica{pods}"


def _duration(gone: list[Roll]) -> str:
    grace = max(roll.grace for roll in gone)
    if not any(roll.loads for roll in gone):
        return f"for up to {grace} s of termination and until the replacement is ready"
    return f"for about {_gap(grace)}"


def _gap(grace: int) -> str:
    """Downtime if the weights are loaded again."""
    minutes = LOAD_MINUTES + round(grace / 60)
    return f"{minutes} minutes ({grace} s to terminate, about {LOAD_MINUTES} min to load the weights: an estimate)"


def _and(words: Iterator[str]) -> str:
    return " and ".join(words)

"""Looks at a state again and again, as the check does, while the cluster tries what it would try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from readiness import verdict
from readiness.config import Config
from readiness.snapshot import Container, Pod, Snapshot

STEP = 5.0
Change = Callable[[Snapshot, float], Snapshot]


@dataclass(frozen=True)
class End:
    """How a watch ended."""

    verdict: verdict.Verdict
    at: float
    """Seconds after its beginning."""


def unchanged(state: Snapshot, _now: float) -> Snapshot:
    """Nothing is tried again: the cause may be gone, and the words be old."""
    return state


def retried(state: Snapshot, now: float) -> Snapshot:
    """Grove, operator and kubelet try again, and fail again: the refusal and the condition are renewed every 16 s,
    a pull ends every 20 s, a crashing container starts every 60 s.
    """
    return replace(
        state,
        pods=tuple(_pod(pod, now) for pod in state.pods),
        cliques=tuple(
            replace(one, refused_at=one.refused_at + now // 16) if one.refused else one for one in state.cliques
        ),
        graph=replace(state.graph, marked=f"{state.graph.marked} {now // 16}"),
    )


def hold(config: Config, state: Snapshot, seconds: float, change: Change = retried, started_at: float = 0.0) -> End:
    """The first verdict but `Waiting` on `state` held for `seconds`, or that."""
    memory = verdict.Memory.begin(0.0, started_at)
    now = 0.0
    while True:
        found, memory = verdict.judge(config, change(state, now), memory, now)
        if not isinstance(found, verdict.Waiting) or now >= seconds:
            return End(found, now)
        now += STEP


def _pod(pod: Pod, now: float) -> Pod:
    return replace(pod, containers=tuple(_container(one, now) for one in pod.containers))


def _container(one: Container, now: float) -> Container:
    if one.waiting in ("ErrImagePull", "ImagePullBackOff"):
        return replace(one, waiting="ErrImagePull" if now % 20 < 10 else "ImagePullBackOff")
    if one.ends:
        return replace(one, restarts=one.restarts + int(now // 60))
    return one

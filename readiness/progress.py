"""The state of all roles in one line, for the log and the Job's event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from readiness.config import Config
from readiness.snapshot import Pod, Snapshot
from readiness.symptoms import PULL_FAILED, left, outdated, wanted

_FRONTEND: Final = "frontend"
_STARTING: Final = "pulling images and mounting"
_SHOWN: Final = 200


def describe(config: Config, snapshot: Snapshot) -> str:
    """Ready pods of each role, and the state of the others."""
    refused = {clique.role for clique in snapshot.cliques if clique.refused}
    parts: list[str] = []
    for role, need in config.roles.items():
        pods = wanted(config, snapshot, role)
        doing = Counter(_doing(pod) for pod in pods if not pod.ready)
        if len(pods) < need.pods:
            doing["refused by the API server" if role in refused else "not created yet"] = need.pods - len(pods)
        if len(pods) > need.pods:
            doing["more than wanted"] = len(pods) - need.pods
        ready = sum(pod.ready for pod in pods)
        others = ", ".join(f"{count} {what}" for what, count in doing.items())
        parts.append(f"{role} {ready} of {need.pods}" + (f" ({others})" if others else ""))
    return f"pods ready: {', '.join(parts)}" + "".join((*_leaving(config, snapshot), *_notice(config, snapshot)))


def time_left(seconds: float) -> str:
    """The time left until the deadline."""
    whole = max(0, round(seconds / 60))
    return f"{whole // 60} h {whole % 60:02} min left"


def _doing(pod: Pod) -> str:
    if pod.placed != "placed":
        return {"gated": "waiting for the gang", "unseen": "not scheduled yet", "refused": "without a node"}[pod.placed]
    if any(container.waiting in PULL_FAILED for container in pod.containers):
        return "without an image"
    crashed = any(container.ends for container in pod.containers)
    if any(container.running and not container.init for container in pod.containers):
        return ("starting" if pod.role == _FRONTEND else "loading weights") + (" after a crash" if crashed else "")
    return "crashed" if crashed else _STARTING


def _notice(config: Config, snapshot: Snapshot) -> Iterator[str]:
    """The kubelet's newest warning about a pod that does not start; it does not affect the verdict."""
    for role in config.roles:
        names = [pod.name for pod in wanted(config, snapshot, role) if not pod.ready and _doing(pod) == _STARTING]
        notices = [one for one in snapshot.notices if one.name in names]
        if notices:
            newest = max(notices, key=lambda one: one.at)
            yield f"; {newest.name}: {newest.reason}: {newest.message[:_SHOWN]}"
            return


def _leaving(config: Config, snapshot: Snapshot) -> Iterator[str]:
    old = left(config, snapshot)
    ending = sum(pod.terminating for pod in old)
    if old:
        yield f"; {len(old)} with an outdated template left" + (f", {ending} of them terminating" if ending else "")
    settling = sum(not pod.terminating and pod not in old for pod in outdated(snapshot))
    if settling:
        yield f"; {settling} about to be replaced by Grove"
    own = sum(pod.terminating and not pod.over for pod in snapshot.pods) - ending
    if own:
        yield f"; {own} terminating"

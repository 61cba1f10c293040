"""States of real clusters, as facts: what each pod, PodClique and graph was, and the words that came with it.

`states.json` has them, a line for each; `recordings.py` makes it from recordings that are no part of the project.
They were seen on Kubernetes 1.34.4 with Dynamo 0.7.0 and 1.5, Grove alpha.3 and about alpha.13, and KAI 0.17.0.

Times are seconds since the check began, which is a little after the graph was created or changed. Names of pods and
PodCliques go on after that of the graph (`prefix`: the short form of a long one). A pod is one of `KINDS`, or that and
what sets it apart; its uid is its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from readiness import config
from readiness.config import Config, Role
from readiness.snapshot import Clique, Container, Ended, Graph, Notice, Pod, Snapshot
from readiness.symptoms import PULL_FAILED

FILE = Path(__file__).parent / "states.json"
RELEASES = ("0.7.0", "1.5-dev")

IMAGE = "nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0"
_HASH, _OLDER_HASH = "new", "older"
_GANG = "gang"

_MAIN = Container(
    *("main", IMAGE),
    init=False,
    running=True,
    waiting="",
    waiting_message="",
    restarts=0,
    ended=None,
    last=None,
)
_LOADING = Pod(
    *("", "", "", "", "", "", "", _HASH, 0.0),
    terminating=False,
    over="",
    ready=False,
    placed="placed",
    placing="",
    scheduler="kai-scheduler",
    containers=(_MAIN,),
)
KINDS: Mapping[str, Pod] = {
    "ready": replace(_LOADING, ready=True),
    "loading": _LOADING,
    "bound": replace(_LOADING, containers=()),
    "gated": replace(
        _LOADING, placed="gated", placing="Scheduling is blocked due to non-empty scheduling gates", containers=()
    ),
    "refused": replace(_LOADING, placed="refused", containers=()),
}


@cache
def _all() -> dict[str, dict[str, Any]]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def names(release: str) -> list[str]:
    """All states of one release."""
    return [key.partition(" ")[2] for key in _all() if key.startswith(f"{release} ")]


def wanted(release: str, name: str) -> Config:
    """The check's configuration for the graph of one state: what the program would have written."""
    found = _all()[f"{release} {name}"]
    return Config(
        namespace="r1-1p1d",
        deployment=found["graph"],
        job="readiness-check",
        roles={role: Role(replicas, f"wanted-{role}", pods) for role, (replicas, pods) in found["wanted"].items()},
        url="http://r1-frontend.r1.svc.cluster.local:8000",
        model="deepseek-ai/DeepSeek-R1",
        next="kubectl -n r1-1p1d get pods",
        bounds=config.Bounds(),
    )


def seen(release: str, name: str) -> Snapshot:
    """What the check sees of one state."""
    return decoded(_all()[f"{release} {name}"])


# The form of a state -----------------------------------------------------------------------------------------------


def decoded(state: Mapping[str, Any]) -> Snapshot:
    """The snapshot that a state stands for."""
    prefix = f"{state.get('prefix', state['graph'])}-0-"
    gang = _GANG if "gang" in state else ""
    pods = [_pod(prefix + name, one, gang) for names, one in state["pods"].items() for name in names.split()]
    return Snapshot(
        pods=tuple(sorted(pods, key=lambda pod: pod.name)),
        cliques=tuple(_clique(prefix + name, one) for name, one in state["cliques"].items()),
        notices=tuple(Notice(prefix + name, *rest) for name, *rest in state.get("notices", ())),
        graph=Graph(failed=state.get("failed", ""), marked="", failed_since=state.get("since", 0.0)),
        groups={_GANG: state["gang"]} if gang else {},
    )


def encoded(snapshot: Snapshot, graph: str) -> dict[str, Any]:
    """A canonical snapshot of `graph` as a state: `decoded` is its inverse."""
    short = next((one.name.partition("-0-")[0] for one in snapshot.cliques), graph)
    prefix = f"{short}-0-"
    pods: dict[str, tuple[list[str], Any]] = {}
    for pod in snapshot.pods:
        form = _form(pod, _GANG if snapshot.groups else "")
        pods.setdefault(json.dumps([pod.role, form]), ([], form))[0].append(pod.name.removeprefix(prefix))
    found: dict[str, Any] = {
        "graph": graph,
        **({"prefix": short} if short != graph else {}),
        "pods": {" ".join(names): form for names, form in pods.values()},
        "cliques": {
            one.name.removeprefix(prefix): [one.pods, one.refused, one.refused_at] if one.refused else one.pods
            for one in snapshot.cliques
        },
    }
    if snapshot.notices:
        told = snapshot.notices
        found["notices"] = [[one.name.removeprefix(prefix), one.reason, one.message, one.at] for one in told]
    if snapshot.groups:
        found["gang"] = snapshot.groups[_GANG]
    if snapshot.graph.failed:
        found |= {"failed": snapshot.graph.failed, "since": snapshot.graph.failed_since}
    return found


def canonical(snapshot: Snapshot, started: float) -> Snapshot:
    """What of a snapshot a verdict can depend on, with times since `started`."""
    hashes = {clique.name: clique.grove_hash for clique in snapshot.cliques}
    groups = [name for name in snapshot.groups if any(pod.group == name for pod in snapshot.pods)]
    assert len(groups) < 2, "states have one gang that waits"
    refused = {clique.name for clique in snapshot.cliques if clique.refused}
    pods = tuple(
        replace(
            pod,
            uid=pod.name,
            group=_GANG if pod.group in groups else "",
            grove_hash=_HASH if hashes.get(pod.clique, pod.grove_hash) == pod.grove_hash else _OLDER_HASH,
            created=pod.created - started if pod.clique in refused else 0.0,
            containers=tuple(_plain(one) for one in pod.containers),
        )
        for pod in snapshot.pods
    )
    failed = snapshot.graph.failed
    return Snapshot(
        pods=pods,
        cliques=tuple(
            replace(one, grove_hash=_HASH, refused_at=one.refused_at - started if one.refused else 0.0)
            for one in snapshot.cliques
        ),
        notices=tuple(_last_notices(snapshot, started)),
        graph=Graph(failed, "", snapshot.graph.failed_since - started if failed else 0.0),
        groups=dict(zip([_GANG], map(snapshot.groups.__getitem__, groups), strict=False)),
    )


def _last_notices(snapshot: Snapshot, started: float) -> list[Notice]:
    """The last of each kind on each pod that is there; a kind goes by the first words."""
    alive = {pod.name for pod in snapshot.pods}
    last = {(one.name, one.reason, one.message[:16]): one for one in sorted(snapshot.notices, key=lambda one: one.at)}
    return [
        replace(one, at=one.at - started, message=_without_uid(one.message))
        for one in last.values()
        if one.name in alive
    ]


def _plain(container: Container) -> Container:
    image = container.image if container.waiting in PULL_FAILED else IMAGE
    return replace(container, image=image, waiting_message=_without_uid(container.waiting_message))


def _without_uid(words: str) -> str:
    return re.sub(r"_[\w-]+\([0-9a-f-]{36}\)", "", words)


def _role(name: str) -> str:
    """The role in the name of a pod or a PodClique, where a leader and its workers have one each."""
    return next(role for role in ("frontend", "prefill", "decode") if f"-{role}-" in f"{name}-")


def _replica(clique: str) -> str:
    """Its number, in the name of the PodClique of a role of several pods per replica."""
    found = re.search(r"-(\d+)-\w+-(?:ldr|wkr)$", clique)
    return found[1] if found else ""


def _pod(name: str, form: Any, gang: str) -> Pod:
    rest: dict[str, Any] = {} if isinstance(form, str) else dict(form)
    made = KINDS[rest.pop("is", form)]
    role, clique = _role(name), name.rpartition("-")[0]
    made = replace(made, name=name, uid=name, role=role, template=f"wanted-{role}", clique=clique, group=gang)
    made = replace(made, replica=_replica(clique))
    if "container" in rest:
        changed = dict(rest.pop("container"))
        ends = {key: Ended(*changed.pop(key)) for key in ("ended", "last") if key in changed}
        made = replace(made, containers=(replace(_MAIN, **{"running": False, **changed, **ends}),))
    return replace(made, **rest)


def _form(pod: Pod, gang: str) -> Any:
    """The shortest form of a pod: the kind with the fewest other fields beside it."""
    forms: list[dict[str, Any]] = []
    for kind in KINDS:
        plain = _pod(pod.name, kind, gang)
        rest = {
            one.name: getattr(pod, one.name)
            for one in fields(Pod)
            if getattr(pod, one.name) != getattr(plain, one.name)
        }
        if "containers" in rest and len(rest["containers"]) != 1:
            continue
        if "containers" in rest:
            rest["container"] = _changed(*rest.pop("containers"))
        forms.append({"is": kind, **rest})
    form = min(forms, key=lambda one: len(json.dumps(one)))
    return form if len(form) > 1 else form["is"]


def _changed(container: Container) -> dict[str, Any]:
    plain = asdict(replace(_MAIN, running=False))
    ends = {key: list(end.values()) for key, end in asdict(container).items() if key in ("ended", "last") and end}
    return {key: value for key, value in asdict(container).items() if value != plain[key]} | ends


def _clique(name: str, form: Any) -> Clique:
    pods, refused, at = (form, "", 0.0) if isinstance(form, int) else form
    return Clique(name, _role(name), _replica(name), pods, _HASH, refused, at)

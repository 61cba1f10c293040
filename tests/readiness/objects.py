"""Objects as an API server prints them, in the states that the check must tell apart; texts as on real clusters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from readiness import snapshot
from readiness.config import DEPLOYMENT_LABEL, ROLE_LABEL, TEMPLATE_ANNOTATION, Bounds, Config, Role

Json = dict[str, Any]

NAMESPACE = "serving"
DEPLOYMENT = "r1"
MODEL = "deepseek-ai/DeepSeek-R1"
NOW = datetime(2026, 11, 25, 22, 0, 0, tzinfo=UTC).timestamp()
IMAGE = "nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0"
_numbers = itertools.count()


def config(bounds: Bounds | None = None, **roles: int | tuple[int, int, int]) -> Config:
    """What to wait for: the roles with their replicas, or with these, the pods of each and the minimum; each of the
    template `new-<role>`.
    """
    wanted: Mapping[str, int | tuple[int, int, int]] = roles or {"frontend": 2, "prefill": 1, "decode": 2}
    return Config(
        namespace=NAMESPACE,
        deployment=DEPLOYMENT,
        job="readiness-check",
        roles={
            role: Role(size, f"new-{role}") if isinstance(size, int) else Role(size[0], f"new-{role}", *size[1:])
            for role, size in wanted.items()
        },
        url="http://127.0.0.1:8000",
        model=MODEL,
        next="kubectl -n serving get pods",
        bounds=bounds or Bounds(),
    )


def stamp(seconds: float = 0.0) -> str:
    """A time of the API server, `seconds` after `NOW`."""
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    role: str,
    *,
    template: str = "",
    name: str = "",
    made: float = 0.0,
    replica: str = "",
    group: str = "",
    **status: Any,
) -> Json:
    """A pod that waits for nothing but its containers; `template` is `new-<role>` unless given."""
    number = next(_numbers)
    several = {"grove.io/podcliquescalinggroup-replica-index": replica} if replica else {}
    return {
        "kind": "Pod",
        "metadata": {
            "name": name or f"{DEPLOYMENT}-0-{role}-{number:05}",
            "namespace": NAMESPACE,
            "uid": f"uid-{number}",
            "creationTimestamp": stamp(made),
            "labels": {
                DEPLOYMENT_LABEL: DEPLOYMENT,
                ROLE_LABEL: role,
                "grove.io/podclique": f"{DEPLOYMENT}-0-{role}",
                "grove.io/pod-template-hash": "g1",
                **several,
            },
            "annotations": {TEMPLATE_ANNOTATION: template or f"new-{role}", "pod-group-name": group},
        },
        "spec": {
            "schedulerName": "kai-scheduler",
            "nodeName": "a4x-0",
            "containers": [{"name": "main", "image": IMAGE}],
        },
        "status": {"phase": "Pending", "conditions": [_condition("PodScheduled", True)], **status},
    }


def container(state: Json, *, restarts: int = 0, last: Json | None = None, ready: bool = False) -> Json:
    """The status of the main container."""
    return {
        "name": "main",
        "image": IMAGE,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


RUNNING: Json = {"running": {"startedAt": stamp()}}


def loading(role: str, **more: Any) -> Json:
    """A pod that runs and is not ready."""
    return pod(role, phase="Running", conditions=_conditions(False), containerStatuses=[container(RUNNING)], **more)


def ready(role: str, **more: Any) -> Json:
    """A pod that is ready."""
    statuses = [container(RUNNING, ready=True)]
    return pod(role, phase="Running", conditions=_conditions(True), containerStatuses=statuses, **more)


def gated(role: str, **more: Any) -> Json:
    """A pod whose gang is not begun."""
    made = _unplaced(pod(role, **more), "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
    made["spec"]["schedulingGates"] = [{"name": "grove.io/podgang-pending-creation"}]
    return made


def without_node(role: str, message: str, **more: Any) -> Json:
    """A pod for which the scheduler found no node."""
    return _unplaced(pod(role, **more), "Unschedulable", message)


def unseen(role: str, **more: Any) -> Json:
    """A pod that no scheduler has looked at."""
    made = pod(role, conditions=[], **more)
    del made["spec"]["nodeName"]
    return made


def waiting(role: str, reason: str, message: str = "", **more: Any) -> Json:
    """A pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(role, conditions=_conditions(False), containerStatuses=[container(state)], **more)


def crashed(role: str, restarts: int, end: Json, *, state: Json | None = None, **more: Any) -> Json:
    """A pod whose container ended; `end` is the terminated state, `state` what it does now."""
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=main"}}
    statuses = [container(state or back_off, restarts=restarts, last=end)]
    return pod(role, phase="Running", conditions=_conditions(False), containerStatuses=statuses, **more)


def ending(made: Json) -> Json:
    """The same pod, deleted and still there."""
    made["metadata"]["deletionTimestamp"] = stamp(60)
    return made


def clique(role: str, pods: int, *, errors: Iterable[Json] = (), grove_hash: str = "g1", replica: str = "") -> Json:
    """A PodClique."""
    return {
        "kind": "PodClique",
        "metadata": {
            "name": f"{DEPLOYMENT}-0-{role}" + (f"-{replica}-{role}-wkr" if replica else ""),
            "labels": {
                DEPLOYMENT_LABEL: DEPLOYMENT,
                ROLE_LABEL: role,
                "grove.io/pod-template-hash": grove_hash,
                **({"grove.io/podcliquescalinggroup-replica-index": replica} if replica else {}),
            },
        },
        "spec": {"replicas": pods},
        "status": {"lastErrors": list(errors)} if errors else {},
    }


def create_error(role: str, words: str, at: float = 0.0, after: str = "") -> Json:
    """Grove's last error of a pod that could not be created."""
    return {
        "code": "ERR_CREATE_POD",
        "observedAt": stamp(at),
        "description": f"failed to sync Pod: [Operation: Sync, Code: ERR_CREATE_POD] message: failed to create Pod:  "
        f"for PodClique {NAMESPACE}/{DEPLOYMENT}-0-{role}, cause: {words}{after}",
    }


def warning(name: str, reason: str, message: str, at: float = 0.0) -> Json:
    """A warning event."""
    return {
        "kind": "Event",
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": stamp(at),
        "involvedObject": {"name": name, "namespace": NAMESPACE},
    }


def pod_group(name: str, message: str = "", status: str = "True") -> Json:
    """KAI's group of the pods of a gang; with a message it has no place."""
    condition = {"type": "UnschedulableOnNodePool", "reason": "Unschedulable", "status": status, "message": message}
    return {
        "kind": "PodGroup",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "status": {"schedulingConditions": [condition] if message else []},
    }


def graph(state: str = "pending", message: str = "", since: float = 0.0, observed: int | None = None) -> Json:
    """The graph, with its Ready condition."""
    condition: Json = {
        **_condition("Ready", state == "successful"),
        "message": message,
        "lastTransitionTime": stamp(since),
    }
    if observed is not None:
        condition["observedGeneration"] = observed
    return {
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": DEPLOYMENT, "creationTimestamp": stamp()},
        "status": {"state": state, "conditions": [condition]},
    }


def state(
    pods: Iterable[Json],
    *,
    cliques: Iterable[Json] = (),
    events: Iterable[Json] = (),
    of: Json | None = None,
    groups: Iterable[Json] = (),
) -> snapshot.Snapshot:
    """What the check makes of these objects."""
    about = of if of is not None else graph()
    return snapshot.read(pods=pods, cliques=cliques, events=events, graph=about, groups=groups)


def all_ready() -> list[Json]:
    """The pods of `config()`, all ready."""
    return [ready("frontend"), ready("frontend"), ready("prefill"), ready("decode"), ready("decode")]


def _unplaced(made: Json, reason: str, message: str) -> Json:
    del made["spec"]["nodeName"]
    made["status"]["conditions"] = [{**_condition("PodScheduled", False), "reason": reason, "message": message}]
    return made


def _condition(kind: str, true: bool) -> Json:
    return {"type": kind, "status": "True" if true else "False", "lastTransitionTime": stamp()}


def _conditions(is_ready: bool) -> list[Json]:
    return [_condition("PodScheduled", True), _condition("Ready", is_ready)]

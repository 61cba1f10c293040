"""The state of the stack at one moment, reduced to what the check needs.

The graph's status is only read for `failed`: it stays `pending` forever with all pods ready, and is `successful`
before and during a rollout (seen on Dynamo 0.7.0 and 1.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from readiness.config import DEPLOYMENT_LABEL, ROLE_LABEL, TEMPLATE_ANNOTATION
from readiness.fields import Object, as_object, first, inner, number, objects, text
from readiness.kubernetes import ApiError, Kubernetes

Placed = Literal["gated", "unseen", "refused", "placed"]
"""Scheduling state of a pod: not to be scheduled yet, not considered yet, no node found, on a node."""

_CLIQUE_LABEL: Final = "grove.io/podclique"
_GROVE_HASH_LABEL: Final = "grove.io/pod-template-hash"
_REPLICA_LABEL: Final = "grove.io/podcliquescalinggroup-replica-index"
"""On pods and PodCliques of a role of several pods per replica; seen on both Grove releases."""
_GROUP_ANNOTATION: Final = "pod-group-name"
"""On pods: their PodGroup, made by Grove or by KAI's pod-grouper. The PodGroup's own labels differ between the two."""
_CREATE_ERROR: Final = "ERR_CREATE_POD"
_CREATE_EVENT: Final = "PodCreateFailed"
_GRAPH_VERSIONS: Final = ("v1alpha1", "v1beta1")
"""v1alpha1 is served by every release up to 1.6, though deprecated from 1.2 on. From 1.5 on v1beta1 is stored, and
v1alpha1 cannot be read while the conversion webhook is away (seen after an uninstall)."""

HARMLESS: Final = frozenset(
    {
        "AllScheduledReplicasLost",
        "PodGrouperWarning",
        "RollingUpdateNotSupported",
        "Unhealthy",
        "Unschedulable",
        "UpdatePodCliqueSet",
    }
)
"""Warning events that healthy starts and rollouts show as well. Unschedulable pods have a condition."""


@dataclass(frozen=True)
class Ended:
    """The end of a container's run."""

    code: int
    reason: str
    message: str


@dataclass(frozen=True)
class Container:
    """One container of a pod, init containers included."""

    name: str
    image: str
    init: bool
    running: bool
    waiting: str
    """Reason; empty if it does not wait."""
    waiting_message: str
    restarts: int
    ended: Ended | None
    """How the current run ended, if no new one has begun."""
    last: Ended | None
    """How the previous run ended."""

    @property
    def ends(self) -> int:
        """Failed runs."""
        return self.restarts + (1 if self.ended and self.ended.code else 0)


@dataclass(frozen=True)
class Pod:
    """One pod of the graph."""

    name: str
    uid: str
    role: str
    template: str
    """Value of `TEMPLATE_ANNOTATION`; empty on pods that predate it."""
    clique: str
    replica: str
    """Number of its replica; empty if the replica is this pod alone."""
    group: str
    """Name of its PodGroup."""
    grove_hash: str
    """Grove's own hash of its template; differs from that of its PodClique until the pod is replaced."""
    created: float
    """Seconds since the epoch, as are all times here."""
    terminating: bool
    over: str
    """Why it has ended for good, such as `Evicted: ...`; empty while it lives."""
    ready: bool
    placed: Placed
    placing: str
    """The scheduler's message."""
    scheduler: str
    containers: tuple[Container, ...]


@dataclass(frozen=True)
class Clique:
    """One PodClique: pods of one template, created by Grove."""

    name: str
    role: str
    replica: str
    """Number of the replica that its pods belong to; empty if each of them is one."""
    pods: int
    """Desired number of pods."""
    grove_hash: str
    """Grove's own hash of the desired template."""
    refused: str
    """The API server's message for the last pod that could not be created. Never cleared, seen on both Grove
    releases."""
    refused_at: float


@dataclass(frozen=True)
class Notice:
    """A warning event on a pod or a PodClique."""

    name: str
    reason: str
    message: str
    at: float


@dataclass(frozen=True)
class Graph:
    """The graph's status."""

    failed: str
    """Its message while its state is `failed`; else empty."""
    marked: str
    """When its Ready condition changed, as text. Dynamo 0.7.0 rewrites it at every attempt."""
    failed_since: float
    """Since when it has been failing, as far as known."""


@dataclass(frozen=True)
class Snapshot:
    """The whole state."""

    pods: tuple[Pod, ...]
    cliques: tuple[Clique, ...]
    notices: tuple[Notice, ...]
    graph: Graph
    groups: Mapping[str, str] = field(default_factory=dict[str, str])
    """PodGroups that KAI cannot place, by name, with its message."""


def take(api: Kubernetes, deployment: str) -> Snapshot:
    """Read it from the API server. Raises `ApiError`."""
    selector = f"{DEPLOYMENT_LABEL}={deployment}"
    return read(
        pods=api.list("v1", "pods", labelSelector=selector),
        cliques=_objects(api, "grove.io/v1alpha1", "podcliques", labelSelector=selector),
        events=api.list("v1", "events", fieldSelector="type=Warning"),
        graph=_graph_object(api, deployment),
        groups=_objects(api, "scheduling.run.ai/v2alpha2", "podgroups"),
    )


def read(
    *,
    pods: Iterable[Object],
    cliques: Iterable[Object],
    events: Iterable[Object],
    graph: Object,
    groups: Iterable[Object] = (),
) -> Snapshot:
    """The snapshot from objects of the API server; `graph` is empty if there is none."""
    warnings = list(events)
    return Snapshot(
        pods=tuple(sorted((_pod(pod) for pod in pods), key=lambda pod: pod.name)),
        cliques=tuple(sorted((_clique(clique, warnings) for clique in cliques), key=lambda clique: clique.name)),
        notices=tuple(_notices(warnings)),
        graph=_graph(graph),
        groups={name: message for group in groups for name, message in _unplaced(group)},
    )


def _objects(api: Kubernetes, group: str, kind: str, **query: str) -> list[Object]:
    """The objects of a kind of Grove or KAI; none if that is not installed, or serves another version."""
    try:
        return api.list(group, kind, **query)
    except ApiError as error:
        if error.status != 404:
            raise
        return []


def _graph_object(api: Kubernetes, deployment: str) -> Object:
    """The graph, or nothing: without it the check only learns later why pods are missing."""
    silent: ApiError | None = None
    for version in _GRAPH_VERSIONS:
        try:
            return api.get(f"nvidia.com/{version}", "dynamographdeployments", deployment)
        except ApiError as error:
            if error.status in (401, 403):
                raise
            # the API server may wait longer for a conversion webhook than the check for the API server
            silent = silent if error.status else error
    if silent:
        raise silent
    return {}


def _pod(pod: Object) -> Pod:
    labels = inner(pod, "metadata", "labels")
    conditions = {text(condition, "type"): condition for condition in objects(pod, "status", "conditions")}
    placed, placing = _placed(pod, conditions.get("PodScheduled", {}))
    over = text(pod, "status", "phase") in ("Failed", "Succeeded")
    words = (text(pod, "status", "phase"), text(pod, "status", "reason"), text(pod, "status", "message"))
    return Pod(
        name=text(pod, "metadata", "name"),
        uid=text(pod, "metadata", "uid"),
        role=text(labels, ROLE_LABEL),
        template=text(pod, "metadata", "annotations", TEMPLATE_ANNOTATION),
        clique=text(labels, _CLIQUE_LABEL),
        replica=text(labels, _REPLICA_LABEL),
        group=text(pod, "metadata", "annotations", _GROUP_ANNOTATION),
        grove_hash=text(labels, _GROVE_HASH_LABEL),
        created=_time(text(pod, "metadata", "creationTimestamp")),
        terminating=bool(text(pod, "metadata", "deletionTimestamp")),
        over=": ".join(word for word in words if word) if over else "",
        ready=text(conditions.get("Ready", {}), "status") == "True",
        placed=placed,
        placing=placing,
        scheduler=text(pod, "spec", "schedulerName"),
        containers=tuple(_containers(pod)),
    )


def _placed(pod: Object, condition: Object) -> tuple[Placed, str]:
    if text(pod, "spec", "nodeName") or text(condition, "status") == "True":
        return "placed", ""
    message = _line(text(condition, "message"))
    if first(objects(pod, "spec", "schedulingGates")) or text(condition, "reason") == "SchedulingGated":
        return "gated", message
    return ("refused", message) if text(condition, "reason") == "Unschedulable" else ("unseen", message)


def _containers(pod: Object) -> Iterator[Container]:
    for spec_key, status_key in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        images = {text(spec, "name"): text(spec, "image") for spec in objects(pod, "spec", spec_key)}
        for status in objects(pod, "status", status_key):
            name = text(status, "name")
            yield Container(
                name=name,
                image=images.get(name) or text(status, "image"),
                init=spec_key == "initContainers",
                running=bool(inner(status, "state", "running")),
                waiting=text(status, "state", "waiting", "reason"),
                waiting_message=_line(text(status, "state", "waiting", "message")),
                restarts=number(status, "restartCount"),
                ended=_ended(inner(status, "state", "terminated")),
                last=_ended(inner(status, "lastState", "terminated")),
            )


def _ended(terminated: Object) -> Ended | None:
    if not terminated:
        return None
    return Ended(number(terminated, "exitCode"), text(terminated, "reason"), text(terminated, "message").strip())


def _clique(clique: Object, events: Iterable[Object]) -> Clique:
    name = text(clique, "metadata", "name")
    refusals = [
        (_time(text(error, "observedAt")), _refusal(text(error, "description")))
        for error in objects(clique, "status", "lastErrors")
        if text(error, "code") == _CREATE_ERROR
    ]
    refusals += [
        (_event_time(event), _refusal(text(event, "message")))
        for event in events
        if text(event, "reason") == _CREATE_EVENT and text(event, "involvedObject", "name") == name
    ]
    at, words = max(refusals, default=(0.0, ""))
    return Clique(
        name=name,
        role=text(clique, "metadata", "labels", ROLE_LABEL),
        replica=text(clique, "metadata", "labels", _REPLICA_LABEL),
        pods=number(clique, "spec", "replicas"),
        grove_hash=text(clique, "metadata", "labels", _GROVE_HASH_LABEL),
        refused=words,
        refused_at=at,
    )


def _unplaced(group: Object) -> Iterator[tuple[str, str]]:
    """KAI takes the condition away when the gang is placed; its events stop after half a minute (seen on 0.17.0)."""
    for condition in objects(group, "status", "schedulingConditions"):
        if text(condition, "status") == "True" and text(condition, "reason") == "Unschedulable":
            yield text(group, "metadata", "name"), _line(text(condition, "message"))


def _refusal(words: str) -> str:
    """The API server's own message in Grove's error or event; during a rollout Grove's error continues after it."""
    words = words.split("\n[Operation:", 1)[0]
    words = re.sub(r"^.*?\bcause: ", "", words, flags=re.DOTALL)
    return _line(re.sub(r"^(\(combined from similar events\): )?Error creating pod ?: ", "", words))


def _notices(events: Iterable[Object]) -> Iterator[Notice]:
    for event in events:
        if text(event, "type") == "Warning" and text(event, "reason") not in HARMLESS:
            yield Notice(
                name=text(event, "involvedObject", "name"),
                reason=text(event, "reason"),
                message=_line(text(event, "message")),
                at=_event_time(event),
            )


def _graph(graph: Object) -> Graph:
    status = as_object(graph.get("status"))
    ready = first(one for one in objects(status, "conditions") if text(one, "type") == "Ready")
    changed = text(ready, "lastTransitionTime")
    # without observedGeneration in the conditions (0.7.0) the time is that of the last attempt
    since = changed if "observedGeneration" in ready else text(graph, "metadata", "creationTimestamp")
    failed = text(status, "state") == "failed"
    return Graph(
        failed=(_line(text(ready, "message")) or "without a message") if failed else "",
        marked=changed,
        failed_since=_time(since),
    )


def _event_time(event: Object) -> float:
    found = (
        text(event, "series", "lastObservedTime"),
        text(event, "lastTimestamp"),
        text(event, "eventTime"),
        text(event, "metadata", "creationTimestamp"),
    )
    return _time(next((one for one in found if one), ""))


def _time(value: str) -> float:
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return 0.0


def _line(value: str) -> str:
    return " ".join(value.split())

"""Signs in a snapshot that waiting is useless, and how long each must last before it counts.

Each sign also occurs for a while in deployments that then serve, so none counts at once. A second run of the check,
after only the cluster was repaired, must not repeat the verdict of the first: Grove, operator and kubelet retry at
growing intervals, and their last message stays on the objects until then. So most signs only count when the same
attempt has failed once more during this run.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from readiness.config import Config
from readiness.snapshot import Clique, Container, Graph, Pod, Snapshot

NEVER: Final = math.inf

PULL_FAILED: Final = frozenset(
    {"ErrImagePull", "ImageInspectError", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"}
)
"""Waiting reasons of a container whose image cannot be pulled; the kubelet alternates between them."""
_CANNOT_START: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "InvalidImageName",
        "RunContainerError",
    }
)
_BACK_OFF: Final = re.compile(r'^Back-off pulling image "[^"]*"(: )?')
_REGISTRY_SAYS_NO: Final = re.compile(
    r"not found|unauthori[sz]ed|forbidden|denied|no match for platform|manifest unknown|does not exist|no basic auth",
    re.IGNORECASE,
)
_WEBHOOK_SILENT: Final = re.compile(
    r"failed calling webhook|connection refused|deadline exceeded|i/o timeout|no endpoints available|etcdserver",
    re.IGNORECASE,
)
_CULPRIT: Final = re.compile(r"Resources were not found for pod [^\s/]+/(?P<pod>\S+) due to: (?P<why>.*)")
"""KAI's message on the pods of a gang, which names the unschedulable one (seen on 0.17.0)."""


Replica = tuple[str, str]
"""Role, and number of the replica or name of its only pod."""


@dataclass(frozen=True)
class Symptom:
    """One sign that the deployment may never be ready."""

    key: str
    """Identifies the same problem in successive snapshots."""
    mark: str
    """Changes whenever a retry has failed."""
    cause: str
    """One self-contained line."""
    patience: float
    """Seconds that it must last, ..."""
    attempts: int = 0
    """... with this many changes of `mark`, ..."""
    unseen_patience: float = NEVER
    """... or seconds that it must last without them."""
    while_idle: bool = False
    """Whether its time counts from the last progress of any pod."""
    words: str = ""
    """Details such as a traceback; may have many lines."""
    log_of: tuple[str, str] | None = None
    """Pod and container whose log has the details, if `words` is empty."""
    lost: frozenset[Replica] | None = None
    """The replicas that never come if it is believed; None: nothing more comes."""


def wanted(config: Config, snapshot: Snapshot, role: str) -> list[Pod]:
    """The live pods of `role` with the wanted template."""
    return [pod for pod in snapshot.pods if pod.role == role and _is_wanted(config, pod)]


def replica_of(pod: Pod) -> Replica:
    """The replica that `pod` belongs to."""
    return pod.role, pod.replica or pod.name


def left(config: Config, snapshot: Snapshot) -> list[Pod]:
    """The pods that must be gone before the stack is what the program describes.

    A pod of another template counts until it is gone, terminating or not: while its processes live it is registered and
    may be the one that answers. A finished pod has no processes.
    """
    return [pod for pod in snapshot.pods if not pod.over and not _has_template(config, pod)]


def outdated(snapshot: Snapshot) -> list[Pod]:
    """The pods that Grove is about to replace, independent of the program's template hash.

    Dynamo 1.5 rolls both worker roles when one changes. Only a hint: on Grove alpha.3 pods were seen to keep the older
    hash after their rollout.
    """
    hashes = {clique.name: clique.grove_hash for clique in snapshot.cliques}
    return [pod for pod in snapshot.pods if pod.grove_hash and hashes.get(pod.clique, "") not in ("", pod.grove_hash)]


def symptoms(config: Config, snapshot: Snapshot, started: float) -> Iterator[Symptom]:
    """All signs in `snapshot`, the most significant first; `started` is the check's start (seconds since the epoch)."""
    pending = [pod for role in config.roles for pod in wanted(config, snapshot, role) if not pod.ready]
    for clique in snapshot.cliques:
        yield from _refused(config, snapshot, clique)
    for pod in pending:
        for container in pod.containers:
            yield from _image(config, snapshot, pod, container)
    for pod in sorted(pending, key=lambda pod: -max((one.ends for one in pod.containers), default=0)):
        for container in pod.containers:
            yield from _crash(config, pod, container)
            yield from _cannot_start(config, pod, container)
    yield from _without_node(config, snapshot, pending)
    yield from _failed_graph(config, snapshot.graph, started)


def gated(config: Config, snapshot: Snapshot) -> Iterator[Symptom]:
    """Pods that wait for the first gang: no cause, but if that never comes, they do not either."""
    for role in config.roles:
        for pod in wanted(config, snapshot, role):
            if pod.placed == "gated":
                lost = frozenset({replica_of(pod)})
                yield Symptom(key=f"gated/{pod.uid}", mark="", cause="", patience=config.bounds.refused, lost=lost)


def idle(config: Config, snapshot: Snapshot, lost: AbstractSet[Replica]) -> Iterator[Symptom]:
    """Pods are missing or outdated, and none starts or terminates, apart from those of replicas that are `lost`."""
    waiting = [pod for role in config.roles for pod in wanted(config, snapshot, role) if not pod.ready]
    if any(pod.terminating for pod in snapshot.pods) or any(replica_of(pod) not in lost for pod in waiting):
        return
    missing = [
        f"{role} has {len(pods)} of {need.pods} pods"
        for role, need in config.roles.items()
        if len(pods := wanted(config, snapshot, role)) < need.pods
    ]
    old = [pod.name for pod in left(config, snapshot)]
    if old:
        verb = "is" if len(old) == 1 else "are"
        missing.append(f"{len(old)} with an outdated template {verb} left ({', '.join(old[:3])})")
    if not missing:
        return
    said = [f"the graph says: {snapshot.graph.failed}"] if snapshot.graph.failed else []
    said += [f"Grove says: {clique.refused}" for clique in snapshot.cliques if clique.refused]
    yield Symptom(
        key="idle",
        mark="",
        cause=f"no progress: {', '.join(missing)}, and no pod is being created, changed or removed; "
        + (said[0] if said else "is the Dynamo operator running, and Grove?"),
        patience=config.bounds.stalled,
        while_idle=True,
    )


def minutes(seconds: float) -> str:
    """A duration, for users."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _has_template(config: Config, pod: Pod) -> bool:
    return pod.role in config.roles and pod.template == config.roles[pod.role].template


def _is_wanted(config: Config, pod: Pod) -> bool:
    return not pod.terminating and not pod.over and _has_template(config, pod)


def _refused(config: Config, snapshot: Snapshot, clique: Clique) -> Iterator[Symptom]:
    pods = [pod for pod in snapshot.pods if pod.clique == clique.name]
    alive = [pod for pod in pods if not pod.terminating and not pod.over]
    # the message stays on the object for good; a pod created after it shows that the problem is solved
    if not clique.refused or len(alive) >= clique.pods or any(pod.created > clique.refused_at for pod in pods):
        return
    bounds, silent = config.bounds, _WEBHOOK_SILENT.search(clique.refused)
    missing = [clique.replica] if clique.replica else [f"{clique.name}/{n}" for n in range(len(alive), clique.pods)]
    yield Symptom(
        key=f"refused/{clique.name}",
        mark=f"{clique.refused_at}",
        cause=f"pods of {clique.role or clique.name} cannot be created ({len(alive)} of {clique.pods} exist): "
        f"{clique.refused}",
        patience=bounds.webhook if silent else bounds.refused,
        attempts=1,
        unseen_patience=bounds.unseen_attempt + bounds.refused,
        lost=frozenset((clique.role, one) for one in missing) if clique.role in config.roles else None,
    )


def _image(config: Config, snapshot: Snapshot, pod: Pod, container: Container) -> Iterator[Symptom]:
    if container.waiting not in PULL_FAILED:
        return
    words = _BACK_OFF.sub("", container.waiting_message)
    if not words:
        pulls = [one for one in snapshot.notices if one.name == pod.name and "pull image" in one.message]
        words = max(pulls, key=lambda one: one.at).message if pulls else container.waiting
    bounds, refused = config.bounds, _REGISTRY_SAYS_NO.search(words)
    yield Symptom(
        key=f"image/{pod.uid}/{container.name}",
        mark=container.waiting,
        cause=f"image {container.image} of pod {pod.name} ({pod.role}) cannot be pulled: {words}",
        patience=bounds.image if refused else bounds.registry,
        # from back-off to a failed pull and back, or the other way round
        attempts=2,
        unseen_patience=bounds.unseen_pull,
        lost=frozenset({replica_of(pod)}),
    )


def _crash(config: Config, pod: Pod, container: Container) -> Iterator[Symptom]:
    if not container.ends or (container.init and not container.waiting and not container.ended):
        return
    end = container.ended or container.last
    how = "" if end is None else _how_it_ended(end.code, end.reason)
    message = "" if end is None else end.message
    last_line = message.splitlines()[-1].strip() if message else ""
    keeps = container.ends >= config.bounds.crashes
    yield Symptom(
        key=f"crash/{pod.uid}/{container.name}",
        mark=f"{container.ends}",
        cause=f"container {container.name} of pod {pod.name} ({pod.role}) {'keeps crashing' if keeps else 'crashed'} "
        f"({'once' if container.ends == 1 else f'{container.ends} times'}{how})"
        + (f": {last_line}" if last_line else ""),
        patience=config.bounds.crash if keeps else NEVER,
        # crashes from before the check do not count alone: their cause may be repaired
        attempts=min(2, config.bounds.crashes - 1),
        words=message,
        log_of=None if message else (pod.name, container.name),
        lost=frozenset({replica_of(pod)}),
    )


def _how_it_ended(code: int, reason: str) -> str:
    return f", {reason}, exit code {code}" if reason and reason != "Error" else f", exit code {code}"


def _cannot_start(config: Config, pod: Pod, container: Container) -> Iterator[Symptom]:
    if container.waiting in _CANNOT_START:
        yield Symptom(
            key=f"container/{pod.uid}/{container.name}",
            mark="",
            cause=f"container {container.name} of pod {pod.name} ({pod.role}) cannot start: "
            f"{container.waiting}: {container.waiting_message}",
            patience=config.bounds.container,
            lost=frozenset({replica_of(pod)}),
        )


def _without_node(config: Config, snapshot: Snapshot, pending: list[Pod]) -> Iterator[Symptom]:
    waiting = [pod for pod in pending if pod.placed in ("refused", "unseen")]
    gated = sum(pod.placed == "gated" for pod in pending)
    for pod in waiting:
        gang = [one for one in waiting if one.group == pod.group]
        said = snapshot.groups.get(pod.group, "")
        if pod.placed == "unseen" and not said:
            cause = f"pod {pod.name} ({pod.role}) has not been considered by its scheduler {pod.scheduler}" + (
                f": {pod.placing}" if pod.placing else ""
            )
        else:
            cause = _no_place(pod, gang, said)
        others = len(waiting) + gated - 1
        yield Symptom(
            key=f"node/{pod.uid}",
            mark="",
            cause=cause + (f" ({others} more {'pod waits' if others == 1 else 'pods wait'})" if others else ""),
            patience=config.unschedulable,
            lost=frozenset({replica_of(pod)}),
        )


def _no_place(pod: Pod, gang: list[Pod], said: str) -> str:
    """Names the unschedulable pod of the gang: KAI's message on the PodGroup, else on the other pods, says which one,
    on that one why.
    """
    named = [found for found in map(_CULPRIT.search, [said] if said else [one.placing for one in gang]) if found]
    if not named:
        return f"no node for pod {pod.name} ({pod.role}): {said or pod.placing}"
    name = Counter(found["pod"] for found in named).most_common(1)[0][0]
    for one in gang:
        if one.name == name and one.placing and not _CULPRIT.search(one.placing):
            return f"no node for pod {name} ({one.role}): {one.placing}"
    why = next(found["why"] for found in named if found["pod"] == name)
    return f"no node for pod {name}: {why.rstrip('.')}."


def _failed_graph(config: Config, graph: Graph, started: float) -> Iterator[Symptom]:
    # a webhook that does not answer usually recovers; otherwise nothing progresses, which is a symptom of its own
    if not graph.failed or _WEBHOOK_SILENT.search(graph.failed):
        return
    least, most = config.bounds.graph_failed, config.bounds.unseen_attempt + config.bounds.graph_failed
    yield Symptom(
        key=f"graph/{graph.failed}",
        mark=graph.marked,
        cause=f"the graph {config.deployment} is failed: {graph.failed}",
        patience=least,
        attempts=1,
        # the retry interval is about as long as it has been failing
        unseen_patience=min(max(least, started - graph.failed_since), most),
        while_idle=True,
    )

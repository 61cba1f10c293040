"""The verdict: a pure function of the configuration, a snapshot, earlier snapshots, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from readiness.config import Config
from readiness.endpoint import Reply
from readiness.progress import describe
from readiness.replicas import coming, complete, enough, out_of_reach, short
from readiness.snapshot import Pod, Snapshot
from readiness.symptoms import NEVER, Replica, Symptom, gated, idle, minutes, outdated, symptoms, wanted


@dataclass(frozen=True)
class Waiting:
    """Not yet."""

    line: str
    """The state of all roles, for the log."""


@dataclass(frozen=True)
class PodsReady:
    """All pods exist, are ready and have the wanted template, or the minimum does: the endpoint can be tested."""

    line: str
    degraded: Failed | None = None
    """Why the rest does not come; None if nothing is missing."""


@dataclass(frozen=True)
class Answers:
    """The endpoint answered: the stack serves."""

    line: str
    degraded: Failed | None = None
    """Why the rest of it does not come; None if nothing is missing."""


@dataclass(frozen=True)
class Failed:
    """Further waiting is useless."""

    cause: str
    """One self-contained line."""
    line: str = ""
    """The state of all roles."""
    words: str = ""
    """Details; many lines."""
    log_of: tuple[str, str] | None = None
    """Pod and container whose log has the details."""


Verdict = Waiting | PodsReady | Failed
Found = Waiting | Answers | Failed

SPLIT_DOMAIN = "a split NVLink domain answers 200 without content"
MINIMUM = "with the minimum that serves ready"


@dataclass(frozen=True)
class Observation:
    """One symptom, seen without interruption."""

    since: float
    mark: str
    attempts: int = 0
    """Changes of the mark."""


@dataclass(frozen=True)
class Memory:
    """What is remembered of earlier snapshots."""

    started: float
    """The check's start, on the clock that `judge` is given."""
    started_at: float
    """The same in seconds since the epoch, for comparison with objects."""
    progressed: float
    """When a new maximum in `reached` was last seen."""
    reached: tuple[int, ...] = (0, 0, 0, 0)
    """Highest number of pods of the wanted template that existed, had a node, ran, were ready."""
    sightings: Mapping[str, Observation] = field(default_factory=dict[str, Observation])
    unusable: int = 0
    """Number of unusable answers of the endpoint."""

    @classmethod
    def begin(cls, now: float, epoch: float) -> Memory:
        """Nothing seen yet."""
        return cls(started=now, started_at=epoch, progressed=now)


def judge(config: Config, snapshot: Snapshot, memory: Memory, now: float) -> tuple[Verdict, Memory]:
    """The verdict on `snapshot`, taken at `now`, and the updated memory."""
    line, before, whole = describe(config, snapshot), memory.sightings, complete(config, snapshot)
    found, behind = list(symptoms(config, snapshot, memory.started_at)), list(gated(config, snapshot))
    unsettled = _unsettled(config, snapshot) if whole else []
    memory = _progressed(config, snapshot, replace(memory, sightings={}), now)
    memory = _sight(memory, before, [*found, *behind, *unsettled], now)
    if whole and unsettled == _believed(unsettled, memory, now):
        return PodsReady(line), memory
    still = list(idle(config, snapshot, _lost(_believed(found, memory, now))))
    memory, found = _sight(memory, before, still, now), found + still
    fatal = _fatal(config, snapshot, _believed(found, memory, now), _lost(_believed(behind, memory, now)))
    failed = None
    if fatal:
        failed = Failed(fatal[0].cause, line, _words(config, snapshot, fatal[0]), fatal[0].log_of)
    elif now - memory.started >= config.deadline:
        failed = _too_late(config, snapshot, found, line)
    if not enough(config, snapshot):
        return failed or Waiting(line), replace(memory, unusable=0)
    if failed:
        degraded = replace(failed, cause=f"degraded: {short(config, snapshot)}: {failed.cause}")
        return PodsReady(line, degraded), memory
    return Waiting(f"{line}; {MINIMUM}"), replace(memory, unusable=0)


def evaluate_reply(config: Config, memory: Memory, reply: Reply, pods: PodsReady, now: float) -> tuple[Found, Memory]:
    """The verdict on an answer of the endpoint, and the updated memory."""
    if reply.kind == "good":
        return Answers(f"{pods.line}; the model answers: {reply.text}", pods.degraded), memory
    count = memory.unusable + (reply.kind != "later")
    memory = replace(memory, unusable=count)
    # a stack that is called degraded at the deadline has not been asked before
    deadline = config.deadline + (config.bounds.settling if pods.degraded else 0)
    cause = ""
    if count >= config.bounds.unusable_answers and reply.kind == "empty":
        cause = f"the model gave {count} empty answers: {SPLIT_DOMAIN}; the last answer: {reply.text}"
    elif count >= config.bounds.unusable_answers and reply.kind == "unusable":
        cause = f"no answer of the model can be used, {count} times; the last one: {reply.text}"
    elif now - memory.started >= deadline:
        ready = MINIMUM if pods.degraded else "with all pods ready"
        cause = f"not answering after {minutes(deadline)}, {ready}; the last answer: {reply.text}"
    if not cause:
        return Waiting(f"{pods.line}; no answer yet: {reply.text}"), memory
    return Failed(cause, pods.line, pods.degraded.cause if pods.degraded else ""), memory


def _fatal(config: Config, snapshot: Snapshot, believed: list[Symptom], behind: frozenset[Replica]) -> list[Symptom]:
    """Those `believed` symptoms for which waiting is useless; `behind`: the replicas that wait for the first gang."""
    lost, nothing_more = _lost(believed), any(symptom.lost is None for symptom in believed)
    if enough(config, snapshot):
        return [] if coming(config, snapshot, lost, made=nothing_more) else believed
    if nothing_more or not believed:
        return believed
    roles = out_of_reach(config, lost | behind)
    return [one for one in believed if roles & {role for role, _ in one.lost or ()}] or (believed if roles else [])


def _believed(found: list[Symptom], memory: Memory, now: float) -> list[Symptom]:
    return [symptom for symptom in found if _lasts(symptom, memory, now)]


def _lost(believed: list[Symptom]) -> frozenset[Replica]:
    """The replicas that never come."""
    return frozenset[Replica]().union(*(one.lost or () for one in believed))


def _unsettled(config: Config, snapshot: Snapshot) -> list[Symptom]:
    """All wanted pods are ready, but some are about to be removed: surplus, or of an older Grove template.

    That takes seconds if Grove acts on it; if it does not, all wanted pods are ready nevertheless.
    """
    more = [role for role, need in config.roles.items() if len(wanted(config, snapshot, role)) > need.pods]
    if not more and not outdated(snapshot):
        return []
    return [Symptom(key="unsettled", mark="", cause="", patience=config.bounds.settling)]


def _sight(memory: Memory, before: Mapping[str, Observation], found: list[Symptom], now: float) -> Memory:
    """Remembers `found` beside what was seen in this snapshot; `before` is of the one before it."""
    seen = dict(memory.sightings)
    for symptom in found:
        last = before.get(symptom.key, Observation(now, symptom.mark))
        again = last.mark != symptom.mark
        seen[symptom.key] = replace(last, mark=symptom.mark, attempts=last.attempts + again)
    return replace(memory, sightings=seen)


def _progressed(config: Config, snapshot: Snapshot, memory: Memory, now: float) -> Memory:
    reached = _reached(config, snapshot)
    further = any(here > there for here, there in zip(reached, memory.reached, strict=True))
    return replace(
        memory,
        reached=tuple(max(pair) for pair in zip(reached, memory.reached, strict=True)),
        progressed=now if further else memory.progressed,
    )


def _reached(config: Config, snapshot: Snapshot) -> tuple[int, ...]:
    pods: list[Pod] = [pod for role in config.roles for pod in wanted(config, snapshot, role)]
    return (
        len(pods),
        sum(pod.placed == "placed" for pod in pods),
        sum(any(one.running for one in pod.containers) for pod in pods),
        sum(pod.ready for pod in pods),
    )


def _lasts(symptom: Symptom, memory: Memory, now: float) -> bool:
    sighting = memory.sightings[symptom.key]
    since = max(sighting.since, memory.progressed) if symptom.while_idle else sighting.since
    patience = symptom.patience if sighting.attempts >= symptom.attempts else symptom.unseen_patience
    return patience != NEVER and now - since >= patience


def _too_late(config: Config, snapshot: Snapshot, found: list[Symptom], line: str) -> Failed:
    after = f"not ready after {minutes(config.deadline)}"
    if found:
        return Failed(f"{after}: {found[0].cause}", line, _words(config, snapshot, found[0]), found[0].log_of)
    return Failed(f"{after}: {line}", "", _words(config, snapshot, None))


def _words(config: Config, snapshot: Snapshot, symptom: Symptom | None) -> str:
    """Details about what is missing: the symptom's own first, then the newest warnings."""
    said = [symptom.words] if symptom and symptom.words else []
    gone = [f"{pod.name} has terminated: {pod.over}" for pod in snapshot.pods if pod.over and pod.role in config.roles]
    ending = [pod.name for pod in snapshot.pods if pod.terminating and not pod.over]
    names = {pod.name for role in config.roles for pod in wanted(config, snapshot, role) if not pod.ready}
    told = symptom.cause if symptom else ""
    notices = sorted((one for one in snapshot.notices if one.name in names), key=lambda one: -one.at)
    said += gone[:3]
    said += [f"{name} is being deleted and has not terminated" for name in ending[:3]]
    said += [f"{one.name}: {one.reason}: {one.message}" for one in notices[:3] if one.message not in told]
    return "\n".join(said)

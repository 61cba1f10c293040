"""The verdict: a pure function of the configuration, a snapshot, earlier snapshots, and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from readiness.config import Config
from readiness.endpoint import Reply
from readiness.progress import describe
from readiness.snapshot import Pod, Snapshot
from readiness.symptoms import NEVER, Symptom, left, minutes, outdated, symptoms, wanted


@dataclass(frozen=True)
class Waiting:
    """Not yet."""

    line: str
    """The state of all roles, for the log."""


@dataclass(frozen=True)
class PodsReady:
    """All pods exist, are ready and have the wanted template: the endpoint can be tested."""

    line: str


@dataclass(frozen=True)
class Answers:
    """The endpoint answered: the stack serves."""

    line: str


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


@dataclass(frozen=True)
class Sighting:
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
    sightings: Mapping[str, Sighting] = field(default_factory=dict[str, Sighting])
    unusable: int = 0
    """Number of unusable answers of the endpoint."""

    @classmethod
    def begin(cls, now: float, epoch: float) -> Memory:
        """Nothing seen yet."""
        return cls(started=now, started_at=epoch, progressed=now)


def judge(config: Config, snapshot: Snapshot, memory: Memory, now: float) -> tuple[Verdict, Memory]:
    """The verdict on `snapshot`, taken at `now`, and the updated memory."""
    found = list(symptoms(config, snapshot, memory.started_at))
    complete = _complete(config, snapshot)
    unsettled = _unsettled(config, snapshot) if complete else None
    memory = _remember(config, snapshot, memory, found + ([unsettled] if unsettled else []), now)
    line = describe(config, snapshot)
    if complete and (unsettled is None or _believed(unsettled, memory, now)):
        return PodsReady(line), memory
    memory = replace(memory, unusable=0)
    for symptom in found:
        if _believed(symptom, memory, now):
            return Failed(symptom.cause, line, _words(config, snapshot, symptom), symptom.log_of), memory
    if now - memory.started >= config.deadline:
        return _too_late(config, snapshot, found, line), memory
    return Waiting(line), memory


def weigh(config: Config, memory: Memory, reply: Reply, line: str, now: float) -> tuple[Found, Memory]:
    """The verdict on an answer of the endpoint, and the updated memory; `line` is the state of the pods."""
    if reply.kind == "good":
        return Answers(f"{line}; the model answers: {reply.text}"), memory
    count = memory.unusable + (reply.kind != "later")
    memory = replace(memory, unusable=count)
    cause = ""
    if count >= config.bounds.unusable_answers and reply.kind == "empty":
        cause = f"the model gave {count} empty answers: {SPLIT_DOMAIN}; the last answer: {reply.text}"
    elif count >= config.bounds.unusable_answers and reply.kind == "unusable":
        cause = f"no answer of the model can be used, {count} times; the last one: {reply.text}"
    elif now - memory.started >= config.deadline:
        cause = f"not answering after {minutes(config.deadline)}, with all pods ready; the last answer: {reply.text}"
    return (Failed(cause, line) if cause else Waiting(f"{line}; no answer yet: {reply.text}")), memory


def _complete(config: Config, snapshot: Snapshot) -> bool:
    """Roles and numbers come from the config, so a role without any pods is not overlooked."""
    if left(config, snapshot):
        return False
    return all(_ready(config, snapshot, role) >= need.pods for role, need in config.roles.items())


def _ready(config: Config, snapshot: Snapshot, role: str) -> int:
    return sum(pod.ready for pod in wanted(config, snapshot, role))


def _unsettled(config: Config, snapshot: Snapshot) -> Symptom | None:
    """All wanted pods are ready, but some are about to be removed: surplus, or of an older Grove template.

    That takes seconds if Grove acts on it; if it does not, all wanted pods are ready nevertheless.
    """
    more = [role for role, need in config.roles.items() if len(wanted(config, snapshot, role)) > need.pods]
    if not more and not outdated(snapshot):
        return None
    return Symptom(key="unsettled", mark="", cause="", patience=config.bounds.settling)


def _remember(config: Config, snapshot: Snapshot, memory: Memory, found: list[Symptom], now: float) -> Memory:
    seen: dict[str, Sighting] = {}
    for symptom in found:
        before = memory.sightings.get(symptom.key, Sighting(now, symptom.mark))
        again = before.mark != symptom.mark
        seen[symptom.key] = replace(before, mark=symptom.mark, attempts=before.attempts + again)
    reached = _reached(config, snapshot)
    further = any(here > there for here, there in zip(reached, memory.reached, strict=True))
    return replace(
        memory,
        sightings=seen,
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


def _believed(symptom: Symptom, memory: Memory, now: float) -> bool:
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
    gone = [f"{pod.name} is over: {pod.over}" for pod in snapshot.pods if pod.over and pod.role in config.roles]
    ending = [pod.name for pod in snapshot.pods if pod.terminating and not pod.over]
    names = {pod.name for role in config.roles for pod in wanted(config, snapshot, role) if not pod.ready}
    told = symptom.cause if symptom else ""
    notices = sorted((one for one in snapshot.notices if one.name in names), key=lambda one: -one.at)
    said += gone[:3]
    said += [f"{name} is being deleted and has not ended" for name in ending[:3]]
    said += [f"{one.name}: {one.reason}: {one.message}" for one in notices[:3] if one.message not in told]
    return "\n".join(said)

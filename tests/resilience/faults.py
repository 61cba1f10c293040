"""Faults: every create and every delete of an environment fails once, and nothing is lost.

A run of the engine that fails is continued by the next run on the same state, so that one environment's life
covers all its resources: each run meets the next fault, must stop with a message that names the resource and the
cause, and must get past it in the run after. Two ways through the graph:

- one at a time: one worker, and the first call that has not failed yet fails. As many runs as resources. Every
  stack that is half made, and every one that is half taken down, is seen once.
- all at once: every call fails when it is made first, and the engine goes on with what does not depend on it. As
  many runs as the graph is deep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

from rehearsal import ApiError, Call, Rehearsal
from rehearsal.simulator import gcp_rules
from rehearsal.simulator.faults import LostConnectionError, NotReadyError
from tests.resilience import life
from tests.resilience.life import ProofError, Say, Tally


class Fault(Enum):
    """What goes wrong at a call."""

    REFUSED = "error before the effect"
    LOST_BEFORE = "connection lost before the effect"
    HANG = "no answer until the plugin's timeout"
    NOT_READY = "made, not ready in time (the plugin hands the object over with its error)"
    DONE_REFUSED = "error after the effect"
    DONE_LOST = "connection lost after the effect"

    @property
    def carried_out(self) -> bool:
        """Whether the cloud does its work before the fault."""
        return self in (Fault.NOT_READY, Fault.DONE_REFUSED, Fault.DONE_LOST)

    @property
    def loses_objects(self) -> bool:
        """Whether a create that fails so leaves an object that the engine does not know."""
        return self in (Fault.DONE_REFUSED, Fault.DONE_LOST)


_HANG_SECONDS = 0.4
"""How long a hanging call hangs here. The engine sets no limit of its own: the real plugins end a call after the
resource's timeout, and that answer is what counts."""
_MESSAGES = {
    Fault.REFUSED: "made-up fault: quota exceeded",
    Fault.LOST_BEFORE: "made-up fault: error reading from server: EOF",
    Fault.HANG: "made-up fault: timeout while waiting for state to become 'RUNNING'",
    Fault.NOT_READY: "made-up fault: timed out waiting for the object to become ready",
    Fault.DONE_REFUSED: "made-up fault: error waiting for the operation: 503 backend error",
    Fault.DONE_LOST: "made-up fault: connection reset by peer",
}
BEFORE = (Fault.REFUSED, Fault.LOST_BEFORE, Fault.HANG)
"""Faults that change nothing in the cloud."""


@dataclass
class FaultInjector:
    """Lets each resource's call of one operation fail once, and remembers which did in the current run."""

    op: str
    kinds: Sequence[Fault]
    one_at_a_time: bool
    done: dict[str, Fault] = field(default_factory=dict[str, Fault])
    hits: dict[str, Fault] = field(default_factory=dict[str, Fault])

    def arm(self, rehearsal: Rehearsal) -> None:
        """Stand around the cloud's calls."""
        rehearsal.cloud.faults.before.append(partial(self._around, False))
        rehearsal.cloud.faults.after.append(partial(self._around, True))

    def begin(self) -> None:
        """A new run of the engine."""
        self.hits = {}

    def _around(self, after: bool, call: Call) -> Awaitable[None] | None:
        if call.op != self.op or call.preview or call.urn in self.done:
            return None
        fault = self.kinds[len(self.done) % len(self.kinds)]
        if fault.carried_out and call.kind.startswith("random:"):
            # A random value exists in the state only: there is nothing to lose.
            fault = Fault.REFUSED
        if fault.carried_out != after or (self.one_at_a_time and self.hits):
            return None
        self.done[call.urn] = self.hits[call.urn] = fault
        if fault is Fault.HANG:
            return _hang()
        raise _error(fault)


def _error(fault: Fault) -> ApiError:
    message = _MESSAGES[fault]
    if fault in (Fault.LOST_BEFORE, Fault.DONE_LOST):
        return LostConnectionError(message)
    return NotReadyError(message) if fault is Fault.NOT_READY else ApiError(message)


async def _hang() -> None:
    await asyncio.sleep(_HANG_SECONDS)
    raise _error(Fault.HANG)


def creates(rehearsal: Rehearsal, kinds: Sequence[Fault], *, one_at_a_time: bool, say: Say) -> Tally:
    """Let every create of an `up` fail once; ends with the wanted state."""
    way = "one at a time" if one_at_a_time else "all at once"
    tally = Tally(f"{rehearsal.name}, creates, {way} ({'; '.join(kind.value for kind in kinds)})")
    injector = FaultInjector("create", kinds, one_at_a_time)
    injector.arm(rehearsal)

    def again() -> None:
        # What exists and is not known: the next `up` must say so, and the runbook's import brings it back. An `up` that
        # fails may end before it has come to all of them.
        while lost := _unknown(rehearsal, injector):
            injector.begin()
            told = life.failed(partial(rehearsal.up, continue_on_error=True))
            causes = told.causes if told else []
            unsaid = [urn for urn in lost if not _taken_over(urn) and not _reported(urn, causes)]
            said = [urn for urn in lost if urn not in unsaid]
            if not said or (unsaid and told is None):
                raise ProofError(f"{life.spoken(unsaid[0])} exists, and the next up did not say so: {causes}")
            known = _known(rehearsal)
            life.adopt_lost(rehearsal, [urn for urn in said if urn not in known])

    options: dict[str, Any] = {"parallel": 1} if one_at_a_time else {"continue_on_error": True}
    _rounds(injector, lambda: rehearsal.up(**options), again, tally, say)
    rehearsal.cloud.faults.clear()
    rehearsal.up_without_change()
    expected = {str(r["urn"]) for r in life.resources(rehearsal.export())}
    _settle(rehearsal, injector, expected, tally)
    return tally


def _unknown(rehearsal: Rehearsal, injector: FaultInjector) -> list[str]:
    """What was made, lost on the way back, and is not in the state yet."""
    known = _known(rehearsal)
    return [urn for urn, fault in injector.done.items() if fault.loses_objects and urn not in known]


def _known(rehearsal: Rehearsal) -> set[str]:
    return {str(resource["urn"]) for resource in life.resources(rehearsal.export())}


def _taken_over(urn: str) -> bool:
    """Whether an object that exists is made twice without harm, written into, or taken over."""
    kind = life.kind_of(urn)
    return kind in gcp_rules.ADDITIVE or kind.endswith(("Patch", ":SchedulingShard"))


def _reported(urn: str, causes: Sequence[str]) -> bool:
    return any(_names(cause, urn, "already exists", "still in use") for cause in causes)


def deletes(rehearsal: Rehearsal, kinds: Sequence[Fault], *, one_at_a_time: bool, say: Say) -> Tally:
    """Let every delete of a `destroy` fail once; ends with nothing left."""
    way = "one at a time" if one_at_a_time else "all at once"
    tally = Tally(f"{rehearsal.name}, deletes, {way} ({'; '.join(kind.value for kind in kinds)})")
    injector = FaultInjector("delete", kinds, one_at_a_time)
    injector.arm(rehearsal)
    expected = {str(r["urn"]) for r in life.resources(rehearsal.export())}
    options: dict[str, Any] = {"parallel": 1} if one_at_a_time else {"continue_on_error": True}
    _rounds(injector, lambda: rehearsal.destroy(**options), lambda: None, tally, say)
    rehearsal.cloud.faults.clear()
    _settle(rehearsal, injector, expected, tally)
    life.require_empty(rehearsal, "after the destroy")
    return tally


def _rounds(
    injector: FaultInjector,
    run: Callable[[], Any],
    recover: Callable[[], None],
    tally: Tally,
    say: Say,
) -> None:
    """Run until nothing fails any more; each run must stop at what was broken and say so."""
    started = time.monotonic()
    rounds = 0
    while True:
        rounds += 1
        injector.begin()
        error = life.failed(run)
        met = dict(injector.hits)
        if error is None:
            if met:
                raise ProofError(f"the run went well although {', '.join(map(life.spoken, met))} failed")
            break
        _told(error.causes, met)
        recover()
        if rounds % 10 == 0:
            say(f"  {tally.name}: run {rounds}, {len(injector.done)} faults so far")
    tally.seconds = time.monotonic() - started
    tally.notes.append(f"{rounds} runs of the engine")


def _told(causes: Sequence[str], met: dict[str, Fault]) -> None:
    """Every fault is named with its resource and its cause, and nothing else is."""
    if not met:
        raise ProofError(f"a run failed where nothing was broken: {causes}")
    for urn, fault in met.items():
        if not any(_names(cause, urn, _MESSAGES[fault]) for cause in causes):
            raise ProofError(f"no message names {life.spoken(urn)} with {_MESSAGES[fault]!r}: {causes}")
    # The program's own end: it waits for a resource that did not come.
    follows = "failed to register"
    strange = [cause for cause in causes if "made-up fault" not in cause and follows not in cause]
    if strange:
        raise ProofError(f"other errors came with the fault: {strange}")


def _names(cause: str, urn: str, *texts: str) -> bool:
    return cause.startswith(life.spoken(urn)) and any(text in cause for text in texts)


def _settle(rehearsal: Rehearsal, injector: FaultInjector, expected: set[str], tally: Tally) -> None:
    missed = expected - set(injector.done)
    if missed:
        raise ProofError(f"never failed: {', '.join(sorted(map(life.spoken, missed)))}")
    found = life.ledger(rehearsal)
    tally.tried = len(injector.done)
    tally.survived = len(injector.done)
    tally.orphans = len(found.orphans)
    if not found.clean:
        raise ProofError(f"{tally.name}: {found}")


def whole(environment: str, say: Say) -> list[Tally]:
    """The long form for one environment: both ways, every kind of fault."""
    done: list[Tally] = []
    with life.rehearse(environment) as rehearsal:
        done.append(creates(rehearsal, BEFORE, one_at_a_time=True, say=say))
        say(str(done[-1]))
        done.append(deletes(rehearsal, BEFORE, one_at_a_time=True, say=say))
        say(str(done[-1]))
    for kinds in ((Fault.DONE_REFUSED, Fault.DONE_LOST), (Fault.NOT_READY,)):
        done += short(environment, kinds, say)
    return done


def short(environment: str, kinds: Sequence[Fault], say: Say) -> list[Tally]:
    """The short form: every resource, all at once."""
    done: list[Tally] = []
    with life.rehearse(environment) as rehearsal:
        done.append(creates(rehearsal, kinds, one_at_a_time=False, say=say))
        say(str(done[-1]))
        gone = [kind for kind in kinds if kind is not Fault.NOT_READY] or [Fault.REFUSED]
        done.append(deletes(rehearsal, gone, one_at_a_time=False, say=say))
        say(str(done[-1]))
    return done

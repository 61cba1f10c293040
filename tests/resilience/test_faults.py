"""Every create and every delete of an environment fails once, and nothing is lost.

A run of the engine that fails is continued by the next run on the same state, so that one environment's life covers
all its resources: each run meets the next fault, must stop with a message that names the resource and the cause, and
must get past it in the run after. Two ways through the graph:

- one at a time: one worker, and the first call that has not failed yet fails. As many runs as resources. Every
  stack that is half made, and every one that is half taken down, is seen once.
- all at once: every call fails when it is made first, and the engine goes on with what does not depend on it. As
  many runs as the graph is deep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

import pytest

from rehearsal import ApiError, Call, CloudResource, Rehearsal
from rehearsal.simulator.faults import LostConnectionError, NotReadyError
from rehearsal.simulator.gcp import rules
from rehearsal.simulator.provider import kind_of
from tests.resilience import life
from tests.resilience.proof import RecordProperty, needs_engine

pytestmark = [pytest.mark.engine, needs_engine]


class Fault(Enum):
    """What goes wrong at a call, with the message that must come out of the engine."""

    REFUSED = "made-up fault: quota exceeded"
    LOST_BEFORE = "made-up fault: error reading from server: EOF"
    HANG = "made-up fault: timeout while waiting for state to become 'RUNNING'"
    NOT_READY = "made-up fault: timed out waiting for the object to become ready"
    DONE_REFUSED = "made-up fault: error waiting for the operation: 503 backend error"
    DONE_LOST = "made-up fault: connection reset by peer"

    def error(self) -> ApiError:
        """What the call raises."""
        if self in (Fault.LOST_BEFORE, Fault.DONE_LOST):
            return LostConnectionError(self.value)
        return NotReadyError(self.value) if self is Fault.NOT_READY else ApiError(self.value)


BEFORE = (Fault.REFUSED, Fault.LOST_BEFORE, Fault.HANG)
"""Faults that change nothing in the cloud."""
LOSING = (Fault.DONE_REFUSED, Fault.DONE_LOST)
"""Faults after the effect: a create that fails so leaves an object that the engine does not know."""
NOT_READY = (Fault.NOT_READY,)
"""The object is made, and the plugin hands it over with its error."""
_HANG_SECONDS = 0.4
"""How long a hanging call hangs here. The engine sets no limit of its own: the real plugins end a call after the
resource's timeout, and that answer is what counts."""


@dataclass
class FaultInjector:
    """Lets each resource's call of one operation fail once."""

    op: str
    faults: Sequence[Fault]
    one_at_a_time: bool
    done: dict[str, Fault] = field(default_factory=dict[str, Fault])
    hits: dict[str, Fault] = field(default_factory=dict[str, Fault])
    """Those of `done` that failed in the current run of the engine."""

    def hook(self, carried_out: bool, call: Call) -> Awaitable[None] | None:
        """Stands around a call: before the cloud's work, and after it was `carried_out`."""
        if call.op != self.op or call.preview or call.urn in self.done:
            return None
        fault = self.faults[len(self.done) % len(self.faults)]
        if fault not in BEFORE and life.stateless(call.kind):
            fault = Fault.REFUSED
        if (fault not in BEFORE) != carried_out or (self.one_at_a_time and self.hits):
            return None
        self.done[call.urn] = self.hits[call.urn] = fault
        if fault is Fault.HANG:
            return _hang()
        raise fault.error()


async def _hang() -> None:
    await asyncio.sleep(_HANG_SECONDS)
    raise Fault.HANG.error()


def every_call_fails_once(rehearsal: Rehearsal, op: str, faults: Sequence[Fault], *, one_at_a_time: bool) -> int:
    """Let every create of an `up`, or every delete of a `destroy`, fail once; returns how many did."""
    injector = FaultInjector(op, faults, one_at_a_time)
    rehearsal.cloud.faults.before.append(partial(injector.hook, False))
    rehearsal.cloud.faults.after.append(partial(injector.hook, True))
    options: dict[str, Any] = {"parallel": 1} if one_at_a_time else {"continue_on_error": True}
    run = partial(rehearsal.up if op == "create" else rehearsal.destroy, **options)
    expected = life.known(rehearsal)
    while error := life.failed(run):
        require_messages(error.causes, injector.hits)
        injector.hits = {}
        if op == "create":
            _import_lost(rehearsal, injector)
    assert not injector.hits, f"the run went well although these failed: {injector.hits}"
    rehearsal.cloud.faults.clear()
    if op == "create":
        rehearsal.up_without_change()
    expected |= life.known(rehearsal)
    assert expected - injector.done.keys() == set(), "these never failed"
    life.require_clean(rehearsal, f"after every {op} failed once")
    return len(injector.done)


def require_messages(causes: Sequence[str], hits: Mapping[str, Fault]) -> None:
    """Every fault is named with its resource and its cause, and nothing else is."""
    assert hits, f"a run failed where nothing was broken: {causes}"
    for urn, fault in hits.items():
        assert any(_names(cause, urn, fault.value) for cause in causes), (
            f"no message names {life.spoken(urn)} with {fault.value!r}: {causes}"
        )
    # The program's own end: it waits for a resource that did not come. Two such failures at once make the SDK set one
    # future twice (3.259, `rpc.resolve_outputs_due_to_exception`), which it logs.
    expected = ("made-up fault", "failed to register", "Exception calling application: invalid state")
    assert [cause for cause in causes if not any(text in cause for text in expected)] == []


def _names(cause: str, urn: str, *texts: str) -> bool:
    return cause.startswith(life.spoken(urn)) and any(text in cause for text in texts)


def _import_lost(rehearsal: Rehearsal, injector: FaultInjector) -> None:
    """What exists and is not known: the next `up` must say so, and the runbook's import brings it back.

    An `up` that fails may end before it has come to all of them.
    """
    while lost := {u for u, fault in injector.done.items() if fault in LOSING} - life.known(rehearsal):
        error = life.failed(partial(rehearsal.up, continue_on_error=True))
        injector.hits = {}
        causes = error.causes if error else []
        reported = {urn for urn in lost if _taken_over(urn) or _reported(urn, causes)}
        assert reported, f"{lost} exist, and the next up said nothing of them: {causes}"
        assert error or reported == lost, f"{lost - reported} exist, and the next up went well"
        life.adopt_lost(rehearsal, reported - life.known(rehearsal))


def _taken_over(urn: str) -> bool:
    """Whether an object that exists is made twice without harm, written into, or taken over."""
    kind = kind_of(urn)
    return kind in rules.ADDITIVE or kind.endswith(("Patch", ":SchedulingShard"))


def _reported(urn: str, causes: Sequence[str]) -> bool:
    return any(_names(cause, urn, "already exists", "still in use") for cause in causes)


def _whole_life(environment: str, faults: Sequence[Fault], *, one_at_a_time: bool = False) -> int:
    with life.rehearse(environment) as rehearsal:
        creates = every_call_fails_once(rehearsal, "create", faults, one_at_a_time=one_at_a_time)
        # A delete has nothing to wait for.
        of_deletes = (Fault.REFUSED,) if faults == NOT_READY else faults
        deletes = every_call_fails_once(rehearsal, "delete", of_deletes, one_at_a_time=one_at_a_time)
        life.require_empty(rehearsal, "after the destroy")
    assert creates == deletes > 20
    return creates + deletes


@pytest.mark.parametrize("environment", ["dev", *life.whole([f"dev{life.DRANET}"])])
def test_every_create_and_delete_may_fail_once(environment: str, record_property: RecordProperty) -> None:
    record_property("tried", _whole_life(environment, BEFORE))


@pytest.mark.whole
@pytest.mark.parametrize("environment", life.environments())
def test_one_create_or_delete_after_the_other_may_fail(environment: str, record_property: RecordProperty) -> None:
    record_property("tried", _whole_life(environment, BEFORE, one_at_a_time=True))


@pytest.mark.parametrize("environment", life.environments("dev"))
def test_what_is_made_and_lost_on_the_way_back_is_imported(environment: str, record_property: RecordProperty) -> None:
    record_property("tried", _whole_life(environment, LOSING))


@pytest.mark.parametrize("environment", life.environments("dev"))
def test_what_is_not_ready_in_time_is_taken_up_by_the_next_up(
    environment: str, record_property: RecordProperty
) -> None:
    record_property("tried", _whole_life(environment, NOT_READY))


def test_a_message_that_does_not_name_the_resource_is_refused() -> None:
    urn = "urn:pulumi:dev::p::gcp:storage/bucket:Bucket::weights"
    bucket = "gcp:storage/bucket:Bucket weights"
    require_messages([f"{bucket}: {Fault.REFUSED.value}"], {urn: Fault.REFUSED})
    with pytest.raises(AssertionError, match=f"no message names {bucket}"):
        require_messages(["something failed: made-up fault: quota exceeded"], {urn: Fault.REFUSED})
    with pytest.raises(AssertionError, match="nothing was broken"):
        require_messages([f"{bucket}: quota exceeded"], {})
    with pytest.raises(AssertionError, match="another error"):
        require_messages([f"{bucket}: {Fault.REFUSED.value}", "another error"], {urn: Fault.REFUSED})


def test_the_ledger_finds_orphans_stale_entries_and_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = "gcp:storage/bucket:Bucket"

    def entry(id_: str) -> Mapping[str, Any]:
        return {"type": bucket, "id": id_, "urn": f"urn::{id_}", "custom": True}

    state = {"deployment": {"resources": [entry("known"), entry("stale entry")]}}
    rehearsal = Rehearsal("dev")
    monkeypatch.setattr(rehearsal, "export", lambda: state)
    for id_, urn in (("known", "urn::known"), ("orphan", "urn::known")):
        rehearsal.state.add(CloudResource(bucket, "", id_, {}, {}, urn=urn))
    assert life.ledger(rehearsal) == {
        "orphans": [f"{bucket} orphan"],
        "stale entries": [f"{bucket} stale entry"],
        "doubles": [life.spoken("urn::known")],
    }
    with pytest.raises(life.ProofError, match=r"here: .*orphan"):
        life.require_clean(rehearsal, "here")

"""Power failures: the engine's process dies in the middle of an `up`, and the runbook brings the stack back.

The kill comes with a create: in turn before the cloud has done anything, and after it has while its answer is
under way. Creates that are in flight beside it run on in the cloud, as they would in the real one. Then, as the
runbook says: `pulumi cancel`, `python -m recovery.pending_creates` (a `refresh` with ids), `pulumi up`.

The same in the middle of replacements: the old object is deleted, the create of the new one is struck.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from recovery import pending_creates
from rehearsal import ApiError, Call, Rehearsal
from tests.resilience import life
from tests.resilience.life import ProofError, Say, Tally
from tests.resilience.order import GRAPH

POINTS = 10
_SETTLE_SECONDS = 0.3
"""Until creates that were in flight have ended in the cloud."""


class PowerFailure:
    """Kills the engine at the n-th call of an operation, on objects of one kind if it is given."""

    def __init__(self, rehearsal: Rehearsal, op: str, at: int, *, carried_out: bool, kind: str = "") -> None:
        self._rehearsal, self._op, self._at, self._carried_out = rehearsal, op, at, carried_out
        self._kind = kind
        self._calls = 0
        self._victim = ""
        self.happened = False

    def arm(self) -> None:
        """Stand around the cloud's calls."""
        self._rehearsal.cloud.faults.before.append(self._before)
        self._rehearsal.cloud.faults.after.append(self._after)

    def _before(self, call: Call) -> None:
        if call.op != self._op or call.preview or self._kind not in ("", call.kind):
            return
        self._calls += 1
        if self._calls == self._at:
            self._victim = call.urn
            if not self._carried_out:
                self._strike()

    def _after(self, call: Call) -> None:
        if self._carried_out and call.op == self._op and not call.preview and call.urn == self._victim:
            self._strike()

    def _strike(self) -> None:
        if not self.happened and self._rehearsal.command is not None:
            self.happened = True
            self._rehearsal.command.kill()
            raise ApiError("the power is gone")


def untear(rehearsal: Rehearsal) -> bool:
    """Take away an attribute file that the kill left empty, as the runbook says; whether there was one.

    State in local files only (`pulumi login file://...`): the state itself is replaced whole, but the small file of
    attributes beside it is written in place, and "failed to load checkpoint: EOF" is about that one.
    """
    empty = [path for path in (rehearsal.folder / "state").rglob("*.attrs") if not path.stat().st_size]
    for path in empty:
        path.unlink()
    return bool(empty)


def recover(rehearsal: Rehearsal) -> pending_creates.Plan:
    """What the runbook says after a kill, up to the `pulumi up`."""
    rehearsal.unlock()
    backup = rehearsal.folder / "before.json"
    backup.unlink(missing_ok=True)
    return pending_creates.resolve(rehearsal.name, backup, life.bound(rehearsal))


def kills(environment: str, points: int, say: Say) -> list[Tally]:
    """Kill at `points` moments of an `up`, spread over its creates, and at two of a destroy."""
    tally = Tally(f"{environment}, engine killed during an up")
    gone = Tally(f"{environment}, engine killed during a destroy")
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        total = len(life.resources(rehearsal.export()))
        rehearsal.destroy()
        pending = adopted = torn = 0
        started = time.monotonic()
        for point in range(points):
            at = 1 + round(point * (total - 1) / max(points - 1, 1))
            carried_out = point % 2 == 1
            tally.tried += 1
            _killed_up(rehearsal, at, carried_out=carried_out)
            torn += untear(rehearsal)
            found = recover(rehearsal)
            pending += len(found.looked_up) + len(found.cleared)
            adopted += _adopted(rehearsal, found)
            life.finish(rehearsal, f"killed at create {at} of {total}")
            tally.survived += 1
            if point in (points // 2, points - 1):
                gone.tried += 1
                _killed_destroy(rehearsal, max(2, at // 2), carried_out=not carried_out)
                gone.survived += 1
            rehearsal.destroy()
            life.require_empty(rehearsal, f"killed at create {at} of {total}")
            say(f"  {environment}: killed at create {at} of {total}, survived")
        tally.seconds = time.monotonic() - started
        tally.notes.append(
            f"{pending} creates were pending, {adopted} of them had happened; {torn} torn attribute files"
        )
    return [tally, gone, replaced(environment, points, say), *([registered()] if environment == "dev" else [])]


def replaced(environment: str, points: int, say: Say) -> Tally:
    """Kill in the middle of replacements of `points` resources, spread over those that nothing alive holds."""
    tally = Tally(f"{environment}, engine killed during a replacement")
    started = time.monotonic()
    halves = 0
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        targets = [str(r["urn"]) for r in life.resources(rehearsal.export()) if not life.stateless(str(r["type"]))]
        # The last ones first: little stands on them, and what stands on something in use is never deleted.
        for urn in targets[:: -max(1, len(targets) // points)][:points]:
            carried_out = tally.tried % 2 == 0
            if not _killed_replacement(rehearsal, urn, carried_out=carried_out):
                continue
            tally.tried += 1
            untear(rehearsal)
            halves += sum(1 for r in life.resources(rehearsal.export()) if r.get("pendingReplacement"))
            recover(rehearsal)
            graph = any(r["type"] == GRAPH for r in life.resources(rehearsal.export()) if r.get("pendingReplacement"))
            rehearsal.up(replace=[f"**{rehearsal.settings.stacks[0].name}-suffix"] if graph or "-graph" in urn else [])
            life.finish(rehearsal, f"killed while {life.spoken(urn)} was replaced")
            tally.survived += 1
            say(f"  {environment}: killed while {life.spoken(urn)} was replaced, survived")
        rehearsal.destroy()
        life.require_empty(rehearsal, f"{environment}, after the killed replacements")
    if not halves:
        raise ProofError("no kill struck between the halves of a replacement: nothing was proven")
    tally.seconds = time.monotonic() - started
    tally.notes.append(f"{halves} entries of what was deleted already")
    return tally


def registered() -> Tally:
    """Kill while an environment says that it uses a platform: its destroy takes the word back all the same."""
    tally = Tally("engine killed while an environment said that it uses a platform")
    started = time.monotonic()
    adopting = {
        "dynamo-a4x:kai": {"mode": "adopt"},
        "dynamo-a4x:dynamo": {"mode": "adopt", "version": "0.7.0"},
        "dynamo-a4x:draDriver": {"mode": "adopt"},
    }
    with life.rehearse("dev", adopting) as rehearsal:
        failure = PowerFailure(rehearsal, "create", 1, carried_out=True, kind="kubernetes:core/v1:NamespacePatch")
        failure.arm()
        _strike_down(rehearsal.up, failure, "the patch")
        rehearsal.cloud.faults.clear()
        time.sleep(_SETTLE_SECONDS)
        untear(rehearsal)
        recover(rehearsal)
        life.finish(rehearsal, "killed while it said what it uses")
        rehearsal.destroy()
        life.require_empty(rehearsal, "destroyed after that")
        tally.tried = tally.survived = 1
    tally.seconds = time.monotonic() - started
    return tally


def _killed_replacement(rehearsal: Rehearsal, urn: str, *, carried_out: bool) -> bool:
    """Whether the power failed while the resource was recreated; not where the cloud refuses to give up the old one."""
    failure = PowerFailure(rehearsal, "create", 1, carried_out=carried_out)
    failure.arm()
    life.failed(lambda: rehearsal.up(replace=[urn]))
    rehearsal.cloud.faults.clear()
    time.sleep(_SETTLE_SECONDS)
    return failure.happened


def _killed_up(rehearsal: Rehearsal, at: int, *, carried_out: bool) -> None:
    failure = PowerFailure(rehearsal, "create", at, carried_out=carried_out)
    failure.arm()
    _strike_down(rehearsal.up, failure, f"create {at}")
    rehearsal.cloud.faults.clear()
    time.sleep(_SETTLE_SECONDS)


def _strike_down(action: Callable[[], Any], failure: PowerFailure, where: str) -> None:
    """Run until the power fails."""
    error = life.failed(action)
    if error is None or not failure.happened:
        raise ProofError(f"the engine survived {where}: {error}")


def _adopted(rehearsal: Rehearsal, found: pending_creates.Plan) -> int:
    known = {str(resource["urn"]) for resource in life.resources(rehearsal.export())}
    return len(known & set(found.looked_up))


def _killed_destroy(rehearsal: Rehearsal, at: int, *, carried_out: bool) -> None:
    failure = PowerFailure(rehearsal, "delete", at, carried_out=carried_out)
    failure.arm()
    _strike_down(rehearsal.destroy, failure, f"delete {at}")
    rehearsal.cloud.faults.clear()
    time.sleep(_SETTLE_SECONDS)
    untear(rehearsal)
    rehearsal.unlock()

"""Replacements: one that stops half-way, and is given up, takes nothing with it.

A replacement deletes the old object and makes the new one. Here the second half fails, for every resource of an
environment once: a wrong reservation, no capacity, a chart that is gone. Then the old value is put back, and the next
`up` must make what is missing, keep it, and leave state and cloud in agreement. (Without `program.replacement` the
engine makes each of them and deletes it again.) A destroy from there must leave nothing.

One at a time, without `--continue-on-error`: with it a run never ends once the delete of a replacement is refused
(docs/contributing/surprises.md).
"""

from __future__ import annotations

import time
from collections import Counter

from rehearsal import ApiError, Call, Rehearsal
from tests.resilience import life
from tests.resilience.life import ProofError, Say, Tally
from tests.resilience.order import GRAPH

_FAULT = "made-up fault: no capacity"
_GONE = "gone when it stopped"
_CLOSING = "the client connection is closing"
"""Where the cluster's own provider is replaced with the cluster, the engine closes it under its last deletes
(docs/contributing/surprises.md)."""


def proof(environment: str, short: bool, say: Say) -> list[Tally]:
    """Stop the replacement of every resource half-way, and give it up; the short form takes every fifth."""
    tally = Tally(f"{environment}, replacements stopped half-way and given up")
    started = time.monotonic()
    outcomes: Counter[str] = Counter()
    gone = ""
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        # The order of a state is that of a race.
        targets = sorted(str(resource["urn"]) for resource in life.resources(rehearsal.export()))
        for urn in targets[:: 5 if short else 1]:
            outcome = stopped_and_given_up(rehearsal, urn)
            outcomes[outcome] += 1
            gone = urn if outcome == _GONE else gone
            tally.tried += 1
            tally.survived += 1
            if tally.tried % 10 == 0:
                say(f"  {tally.name}: {tally.tried} resources")
        rehearsal.up_without_change()
        if not gone:
            raise ProofError("no replacement stopped between its halves: nothing was proven")
        _stopped(rehearsal, gone)
        rehearsal.destroy()
        life.require_empty(rehearsal, f"destroyed when the replacement of {life.spoken(gone)} had stopped")
    tally.seconds = time.monotonic() - started
    tally.notes += [f"{count} {outcome}" for outcome, count in outcomes.most_common()]
    say(str(tally))
    return [tally]


def stopped_and_given_up(rehearsal: Rehearsal, urn: str) -> str:
    """Stop the replacement of one resource half-way, and take it back; returns what the stop came to."""
    outcome = _stopped(rehearsal, urn)
    _given_up(rehearsal, urn)
    return outcome


def _stopped(rehearsal: Rehearsal, urn: str) -> str:
    """Replace one resource while nothing can be made; returns what that came to."""

    def nothing_is_made(call: Call) -> None:
        if call.op == "create" and not call.preview:
            raise ApiError(_FAULT)

    before = len(rehearsal.state.journal)
    rehearsal.cloud.faults.before.append(nothing_is_made)
    error = life.failed(lambda: rehearsal.up(replace=[urn]))
    rehearsal.cloud.faults.clear()
    if error is None:
        raise ProofError(f"the replacement of {life.spoken(urn)} succeeded although nothing could be made")
    entry = next(r for r in life.resources(rehearsal.export()) if r["urn"] == urn)
    if entry.get("pendingReplacement"):
        return _GONE
    if all(_FAULT in cause for cause in error.causes):
        return "made first, so nothing was gone"
    if any(call.op == "delete" and call.refused for call in rehearsal.state.journal[before:]):
        return "in use, and refused"
    if any(_CLOSING in cause for cause in error.causes):
        return "given up by the engine"
    raise ProofError(f"the replacement of {life.spoken(urn)} ended with {error.causes}")


def _given_up(rehearsal: Rehearsal, urn: str) -> None:
    """The next `up` makes what is missing, and keeps it."""
    hung = life.free_hanging_namespaces(rehearsal)
    missing = [r for r in life.resources(rehearsal.export()) if r.get("pendingReplacement")]
    if missing or hung:
        # On Dynamo 0.7.0 a graph that is recreated needs a new name: the runbook replaces its suffix.
        graph = any(resource["type"] == GRAPH for resource in missing)
        anew = [f"**{rehearsal.settings.stacks[0].name}-suffix"] if graph else []
        rehearsal.up(replace=anew)
        rehearsal.up_without_change()
    life.require_clean(rehearsal, f"after the replacement of {life.spoken(urn)}")

"""Neighbours: two serving stacks in one environment, and two environments of two users on one cluster."""

from __future__ import annotations

import time
from typing import Any

from proofs import life
from proofs.life import ProofError, Say, Tally
from rehearsal import Rehearsal, Thing
from rehearsal.cloud.serving import GRAPH

_LAYOUT = "deepseek-r1-fp8-1p1d"
_ZONE = "us-central1-b"


def _domain(name: str) -> dict[str, Any]:
    return {"name": name, "mode": "adopt", "zone": _ZONE, "nodes": 2}


def _stack(name: str, domain: str) -> dict[str, Any]:
    return {"name": name, "layout": _LAYOUT, "domain": domain}


TWO_STACKS = {
    "dynamo-a4x:domains": [_domain("a4x-0"), _domain("a4x-1")],
    "dynamo-a4x:stacks": [_stack("r1-one", "a4x-0"), _stack("r1-two", "a4x-1")],
}
FIRST = {
    "dynamo-a4x:domains": [_domain("a4x-0"), _domain("a4x-1")],
    "dynamo-a4x:stacks": [_stack("r1-alice", "a4x-0")],
}
SECOND = {
    "dynamo-a4x:domains": [_domain("a4x-1")],
    "dynamo-a4x:dynamo": {"mode": "adopt", "version": "0.7.0"},
    "dynamo-a4x:draDriver": {"mode": "adopt"},
    "dynamo-a4x:stacks": [_stack("r1-bob", "a4x-1")],
}


def proof(environment: str, short: bool, say: Say) -> list[Tally]:
    """Both, for the environment that adopts its cluster; the short form leaves out users of one name."""
    if environment != "dev":
        return []
    tallies = [two_stacks(), two_environments()]
    if not short:
        say(f"  two users of one name: {same_name()[0]}")
    for tally in tallies:
        say(str(tally))
    return tallies


def two_stacks() -> Tally:
    """Two stacks in two domains: both run; one goes, the other is not touched."""
    tally = Tally("two serving stacks in two domains")
    started = time.monotonic()
    with life.rehearse("dev", TWO_STACKS) as rehearsal:
        life.finish(rehearsal, "two stacks")
        graphs = [graph.id for graph in rehearsal.world.find(GRAPH)]
        if len(graphs) != 2:
            raise ProofError(f"two stacks made the graphs {graphs}")
        before = _of(rehearsal, "r1-two")
        rehearsal.set_config({"dynamo-a4x:stacks": [_stack("r1-two", "a4x-1")]})
        changed = rehearsal.up("up without r1-one").changed
        touched = [str(step) for step in changed if "r1-two" in step.name]
        if touched or _of(rehearsal, "r1-two") != before or _of(rehearsal, "r1-one"):
            raise ProofError(f"taking r1-one away touched r1-two: {touched}")
        life.require_clean(rehearsal, "one stack taken away")
        rehearsal.destroy()
        life.require_empty(rehearsal, "two stacks")
        tally.tried = tally.survived = len(before)
    tally.seconds = time.monotonic() - started
    return tally


def two_environments() -> Tally:
    """The second user adopts cluster, platform and driver of the first; each can go without the other's notice."""
    tally = Tally("two environments of two users on one cluster")
    started = time.monotonic()
    with life.rehearse("dev", FIRST, name="alice") as alice:
        alice.up()
        with life.rehearse("dev", SECOND, name="bob", cloud=alice.cloud) as bob:
            bob.up()
            bob.up_without_change()
            _apart(alice, bob)
            before = alice.world.snapshot()
            bob.destroy()
            left = {key for key in before if key not in alice.world.snapshot()}
            hers = {(str(r["type"]), str(r["id"])) for r in life.resources(alice.export())}
            if any((kind, id_) in hers for kind, _, id_ in left):
                raise ProofError(f"bob's destroy took away something of alice's: {left}")
            bob.up("bob again")
            _platform_stays(alice)
            alice.up_without_change()
            bob.up_without_change()
            _apart(alice, bob)
            tally.tried = tally.survived = len(life.resources(bob.export())) + len(hers)
            bob.destroy()
        alice.destroy()
        life.require_empty(alice, "both environments")
    tally.seconds = time.monotonic() - started
    return tally


def _platform_stays(alice: Rehearsal) -> None:
    """The first user's destroy stops at the platform that the second one's graph still needs."""
    error = life.failed(alice.destroy)
    if error is None or "must outlive" not in str(error.causes):
        raise ProofError(f"alice's destroy took the platform away under bob: {error}")
    alice.up("alice again")


def _apart(alice: Rehearsal, bob: Rehearsal) -> None:
    hers = {(str(r["type"]), str(r["id"])) for r in life.resources(alice.export())}
    his = {(str(r["type"]), str(r["id"])) for r in life.resources(bob.export())}
    if hers & his:
        raise ProofError(f"both own {hers & his}")
    real = {(thing.kind, thing.id) for thing in life.in_the_cloud(alice)}
    known = {entry for entry in hers | his if not entry[0].startswith("random:")}
    if real != known:
        raise ProofError(f"states and cloud disagree: {real ^ known}")


def same_name() -> list[str]:
    """Two users who call their Pulumi stacks alike: the messages that the second one gets."""
    with life.rehearse("dev", FIRST) as alice:
        alice.up()
        with life.rehearse("dev", SECOND, cloud=alice.cloud) as bob:
            error = life.failed(bob.up)
            bob.destroy()
            life.require_clean(alice, "after the second user gave up")
        alice.destroy()
        life.require_empty(alice, "same name")
    if error is None:
        raise ProofError("two environments of one name were taken")
    return error.causes


def _of(rehearsal: Rehearsal, namespace: str) -> dict[str, Any]:
    def inside(thing: Thing) -> bool:
        return thing.id.startswith(f"{namespace}/") or thing.id == namespace

    return {thing.id: thing.outputs for thing in rehearsal.world.find(where=inside)}

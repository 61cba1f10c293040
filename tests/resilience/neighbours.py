"""Neighbours: two serving stacks in one environment, and the environments of several users on one cluster.

The first user's environment makes the platform, the others use it. Its destroy, and an `up` that gives the platform
up, are refused before anything is deleted; the same without the guard shows the damage.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rehearsal import CloudResource, Rehearsal
from rehearsal.simulator.admission_policies import BINDING
from rehearsal.simulator.serving import GRAPH, RELEASE
from tests.resilience import life, order
from tests.resilience.life import ProofError, Say, Tally

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
    "dynamo-a4x:kai": {"mode": "adopt"},
    "dynamo-a4x:dynamo": {"mode": "adopt", "version": "0.7.0"},
    "dynamo-a4x:draDriver": {"mode": "adopt"},
    "dynamo-a4x:stacks": [_stack("r1-bob", "a4x-1")],
}

OWNER = {**FIRST, "dynamo-a4x:domains": [_domain("a4x-0"), _domain("a4x-1"), _domain("a4x-2")]}
THIRD = {
    **SECOND,
    "dynamo-a4x:domains": [_domain("a4x-2")],
    "dynamo-a4x:stacks": [_stack("r1-carol", "a4x-2")],
}
GIVEN_UP = {"dynamo-a4x:kai": {"mode": "adopt"}, "dynamo-a4x:dynamo": {"mode": "adopt", "version": "0.7.0"}}
"""A change that gives the platform up and keeps the driver."""


def proof(environment: str, short: bool, say: Say) -> list[Tally]:
    """Both, for the environment that adopts its cluster; the short form leaves out users of one name."""
    if environment != "dev":
        return []
    tallies = [two_stacks(), two_environments(), guarded()]
    if not short:
        say(f"  two users of one name: {same_name()[0]}")
        tallies.append(unguarded())
    for tally in tallies:
        say(str(tally))
    return tallies


def two_stacks() -> Tally:
    """Two stacks in two domains: both run; one goes, the other is not touched."""
    tally = Tally("two serving stacks in two domains")
    started = time.monotonic()
    with life.rehearse("dev", TWO_STACKS) as rehearsal:
        life.finish(rehearsal, "two stacks")
        graphs = [graph.id for graph in rehearsal.state.find(GRAPH)]
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
            before = alice.state.snapshot()
            bob.destroy()
            left = {key for key in before if key not in alice.state.snapshot()}
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
    """The first user's destroy is refused before it deletes anything, and names the second user's environment."""
    _refused(alice, alice.destroy, "bob")
    alice.up_without_change()


def _refused(owner: Rehearsal, action: Callable[[], Any], *users: str) -> None:
    before = owner.state.snapshot()
    error = life.failed(action)
    said = str(error.causes) if error else ""
    if not all(f"organization/dynamo-a4x/{user} " in said for user in users):
        raise ProofError(f"not refused for {users}: {error}")
    lost = {key for key in before if key not in owner.state.snapshot()}
    if lost:
        raise ProofError(f"refused, but these went before: {lost}")


def guarded() -> Tally:
    """Two users of a platform: its owner can neither destroy it nor give it up before both are gone, or by force."""
    tally = Tally("a platform in use by two environments, destroyed and given up")
    started = time.monotonic()
    with life.rehearse("dev", OWNER, name="alice") as alice:
        alice.up()
        with (
            life.rehearse("dev", SECOND, name="bob", cloud=alice.cloud) as bob,
            life.rehearse("dev", THIRD, name="carol", cloud=alice.cloud) as carol,
        ):
            bob.up()
            carol.up()
            _refused(alice, alice.destroy, "bob", "carol")
            alice.set_config(GIVEN_UP)
            _refused_up(alice, "bob", "carol")
            # What was given up is in the state still, and the old config has it back.
            alice.set_config(
                {
                    **OWNER,
                    "dynamo-a4x:kai": {"mode": "create"},
                    "dynamo-a4x:dynamo": {"mode": "create", "version": "0.7.0"},
                }
            )
            alice.up("alice as she was")
            alice.up_without_change()
            bob.destroy()
            _refused(alice, alice.destroy, "carol")
            carol.destroy()
            alice.destroy()
            life.require_empty(alice, "all three environments")
            tally.tried = tally.survived = 4
    tally.seconds = time.monotonic() - started
    return tally


def _refused_up(owner: Rehearsal, *users: str) -> None:
    """An `up` that gives the platform up takes away what is the owner's alone at most, and no release."""
    releases = owner.state.find(RELEASE)
    error = life.failed(owner.up)
    said = str(error.causes) if error else ""
    if not all(f"organization/dynamo-a4x/{user} " in said for user in users):
        raise ProofError(f"not refused for {users}: {error}")
    if owner.state.find(RELEASE) != releases:
        raise ProofError(f"refused, but a release went: {owner.state.find(RELEASE)}")


def unguarded() -> Tally:
    """The same destroy by force: Helm refuses nothing, and the second user's graph is left without its platform."""
    tally = Tally("a platform in use, its guard taken away")
    started = time.monotonic()
    with life.rehearse("dev", FIRST, name="alice") as alice:
        alice.up()
        with life.rehearse("dev", SECOND, name="bob", cloud=alice.cloud) as bob:
            bob.up()
            for binding in alice.state.find(BINDING):
                alice.state.remove(binding.key)
            before = order.alive(alice.state)
            error = life.failed(alice.destroy)
            if error is None or "nvidia-dra-driver-gpu stays in Terminating" not in str(error.causes):
                raise ProofError(f"the driver's namespace did not hang: {error}")
            damage = order.lost(before, order.alive(alice.state))
            if not any("lives without dynamo-platform" in wrong for wrong in damage):
                raise ProofError(f"nobody saw the damage: {damage}")
            again = life.failed(alice.up)
            if again is None or "is being terminated" not in str(again.causes):
                raise ProofError(f"an up was taken in a namespace that is going: {again}")
            life.free_hanging_namespaces(alice)
            alice.up()
            left = order.lost(before, order.alive(alice.state))
            if left:
                raise ProofError(f"the way back left damage: {left}")
            tally.tried = tally.survived = len(damage)
            tally.notes.append(f"damage: {'; '.join(damage)}")
    tally.seconds = time.monotonic() - started
    return tally


def _apart(alice: Rehearsal, bob: Rehearsal) -> None:
    hers = {(str(r["type"]), str(r["id"])) for r in life.resources(alice.export())}
    his = {(str(r["type"]), str(r["id"])) for r in life.resources(bob.export())}
    if hers & his:
        raise ProofError(f"both own {hers & his}")
    real = {*((resource.kind, resource.id) for resource in life.in_the_cloud(alice)), *life.patched(alice)}
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
    def inside(resource: CloudResource) -> bool:
        return resource.id.startswith(f"{namespace}/") or resource.id == namespace

    return {resource.id: resource.outputs for resource in rehearsal.state.find(where=inside)}

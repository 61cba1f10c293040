"""Two serving stacks in one environment, and the environments of several users on one cluster, do not touch each other.

The first user's environment makes the platform, the others use it. Its destroy, and an `up` that gives the platform
up, are refused before anything is deleted; the same without the guard shows the damage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reference import nats
from rehearsal import CloudResource, Rehearsal, RehearsalError
from rehearsal.simulator.kubernetes.admission_policies import BINDING
from rehearsal.simulator.workloads.serving import GRAPH, RELEASE
from tests.resilience import life, order
from tests.resilience.proof import RecordProperty, needs_engine

pytestmark = [pytest.mark.engine, needs_engine]


def _domain(name: str) -> dict[str, Any]:
    return {"name": name, "mode": "adopt", "zone": "us-central1-b", "nodes": 2}


def _stack(name: str, domain: str) -> dict[str, Any]:
    return {"name": name, "layout": "deepseek-r1-fp8-1p1d", "domain": domain}


TWO_STACKS = {
    "dynamo-a4x:domains": [_domain("a4x-0"), _domain("a4x-1")],
    "dynamo-a4x:stacks": [_stack("r1-one", "a4x-0"), _stack("r1-two", "a4x-1")],
}
FIRST = {
    "dynamo-a4x:domains": [_domain("a4x-0"), _domain("a4x-1"), _domain("a4x-2")],
    "dynamo-a4x:stacks": [_stack("r1-alice", "a4x-0")],
}
GIVEN_UP = {
    "dynamo-a4x:kai": {"mode": "adopt"},
    "dynamo-a4x:dynamo": {"mode": "adopt", "version": "0.7.0", "natsUser": nats.USER},
}
"""A change that gives the platform up and keeps the driver."""
TAKEN_BACK = {"dynamo-a4x:kai": {"mode": "create"}, "dynamo-a4x:dynamo": {"mode": "create", "version": "0.7.0"}}
ADOPTED = {**GIVEN_UP, "dynamo-a4x:draDriver": {"mode": "adopt"}}
SECOND = {
    **ADOPTED,
    "dynamo-a4x:domains": [_domain("a4x-1")],
    "dynamo-a4x:stacks": [_stack("r1-bob", "a4x-1")],
}
THIRD = {
    **ADOPTED,
    "dynamo-a4x:domains": [_domain("a4x-2")],
    "dynamo-a4x:stacks": [_stack("r1-carol", "a4x-2")],
}


def test_two_serving_stacks_live_in_two_domains_and_one_goes_alone(record_property: RecordProperty) -> None:
    with life.rehearse("dev", TWO_STACKS) as rehearsal:
        life.finish(rehearsal, "two stacks")
        assert len(rehearsal.state.find(GRAPH)) == 2
        before = _inside(rehearsal, "r1-two")
        rehearsal.set_config({"dynamo-a4x:stacks": TWO_STACKS["dynamo-a4x:stacks"][1:]})
        changed = rehearsal.up("up without r1-one").changed
        assert [str(step) for step in changed if "r1-two" in step.name] == []
        assert _inside(rehearsal, "r1-two") == before
        assert _inside(rehearsal, "r1-one") == {}
        life.require_clean(rehearsal, "one stack taken away")
        rehearsal.destroy()
        life.require_empty(rehearsal, "two stacks")
    assert len(before) > 5
    record_property("tried", len(before))


def _inside(rehearsal: Rehearsal, namespace: str) -> dict[str, Any]:
    def inside(resource: CloudResource) -> bool:
        return resource.id.startswith(f"{namespace}/") or resource.id == namespace

    return {resource.id: resource.outputs for resource in rehearsal.state.find(where=inside)}


def test_two_users_share_a_cluster_and_neither_can_break_the_other(record_property: RecordProperty) -> None:
    with (
        life.rehearse("dev", FIRST, name="alice") as alice,
        life.rehearse("dev", SECOND, name="bob", cloud=alice.cloud) as bob,
    ):
        _give_login(alice, bob)
        bob.up()
        bob.up_without_change()
        _require_apart(alice, bob)
        before = alice.state.snapshot()
        bob.destroy()
        lost = {(kind, id_) for kind, _, id_ in before.keys() - alice.state.snapshot().keys()}
        assert lost & set(life.entries(alice)) == set(), "bob's destroy took away something of alice's"
        bob.up("bob again")
        _require_refused(alice, alice.destroy, "bob")
        alice.up_without_change()
        bob.up_without_change()
        _require_apart(alice, bob)
        owned = len(life.held(alice))
        bob.destroy()
        alice.destroy()
        life.require_empty(alice, "both environments")
    assert owned > 20
    record_property("tried", owned)


def _give_login(owner: Rehearsal, *users: Rehearsal) -> None:
    """Deploy the owner's environment, and put its NATS' password into the config of the users."""
    owner.up()
    password: str = owner.secret("natsLogin")["password"]
    for user in users:
        user.cli(["config", "set", "--secret", "natsPassword"], text=password)


def _require_apart(alice: Rehearsal, bob: Rehearsal) -> None:
    hers, his = set(life.entries(alice)), set(life.entries(bob))
    assert hers & his == set()
    assert hers | his == set(life.held(alice))


def _require_refused(owner: Rehearsal, action: Callable[[], Any], *users: str) -> None:
    """Refused before anything is deleted, and the environments of the users are named."""
    before = owner.state.snapshot().keys()
    _require_named(life.failed(action), *users)
    assert before - owner.state.snapshot().keys() == set(), "refused, but these went before"


def _require_named(error: RehearsalError | None, *users: str) -> None:
    assert error is not None
    assert [user for user in users if f"organization/dynamo-a4x/{user} " not in str(error.causes)] == [], error.causes


def test_a_platform_in_use_is_neither_destroyed_nor_given_up_and_its_users_are_named() -> None:
    with (
        life.rehearse("dev", FIRST, name="alice") as alice,
        life.rehearse("dev", SECOND, name="bob", cloud=alice.cloud) as bob,
        life.rehearse("dev", THIRD, name="carol", cloud=alice.cloud) as carol,
    ):
        _give_login(alice, alice, bob, carol)
        for user in (bob, carol):
            user.up()
        _require_refused(alice, alice.destroy, "bob", "carol")
        # An `up` that gives the platform up takes away what is the owner's alone at most, and no release.
        releases = alice.state.find(RELEASE)
        alice.set_config(GIVEN_UP)
        _require_named(life.failed(alice.up), "bob", "carol")
        assert alice.state.find(RELEASE) == releases
        # What was given up is in the state still, and the old config has it back.
        alice.set_config(TAKEN_BACK)
        alice.up("alice as she was")
        alice.up_without_change()
        bob.destroy()
        _require_refused(alice, alice.destroy, "carol")
        carol.destroy()
        alice.destroy()
        life.require_empty(alice, "all three environments")


def test_without_its_guard_a_platform_in_use_is_uninstalled_and_the_damage_is_seen() -> None:
    """Helm refuses nothing, and the second user's graph is left without its platform."""
    with (
        life.rehearse("dev", FIRST, name="alice") as alice,
        life.rehearse("dev", SECOND, name="bob", cloud=alice.cloud) as bob,
    ):
        _give_login(alice, bob)
        bob.up()
        for binding in alice.state.find(BINDING):
            alice.state.remove(binding.key)
        before = order.alive(alice.state)
        assert "nvidia-dra-driver-gpu stays in Terminating" in _causes(alice.destroy)
        damage = order.lost(before, order.alive(alice.state))
        assert len(damage) > 1
        assert any("lives without dynamo-platform" in wrong for wrong in damage)
        assert "is being terminated" in _causes(alice.up)
        assert life.free_hanging_namespaces(alice)
        alice.up()
        assert order.lost(before, order.alive(alice.state)) == []


def test_two_users_with_one_name_for_their_stacks_are_reported_what_exists_already() -> None:
    with (
        life.rehearse("dev", FIRST) as alice,
        life.rehearse("dev", SECOND, cloud=alice.cloud) as bob,
    ):
        _give_login(alice, bob)
        assert 'configmaps "dynamo-a4x-release.dev" already exists' in _causes(bob.up)
        bob.destroy()
        life.require_clean(alice, "after the second user gave up")
        alice.destroy()
        life.require_empty(alice, "same name")


def _causes(action: Callable[[], Any]) -> str:
    error = life.failed(action)
    assert error is not None
    return "\n".join(error.causes)

"""Replacements: one that stops partway, and is given up, takes nothing with it.

A replacement deletes the old object and makes the new one. Here the second half fails, for every resource of an
environment once: a wrong reservation, no capacity, a chart that is gone. Then the old value is put back, and the next
`up` must make what is missing, keep it, and leave state and cloud in agreement. (Without `program.replacement` the
engine makes each of them and deletes it again.) A destroy from there must leave nothing.

One at a time, without `--continue-on-error`: with it a run never ends once the delete of a replacement is refused
(docs/contributing/surprises.md).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import program
from rehearsal import ApiError, Call, Rehearsal
from rehearsal.simulator.gcp.rules import NETWORK, NODE_POOL
from rehearsal.simulator.provider import name_of
from rehearsal.simulator.workloads.nics import PARAM_SET
from rehearsal.simulator.workloads.serving import GRAPH
from tests.resilience import life
from tests.resilience.life import ProofError
from tests.resilience.proof import RecordProperty, needs_engine
from tools.config_changes import case_of

pytestmark = [pytest.mark.engine, needs_engine]

_FAULT = "made-up fault: no capacity"
_GONE = "gone when it stopped"
_CLOSING = "the client connection is closing"
"""Where the cluster's own provider is replaced with the cluster, the engine closes it under its last deletes
(docs/contributing/surprises.md)."""


@pytest.mark.parametrize(("environment", "every"), [("dev", 9), *life.whole((name, 1) for name in life.EVERY)])
def test_a_replacement_that_stops_half_way_and_is_given_up_leaves_nothing_missing(
    environment: str, every: int, record_property: RecordProperty
) -> None:
    outcomes: dict[str, str] = {}
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        # The order of a state is that of a race.
        for urn in sorted(life.known(rehearsal))[::every]:
            outcomes[urn] = _stop_half_way(rehearsal, urn)
            _give_up(rehearsal, urn)
        rehearsal.up_without_change()
        gone = [urn for urn, outcome in outcomes.items() if outcome == _GONE]
        assert gone, "no replacement stopped between its halves"
        _stop_half_way(rehearsal, gone[-1])
        rehearsal.destroy()
        life.require_empty(rehearsal, f"destroyed when the replacement of {life.spoken(gone[-1])} had stopped")
    record_property("tried", len(outcomes))
    for outcome, count in Counter(outcomes.values()).items():
        record_property(outcome, count)


@pytest.mark.parametrize("name", ["dra-driver-namespace", "kai-release"])
def test_what_a_stopped_replacement_leaves_behind_has_a_way_out(name: str) -> None:
    """The driver's namespace hangs on its ComputeDomains; the destroy of KAI's patch, run twice, makes its object."""
    with life.rehearse("dev") as rehearsal:
        rehearsal.up()
        (urn,) = [urn for urn in life.known(rehearsal) if name_of(urn) == name]
        _stop_half_way(rehearsal, urn)
        assert life.gone(rehearsal)
        _give_up(rehearsal, urn)
        rehearsal.up_without_change()
        rehearsal.destroy()
        life.require_empty(rehearsal, f"after {name}")


def _stop_half_way(rehearsal: Rehearsal, urn: str) -> str:
    """Replace one resource while nothing can be made; returns what that came to."""

    def nothing_is_made(call: Call) -> None:
        if call.op == "create" and not call.preview:
            raise ApiError(_FAULT)

    before = len(rehearsal.state.journal)
    rehearsal.cloud.faults.before.append(nothing_is_made)
    error = life.failed(lambda: rehearsal.up(replace=[urn]))
    rehearsal.cloud.faults.clear()
    assert error is not None, f"the replacement of {urn} succeeded although nothing could be made"
    if urn in {resource["urn"] for resource in life.gone(rehearsal)}:
        return _GONE
    if all(_FAULT in cause for cause in error.causes):
        return "made first, so nothing was gone"
    if any(call.op == "delete" and call.refused for call in rehearsal.state.journal[before:]):
        return "in use, and refused"
    assert any(_CLOSING in cause for cause in error.causes), error.causes
    return "given up by the engine"


def _give_up(rehearsal: Rehearsal, urn: str) -> None:
    """The next `up` makes what is missing, and keeps it."""
    hung = life.free_hanging_namespaces(rehearsal)
    missing = life.gone(rehearsal)
    if missing or hung:
        graph = any(resource["type"] == GRAPH for resource in missing)
        rehearsal.up(replace=[life.suffix(rehearsal)] if graph else [])
        rehearsal.up_without_change()
    life.require_clean(rehearsal, f"after the replacement of {life.spoken(urn)}")


# A domain that moves, in an environment without a stack

NO_STACK = {"dynamo-a4x:stacks": []}


def _fail_to_move(rehearsal: Rehearsal, key: str) -> dict[str, Any]:
    """Change a domain while no pool can be made; returns the config as it was."""
    wrong = case_of(key, "prod").apply(rehearsal.config)
    right = {name: rehearsal.config[name] for name in wrong}
    rehearsal.set_config(wrong)
    rehearsal.cloud.faults.fail(lambda call: call.kind == NODE_POOL and call.op == "create", "no capacity")
    error = life.failed(rehearsal.up)
    assert error is not None
    assert any("no capacity" in cause for cause in error.causes)
    return right


def _a_reservation_that_turns_out_wrong_and_is_put_back() -> None:
    with life.rehearse("prod", NO_STACK) as rehearsal:
        rehearsal.up()
        rehearsal.set_config(_fail_to_move(rehearsal, "domains[0].reservation"))
        life.finish(rehearsal, "the right reservation again")
        assert "a4x-0" in {resource.id.rsplit("/", 1)[-1] for resource in rehearsal.state.find(NODE_POOL)}


def test_a_pool_comes_back_when_a_wrong_reservation_is_put_right() -> None:
    _a_reservation_that_turns_out_wrong_and_is_put_back()


def test_without_the_rule_of_replacement_the_pool_is_made_and_deleted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "delete_first", lambda: None)
    with pytest.raises(ProofError, match=r"stale entries.*nodePools/a4x-0"):
        _a_reservation_that_turns_out_wrong_and_is_put_back()


def test_a_pool_comes_back_when_a_zone_without_capacity_is_given_up() -> None:
    with life.rehearse("prod", NO_STACK) as rehearsal:
        rehearsal.up()
        networks = {resource.id for resource in rehearsal.state.find(NETWORK)}
        right = _fail_to_move(rehearsal, "domains[0].zone")
        # The old zone's network still stands, and is taken again.
        assert networks < {resource.id for resource in rehearsal.state.find(NETWORK)}
        rehearsal.set_config(right)
        life.finish(rehearsal, "the right zone again")
        assert {resource.id for resource in rehearsal.state.find(NETWORK)} == networks


def test_a_domain_changes_its_zone_in_one_up() -> None:
    """Against the old names the plugin panics while it compares the pool (E8)."""
    with life.rehearse("prod", NO_STACK) as rehearsal:
        rehearsal.up()
        rehearsal.set_config(case_of("domains[0].zone", "prod").apply(rehearsal.config))
        rehearsal.preview()
        life.finish(rehearsal, "in the other zone")
        (roce,) = rehearsal.state.find(NETWORK, where=lambda resource: "networkProfile" in resource.inputs)
        assert roce.outputs["networkProfile"].endswith("us-central1-a-vpc-roce")
        sets = rehearsal.state.find(PARAM_SET, where=lambda resource: resource.id.startswith("rdma-"))
        assert {resource.outputs["spec"]["vpc"] for resource in sets} == {roce.outputs["name"]}


def test_protection_refuses_another_zone_before_anything_is_made() -> None:
    with life.rehearse("prod", {**NO_STACK, "dynamo-a4x:protect": True}) as rehearsal:
        rehearsal.up()
        with case_of("domains[0].zone", "prod").applied(rehearsal):
            life.require_protected(rehearsal, "another zone")

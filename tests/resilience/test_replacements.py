"""A replacement that stops half-way and is given up takes nothing with it."""

from __future__ import annotations

import pytest

import program
from rehearsal import Rehearsal
from rehearsal.simulator.gcp_rules import NETWORK, NODE_POOL
from rehearsal.simulator.nics import PARAM_SET
from rehearsal.simulator.provider import name_of
from tests.resilience import life, replacements
from tests.resilience.changes import CASES, raw_config
from tests.resilience.life import ProofError
from tests.resilience.proof import needs_engine, silent

pytestmark = [pytest.mark.engine, needs_engine]


def _a_reservation_that_turns_out_wrong_and_is_put_back() -> None:
    raw = raw_config("prod")
    wrong = next(case for case in CASES if case.key == "domains[0].reservation").apply(raw)
    with life.rehearse("prod", {"dynamo-a4x:stacks": []}) as rehearsal:
        rehearsal.up()
        rehearsal.set_config(wrong)
        rehearsal.cloud.faults.fail(lambda call: call.kind == NODE_POOL and call.op == "create", "no such reservation")
        error = life.failed(rehearsal.up)
        assert error is not None
        assert any("no such reservation" in cause for cause in error.causes)
        rehearsal.set_config({key: raw[key] for key in wrong})
        life.finish(rehearsal, "the right reservation again")
        assert "a4x-0" in {resource.id.rsplit("/", 1)[-1] for resource in rehearsal.state.find(NODE_POOL)}


def test_a_pool_comes_back_when_a_zone_without_capacity_is_given_up() -> None:
    raw = raw_config("prod")
    wrong = next(case for case in CASES if case.key == "domains[0].zone").apply(raw)
    with life.rehearse("prod", {"dynamo-a4x:stacks": []}) as rehearsal:
        rehearsal.up()
        networks = {resource.id for resource in rehearsal.state.find(NETWORK)}
        rehearsal.set_config(wrong)
        rehearsal.cloud.faults.fail(lambda call: call.kind == NODE_POOL and call.op == "create", "no capacity")
        error = life.failed(rehearsal.up)
        assert error is not None
        assert any("no capacity" in cause for cause in error.causes)
        # The old zone's network still stands, and is taken again.
        assert networks < {resource.id for resource in rehearsal.state.find(NETWORK)}
        rehearsal.set_config({key: raw[key] for key in wrong})
        life.finish(rehearsal, "the right zone again")
        assert {resource.id for resource in rehearsal.state.find(NETWORK)} == networks


def test_a_domain_changes_its_zone_in_one_up() -> None:
    """Against the old names the plugin panics while it compares the pool (E8)."""
    raw = raw_config("prod")
    changed = next(case for case in CASES if case.key == "domains[0].zone").apply(raw)
    with life.rehearse("prod", {"dynamo-a4x:stacks": []}) as rehearsal:
        rehearsal.up()
        rehearsal.set_config(changed)
        rehearsal.preview()
        life.finish(rehearsal, "in the other zone")
        (roce,) = rehearsal.state.find(NETWORK, where=lambda resource: "networkProfile" in resource.inputs)
        assert roce.outputs["networkProfile"].endswith("us-central1-a-vpc-roce")
        sets = rehearsal.state.find(PARAM_SET, where=lambda resource: resource.id.startswith("rdma-"))
        assert {resource.outputs["spec"]["vpc"] for resource in sets} == {roce.outputs["name"]}


def test_protection_refuses_another_zone_before_anything_is_made() -> None:
    raw = raw_config("prod")
    changed = next(case for case in CASES if case.key == "domains[0].zone").apply(raw)
    with Rehearsal("prod", config={"dynamo-a4x:stacks": []}) as rehearsal:
        rehearsal.up()
        rehearsal.set_config(changed)
        for run in (rehearsal.preview, rehearsal.up):
            before = len(rehearsal.state.journal)
            error = life.failed(run)
            assert error is not None
            assert all("marked for protection" in cause for cause in error.causes)
            acted = {entry.op for entry in rehearsal.state.journal[before:] if not entry.preview}
            assert acted.isdisjoint({"create", "update", "delete"})


def test_a_pool_comes_back_when_a_wrong_reservation_is_put_right() -> None:
    _a_reservation_that_turns_out_wrong_and_is_put_back()


def test_without_the_rule_of_replacement_the_pool_is_made_and_deleted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "delete_first", lambda: None)
    with pytest.raises(ProofError, match=r"stale entries: .*nodePools/a4x-0"):
        _a_reservation_that_turns_out_wrong_and_is_put_back()


def test_replacements_of_dev_that_stop_half_way_leave_nothing_missing() -> None:
    assert replacements.proof("dev", True, silent)[0].survived > 3


@pytest.mark.parametrize("name", ["dra-driver-namespace", "kai-release"])
def test_what_a_stopped_replacement_leaves_behind_has_a_way_out(name: str) -> None:
    """The driver's namespace hangs on its ComputeDomains; the destroy of KAI's patch, run twice, makes its object."""
    with life.rehearse("dev") as rehearsal:
        rehearsal.up()
        (urn,) = [str(r["urn"]) for r in life.resources(rehearsal.export()) if name_of(str(r["urn"])) == name]
        replacements.stopped_and_given_up(rehearsal, urn)
        rehearsal.up_without_change()
        rehearsal.destroy()
        life.require_empty(rehearsal, f"after {name}")

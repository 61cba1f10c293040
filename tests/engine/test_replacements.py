"""A replacement that stops half-way and is given up takes nothing with it."""

from __future__ import annotations

import pytest

import wiring
from proofs import life, replacements
from proofs.changes import CASES, raw_config
from proofs.life import ProofError
from rehearsal.cloud.gcp_rules import NODE_POOL
from tests.engine.proof import needs_engine, silent

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
        assert "a4x-0" in {thing.id.rsplit("/", 1)[-1] for thing in rehearsal.world.find(NODE_POOL)}


def test_a_pool_comes_back_when_a_wrong_reservation_is_put_right() -> None:
    _a_reservation_that_turns_out_wrong_and_is_put_back()


def test_without_the_rule_of_replacement_the_pool_is_made_and_deleted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "delete_first", lambda: None)
    with pytest.raises(ProofError, match=r"ghosts: .*nodePools/a4x-0"):
        _a_reservation_that_turns_out_wrong_and_is_put_back()


def test_replacements_of_dev_that_stop_half_way_leave_nothing_missing() -> None:
    assert replacements.proof("dev", True, silent)[0].survived > 3

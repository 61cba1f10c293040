"""What is proven with multi-networking holds with DRANET too; the long forms are in `python -m tests.resilience`."""

from __future__ import annotations

import pytest

from rehearsal.simulator.gcp_rules import NETWORK, NODE_POOL
from tests.resilience import drift, faults, life, order
from tests.resilience.proof import needs_engine, silent

pytestmark = [pytest.mark.engine, needs_engine]


def test_an_environment_with_dranet_goes_up_changes_comes_down_and_goes_up_again() -> None:
    with life.rehearse("prod+dranet") as rehearsal:
        checker = order.InvariantChecker(rehearsal)
        checker.arm()
        for _ in range(2):
            rehearsal.up()
            rehearsal.up_without_change()
            assert len(rehearsal.state.find(NETWORK)) == 1
            (pool,) = rehearsal.state.find(NODE_POOL, where=lambda resource: "::domain-" in resource.urn)
            assert pool.outputs["networkConfig"]["acceleratorNetworkProfile"] == "auto"
            rehearsal.refresh()
            rehearsal.up_without_change()
            rehearsal.destroy()
            life.require_empty(rehearsal, "with DRANET")
        checker.require("with DRANET")


def test_drift_is_put_right_with_dranet() -> None:
    tallies = drift.proof("dev+dranet", True, silent)
    assert all(tally.tried == tally.survived for tally in tallies)


def test_every_create_and_delete_may_fail_once_with_dranet() -> None:
    creates, deletes = faults.short("dev+dranet", faults.BEFORE, silent)
    assert creates.tried == creates.survived == deletes.tried > 20
    assert creates.orphans == deletes.orphans == 0

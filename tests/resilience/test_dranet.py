"""An environment with DRANET in place of multi-networking; the other tests here have one of them as a parameter."""

from __future__ import annotations

import pytest

from rehearsal.simulator.gcp.rules import NETWORK, NODE_POOL
from tests.resilience import life, order
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]


def test_an_environment_with_dranet_goes_up_changes_comes_down_and_goes_up_again() -> None:
    with life.rehearse(f"prod{life.DRANET}") as rehearsal:
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

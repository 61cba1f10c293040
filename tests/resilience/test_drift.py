"""What others change or delete is put right; what GKE writes by itself is left alone."""

from __future__ import annotations

import pytest

from tests.resilience import drift, life
from tests.resilience.proof import needs_engine, silent

pytestmark = [pytest.mark.engine, needs_engine]


def test_drift_is_found_by_refresh_and_put_right_by_up() -> None:
    tallies = {tally.name: tally for tally in drift.proof("dev", True, silent)}
    assert {name: tally.tried for name, tally in tallies.items() if tally.tried != tally.survived} == {}
    assert tallies["dev, changed by hand"].tried > 15
    assert tallies["dev, deleted by hand"].tried > 10
    assert tallies["dev, rewritten by GKE and controllers"].tried > 15
    assert tallies["dev, graph deleted by hand"].tried == 1


def test_a_pool_that_gke_rewrote_is_not_replaced_while_it_is_protected() -> None:
    with life.rehearse("prod", {"dynamo-a4x:stacks": []}) as rehearsal:
        rehearsal.up()
        assert drift.protected(rehearsal).survived == len(drift.REPLACING)

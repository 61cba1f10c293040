"""`pulumi preview` says what a change does to a running stack, in the real engine."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal import Phase
from rehearsal.run import Rehearsal
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

STACK = {"name": "r1", "layout": "deepseek-r1-fp8-10p8d", "domain": "a4x-0"}
DOMAIN = {"name": "a4x-0", "mode": "adopt", "zone": "us-central1-b", "nodes": 18}
SMALL = "deepseek-r1-fp8-1p1d"


def _said(phase: Phase) -> list[str]:
    return [warning for warning in phase.warnings if "is unavailable" in warning]


def test_a_change_that_takes_decode_down_is_announced_with_the_layouts_numbers_and_no_other_is() -> None:
    config = {"dynamo-a4x:domains": [DOMAIN], "dynamo-a4x:stacks": [STACK]}

    def change(rehearsal: Rehearsal, **more: Any) -> None:
        rehearsal.set_config({"dynamo-a4x:stacks": [{**STACK, **more}]})

    with Rehearsal("dev", config=config) as rehearsal:
        assert _said(rehearsal.preview()) == []
        assert _said(rehearsal.up()) == []
        assert _said(rehearsal.up_without_change()) == []

        change(rehearsal, overrides={"decode": {"environment": {"NCCL_DEBUG": "WARN"}}})
        [said] = _said(rehearsal.preview())
        assert "r1: this change takes down the only decode replica (8 nodes)" in said
        assert "about 21 minutes" in said
        assert len(_said(rehearsal.up())) == 1

        change(rehearsal, overrides={"decode": {"environment": {"NCCL_DEBUG": "WARN"}}}, frontend={"replicas": 3})
        assert _said(rehearsal.preview()) == []
        change(rehearsal, layout=SMALL)
        [said] = _said(rehearsal.preview())
        assert "r1: 5x2p-1x8d in a4x-0 becomes 1x1p-1x1d in a4x-0, which replaces the graph" in said
        assert len(_said(rehearsal.up())) == 1
        # Without the program: a hook that had to run would stop it.
        assert rehearsal.destroy().errors == []

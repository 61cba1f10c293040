"""Every mode lives its whole life: up, up without a change, a change, destroy, and up again in the same cloud."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from rehearsal.run import Rehearsal
from tests.engine import modes
from tests.engine.modes import Modes
from tests.resilience.proof import needs_engine

CHANGES: dict[str, dict[str, Any]] = {
    "fewer frontends": {"frontend": {"replicas": 2}},
    "another variable of the decode workers": {
        "frontend": {"replicas": 2},
        "overrides": {"decode": {"environment": {"NCCL_DEBUG": "WARN"}}},
    },
}


def test_the_selection_holds_every_pair_of_values_that_the_settings_accept() -> None:
    wanted = {pair for one in modes.every() for pair in modes.pairs(one)}
    held = {pair for one in modes.pairwise() for pair in modes.pairs(one)}
    assert held == wanted
    assert set(modes.pairwise()) < set(modes.every())


@pytest.mark.engine
@needs_engine
@pytest.mark.parametrize("chosen", modes.pairwise(), ids=str)
def test_an_environment_lives_and_comes_up_again_where_it_was_destroyed(chosen: Modes) -> None:
    """The second life is that of one combination for each Dynamo release, whose charts decide what stays."""
    first = next(one for one in modes.pairwise() if one.dynamo == chosen.dynamo)
    lives = ("first", "second") if chosen == first else ("first",)
    _live(chosen, lives, changed_in=("first",))


@pytest.mark.engine
@pytest.mark.whole
@needs_engine
@pytest.mark.parametrize("chosen", sorted(modes.every_open() | set(modes.pairwise()), key=str), ids=str)
def test_every_combination_lives_twice_and_can_be_changed_each_time(chosen: Modes) -> None:
    _live(chosen, ("first", "second"), changed_in=("first", "second"))


def _live(chosen: Modes, lives: Sequence[str], changed_in: Sequence[str]) -> None:
    with Rehearsal(chosen.environment, config=chosen.config()) as rehearsal:
        rehearsal.preview()
        for life in lives:
            rehearsal.up(f"{life} up")
            rehearsal.up_without_change()
            stacks = rehearsal.config["dynamo-a4x:stacks"]
            for what, change in CHANGES.items() if life in changed_in else ():
                changed = copy.deepcopy(stacks)
                changed[0] |= change
                rehearsal.set_config({"dynamo-a4x:stacks": changed})
                assert rehearsal.up(what).changed, what
                rehearsal.up_without_change()
            # Unchanged again for the second life; a protected environment is destroyed in two steps.
            rehearsal.set_config({"dynamo-a4x:stacks": stacks, "dynamo-a4x:protect": False})
            rehearsal.up("as shipped, without protection")
            rehearsal.destroy(f"{life} destroy")
            assert rehearsal.state.leftovers() == []

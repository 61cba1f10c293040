"""Two serving stacks in one environment, and two users' environments on one cluster, do not touch each other."""

from __future__ import annotations

import pytest

from tests.resilience import neighbours
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]


def test_two_serving_stacks_live_in_two_domains_and_one_goes_alone() -> None:
    assert neighbours.two_stacks().survived > 5


def test_two_users_share_a_cluster_and_neither_can_break_the_other() -> None:
    assert neighbours.two_environments().survived > 20


def test_two_users_with_one_name_for_their_stacks_are_reported_what_exists_already() -> None:
    causes = neighbours.same_name()
    assert any('queues.scheduling.run.ai "dynamo-a4x-dev" already exists' in cause for cause in causes)


def test_a_platform_in_use_is_neither_destroyed_nor_given_up_and_its_users_are_named() -> None:
    assert neighbours.guarded().survived == 4


def test_without_its_guard_a_platform_in_use_is_uninstalled_and_the_damage_is_seen() -> None:
    assert neighbours.unguarded().survived > 1

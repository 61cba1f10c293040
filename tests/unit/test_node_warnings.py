"""A change for which GKE recreates the nodes of a pool is named by its fields, and no other is."""

from __future__ import annotations

from typing import Any

import pytest

from components.gcp.node_warnings import recreating
from reference import gke
from tests.conftest import recorded

POOL: dict[str, Any] = {"version": "1.35.1", "nodeCount": 18, "nodeConfig": {"diskSizeGb": 100, "labels": {"a": "b"}}}


@pytest.mark.parametrize("field", gke.RECREATING)
def test_every_such_field_is_named(field: str) -> None:
    assert recreating(POOL, {**POOL, "nodeConfig": {**POOL["nodeConfig"], field: "other"}}) == [field]


def test_a_version_is_named_and_what_changes_in_place_is_not() -> None:
    assert recreating(POOL, {**POOL, "version": "1.35.2"}) == ["version"]
    assert recreating(POOL, {**POOL, "nodeCount": 17, "nodeConfig": {"diskSizeGb": 100, "labels": {}}}) == []
    assert recreating({}, {}) == []


def test_every_pool_of_a_domain_has_the_hook_and_no_delete_hook() -> None:
    pool = recorded("prod").find(name="domain-a4x-0-pool")
    assert pool.hooks == {"before_update": ("domain-a4x-0-nodes",)}

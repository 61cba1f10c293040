"""A cluster that is gone or out of reach does not keep the rest from being destroyed."""

from __future__ import annotations

import pytest

from tests.resilience import dead_cluster
from tests.resilience.proof import needs_engine, silent

pytestmark = [pytest.mark.engine, needs_engine]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_rest_is_destroyed_when_the_cluster_is_gone(environment: str) -> None:
    assert dead_cluster.proof(environment, True, silent)[0].survived > 15


def test_the_rest_is_destroyed_when_the_cluster_answers_nobody() -> None:
    assert dead_cluster._one("dev", False, silent).survived > 15

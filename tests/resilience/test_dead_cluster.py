"""A cluster that is gone, or that answers nobody: the destroy of everything else still ends.

Without help a destroy stops at the objects inside the cluster. `recovery.forget_cluster` lets the state forget
them; the destroy that follows takes away what Google Cloud holds.
"""

from __future__ import annotations

import pytest

from recovery.forget_cluster import forget_cluster
from rehearsal import Rehearsal
from rehearsal.simulator.gcp.rules import CLUSTER, NODE_POOL
from tests.resilience import life
from tests.resilience.proof import RecordProperty, needs_engine

pytestmark = [pytest.mark.engine, needs_engine]


def _remove_cluster(rehearsal: Rehearsal) -> None:
    """Take the environment's cluster away with its pools and all that is in it."""
    state = rehearsal.state
    for cluster in state.find(CLUSTER):
        pools = state.find(NODE_POOL, where=lambda pool, id_=cluster.id: pool.id.startswith(f"{id_}/"))
        for resource in [*state.find(scope=cluster.id), *pools, cluster]:
            state.remove(resource.key)


def _cut_off(rehearsal: Rehearsal) -> None:
    rehearsal.state.unreachable |= {cluster.id for cluster in rehearsal.state.find(CLUSTER)}


def _destroy_without_cluster(rehearsal: Rehearsal) -> None:
    error = life.failed(rehearsal.destroy)
    assert error is not None
    assert any("unreachable" in cause for cause in error.causes)
    assert forget_cluster(rehearsal.name, rehearsal.folder / "backup.json", life.bound(rehearsal))
    rehearsal.destroy()
    assert [resource for resource in life.in_the_cloud(rehearsal) if resource.kind.startswith("gcp:")] == []
    assert life.resources(rehearsal.export()) == []


@pytest.mark.parametrize("environment", life.environments("dev", "prod"))
def test_the_rest_is_destroyed_when_the_cluster_is_gone(environment: str, record_property: RecordProperty) -> None:
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        record_property("tried", len(life.in_the_cloud(rehearsal)))
        _remove_cluster(rehearsal)
        _destroy_without_cluster(rehearsal)
        if rehearsal.settings.cluster.mode == "create":
            life.finish(rehearsal, "recreated after the cluster was gone")
            rehearsal.destroy()
            life.require_empty(rehearsal, "after the second life")


@pytest.mark.parametrize("environment", life.environments("dev"))
def test_the_rest_is_destroyed_when_the_cluster_answers_nobody(
    environment: str, record_property: RecordProperty
) -> None:
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        record_property("tried", len(life.in_the_cloud(rehearsal)))
        _cut_off(rehearsal)
        _destroy_without_cluster(rehearsal)

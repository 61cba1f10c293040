"""Nothing that a living object needs is gone before it, and a broken order is refused or seen."""

from __future__ import annotations

import pytest

from rehearsal import Rehearsal
from rehearsal.simulator.gcp_rules import CLUSTER
from tests.resilience import life, order
from tests.resilience.proof import RecordProperty, needs_engine

pytestmark = [pytest.mark.engine, needs_engine]


@pytest.mark.parametrize("environment", life.environments("dev"))
def test_at_every_moment_of_up_and_destroy_everything_alive_has_what_it_needs(
    environment: str, record_property: RecordProperty
) -> None:
    looks = order.checked(environment)
    assert looks > 40
    record_property("looks at the whole cloud", looks)


@pytest.mark.parametrize("environment", life.environments("dev"))
def test_what_is_in_use_is_refused_or_missed_when_it_is_deleted(
    environment: str, record_property: RecordProperty
) -> None:
    tried = order.offered(environment)
    assert tried > 10
    record_property("tried", tried)


@pytest.mark.parametrize(("environment", "only"), [("dev", 5), *life.whole((name, None) for name in life.EVERY)])
def test_a_destroy_in_a_broken_order_is_refused_or_seen(
    environment: str, only: int | None, record_property: RecordProperty
) -> None:
    tried = order.negative_controls(environment, only)
    assert tried >= 5
    record_property("tried", tried)


def test_the_witness_sees_a_graph_whose_operator_is_gone() -> None:
    rehearsal = Rehearsal("dev")
    cloud = rehearsal.cloud
    cluster = cloud.gcp.seed(CLUSTER, {"name": "a"}, project="p", region="r")
    body = {"apiVersion": "nvidia.com/v1alpha1", "kind": "DynamoGraphDeployment", "spec": {"services": {}}}
    cloud.kubernetes.seed(cluster, order.GRAPH, {**body, "metadata": {"name": "g", "namespace": "default"}})
    wrong = order.lacking(rehearsal)
    assert any("lives without dynamo-platform" in text for text in wrong)
    assert any("lives without nvidia-dra-driver-gpu" in text for text in wrong)


def test_the_witness_sees_a_graph_whose_priority_class_went_with_kai() -> None:
    rehearsal = Rehearsal("dev")
    cluster = rehearsal.cloud.gcp.seed(CLUSTER, {"name": "a"}, project="p", region="r")
    role = {"extraPodSpec": {"priorityClassName": "inference"}}
    body = {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "spec": {"services": {"Decode": role}},
    }
    named = {"metadata": {"name": "g", "namespace": "default"}}
    rehearsal.cloud.kubernetes.seed(cluster, order.GRAPH, {**body, **named})
    assert any("lives without PriorityClass inference" in text for text in order.lacking(rehearsal))

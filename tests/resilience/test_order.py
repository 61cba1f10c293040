"""Nothing that a living object needs is gone before it, and a broken order is refused or seen."""

from __future__ import annotations

import pytest

from rehearsal import Rehearsal
from rehearsal.simulator.gcp_rules import CLUSTER
from tests.resilience import order
from tests.resilience.proof import needs_engine, silent

pytestmark = [pytest.mark.engine, needs_engine]


def test_at_every_moment_of_up_and_destroy_everything_alive_has_what_it_needs() -> None:
    tally = order.witnessed("dev", silent)
    assert tally.tried == tally.survived > 40


def test_what_is_in_use_is_refused_or_missed_when_it_is_deleted() -> None:
    assert order.offered("dev", silent).survived > 10


def test_a_destroy_in_a_broken_order_is_refused_or_seen() -> None:
    assert order.negative_controls("dev", silent).survived == 5


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

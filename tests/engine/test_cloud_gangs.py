"""What of a graph starts together, by release: with a node too few some of it serves, or nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rehearsal.simulator import CloudResource
from rehearsal.simulator.kubernetes import nodes
from rehearsal.simulator.values import Props
from rehearsal.simulator.workloads import blockers, kai
from tests.engine.driver import NODE_POOL, Driver, component


def _rack(version: str, nodes_free: int = 18) -> Driver:
    cloud = Driver(dynamo_version=version)
    cloud.current(version, nodes=18)
    cloud.state.cordoned[cloud.state.find(NODE_POOL)[0].id] = 18 - nodes_free
    return cloud


def _ten_and_eight(cloud: Driver, name: str = "r1", least: int | None = None, **spec: Any) -> CloudResource:
    """As 10p8d: five prefill replicas of two nodes, decode on eight."""
    more: Props = {} if least is None else {"minAvailable": least}
    whole: Props = {} if least is None else {"minAvailable": 1}
    prefill = component("Prefill", 5, 2, **more)
    return cloud.beta(name, component("Frontend", 9), prefill, component("Decode", 1, 8, **whole), **spec)


def _said(cloud: Driver, graph: CloudResource) -> str:
    return "\n".join(blockers.of(cloud.state, graph.scope, graph.outputs))


@pytest.mark.parametrize(("version", "least"), [("1.2.1", None), ("1.5.1", None), ("1.5.1", 1)])
def test_a_rack_with_one_dead_node_serves_without_one_prefill_replica(version: str, least: int | None) -> None:
    cloud = _rack(version, 17)
    graph = _ten_and_eight(cloud, least=least)
    assert nodes.running(cloud.state, graph) == {"Prefill": 4, "Decode": 1}
    # Half a replica starts nothing.
    assert nodes.in_use(cloud.state, graph.scope, "a4x-0") == 16
    assert "18 GPU nodes wanted in node pool a4x-0, 17 of 18 are free" in _said(cloud, graph)
    cloud.state.cordoned.clear()
    assert nodes.running(cloud.state, graph) == {"Prefill": 5, "Decode": 1}
    assert not _said(cloud, graph)


def test_where_all_replicas_start_together_one_dead_node_keeps_everything_from_starting() -> None:
    cloud = _rack("1.5.1", 17)
    graph = _ten_and_eight(cloud, least=5)
    assert nodes.running(cloud.state, graph) == {"Prefill": 0, "Decode": 0}
    assert "nothing starts: its gang has to get 18 GPU nodes" in _said(cloud, graph)
    assert "17 of 18 are free" in _said(cloud, graph)
    # The graph's own status never says so.
    [ready] = graph.outputs["status"]["conditions"]
    assert (ready["reason"], ready["status"]) == ("mixed_not_ready_reasons", "False")
    assert "GPU" not in ready["message"]
    cloud.state.cordoned.clear()
    assert nodes.running(cloud.state, graph) == {"Prefill": 5, "Decode": 1}


@pytest.mark.parametrize("version", ["1.2.1", "1.5.1"])
def test_decode_and_one_prefill_replica_are_the_least_that_starts(version: str) -> None:
    cloud = _rack(version, 10)
    graph = _ten_and_eight(cloud)
    assert nodes.running(cloud.state, graph) == {"Prefill": 1, "Decode": 1}
    cloud = _rack(version, 9)
    graph = _ten_and_eight(cloud)
    assert nodes.running(cloud.state, graph) == {"Prefill": 0, "Decode": 0}
    assert "its gang has to get 10 GPU nodes" in _said(cloud, graph)


def test_nodes_that_a_gang_cannot_use_are_another_graphs() -> None:
    cloud = _rack("1.5.1", 17)
    _ten_and_eight(cloud, least=5)
    other = cloud.beta("r2", component("Prefill"), component("Decode"))
    assert not _said(cloud, other)


def test_before_1_1_pods_start_one_by_one() -> None:
    cloud = Driver(dynamo_version="1.0.2")
    cloud.current("1.0.2", nodes=3)
    from tests.engine.driver import role  # noqa: PLC0415

    graph = cloud.graph(Prefill=role(2), Decode=role(nodes=2))
    assert nodes.in_use(cloud.state, graph.scope, "a4x-0") == 3


def test_a_decode_that_lost_its_nodes_waits_for_all_of_them_while_prefill_runs_on() -> None:
    cloud = _rack("1.2.1")
    graph = _ten_and_eight(cloud)
    assert not _said(cloud, graph)
    cloud.state.cordoned[cloud.state.find(NODE_POOL)[0].id] = 1
    assert not _said(cloud, graph)
    changed = copy.deepcopy(graph.inputs)
    changed["spec"]["components"][2]["podTemplate"]["spec"]["containers"][0]["image"] = "example/worker:1.5.2"
    cloud.update(graph, changed)
    assert nodes.running(cloud.state, graph) == {"Prefill": 5, "Decode": 0}


@pytest.mark.parametrize(
    ("version", "spec", "rank"),
    [
        ("1.2.1", {}, "inference"),
        ("1.5.1", {}, "train"),
        ("1.5.1", {"priorityClassName": "inference"}, "inference"),
    ],
)
def test_from_1_5_on_only_the_graphs_own_class_ranks_its_gangs(version: str, spec: Props, rank: str) -> None:
    cloud = _rack(version)
    decode = component("Decode")
    decode["podTemplate"]["spec"]["priorityClassName"] = "inference"
    graph = cloud.beta("g", decode, **spec)
    assert kai.rank(cloud.state, graph.scope, graph.outputs) == rank


def test_a_gangs_class_has_to_be_there() -> None:
    cloud = _rack("1.5.1")
    assert "no PriorityClass with name urgent" in _said(cloud, cloud.beta("g", priorityClassName="urgent"))

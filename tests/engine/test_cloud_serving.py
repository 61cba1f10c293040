"""What becomes of a DynamoGraphDeployment, and what keeps its pods from ever running. One test, one rule.

The API server takes a graph that cannot run, so each rule is a blocker that the graph's status or a readiness check
tells.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from rehearsal.simulator import ApiError, CloudResource
from rehearsal.simulator.faults import NotReadyError
from rehearsal.simulator.values import Props
from rehearsal.simulator.workloads import blockers
from tests.engine.driver import (
    GRAPH,
    NAMESPACE,
    NODE_POOL,
    QUEUE,
    RELEASE,
    TOLERATIONS,
    Driver,
    graph_inputs,
    role,
    state_of,
)


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.platform()
    return made


def hindered(cloud: Driver, graph: CloudResource, message: str) -> bool:
    """Whether something that matches `message` keeps the graph's pods from running, and nothing does else."""
    found = list(blockers.of(cloud.state, graph.scope, graph.outputs))
    assert bool(found) == (state_of(graph) != "successful")
    return any(re.search(message, reason) for reason in found)


def runs(cloud: Driver, graph: CloudResource) -> bool:
    return not list(blockers.of(cloud.state, graph.scope, graph.outputs))


def release(cloud: Driver, chart: str) -> CloudResource:
    return next(resource for resource in cloud.state.find(RELEASE) if chart in resource.id)


def test_a_graph_that_can_run_is_successful(cloud: Driver) -> None:
    assert state_of(cloud.graph()) == "successful"


def test_a_graph_without_an_operator_stays_pending(cloud: Driver) -> None:
    cloud.state.remove(release(cloud, "dynamo-platform").key)
    assert hindered(cloud, cloud.graph(), "no Dynamo operator")


def test_a_graph_of_a_name_that_was_used_before_stays_pending_for_ever(cloud: Driver) -> None:
    cloud.delete(cloud.graph("r1-abcd"))
    assert hindered(cloud, cloud.graph("r1-abcd"), "stays pending for ever")
    cloud.graph("r1-efgh")


def test_on_1_0_a_name_can_be_used_again() -> None:
    cloud = Driver(dynamo_version="1.0.1")
    cloud.cluster()
    cloud.pool()
    cloud.kai()
    values = {"global": {"grove": {"install": True}, "kai-scheduler": {"install": False, "enabled": True}}}
    cloud.release("dynamo-platform", "default", "1.0.1", values=values)
    cloud.namespace("serving")
    cloud.kube("scheduling.run.ai/v2", "Queue", "team", spec={})
    cloud.delete(cloud.graph())
    cloud.graph()


def test_a_name_of_27_characters_fits_and_one_of_28_does_not(cloud: Driver) -> None:
    cloud.release("other", "default")
    cloud.delete(cloud.graph("n" * 27, Prefill=role(nodes=2)))
    assert hindered(cloud, cloud.graph("n" * 28, Prefill=role(nodes=2)), "46 exceeds 45-character limit")


@pytest.mark.parametrize("queue", ["nothing", ""])
def test_a_queue_that_is_not_there_fails_the_graph(cloud: Driver, queue: str) -> None:
    cloud.state.remove((QUEUE, cloud.state.find(QUEUE)[0].scope, "dynamo"))
    assert hindered(cloud, cloud.graph(queue=queue), r"KAI queue .* does not exist")


def test_workers_that_their_namespace_refuses_never_start(cloud: Driver) -> None:
    [space] = [one for one in cloud.state.find(NAMESPACE) if one.id == "serving"]
    space.outputs["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "baseline"}
    privileged: Any = {"mainContainer": {"image": "x", "securityContext": {"privileged": True}}}
    assert hindered(cloud, cloud.graph(Decode=role(**privileged)), 'Decode: .* "baseline:latest": privileged')


def test_a_queue_whose_parent_is_not_there_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="parent queue nothing"):
        cloud.kube("scheduling.run.ai/v2", "Queue", "child", spec={"parentQueue": "nothing"})


def test_a_priority_class_that_nobody_brought_is_refused(cloud: Driver) -> None:
    assert hindered(cloud, cloud.graph(Decode=role(priorityClassName="urgent")), "no PriorityClass with name urgent")


@pytest.mark.parametrize(
    ("pod", "missing"),
    [
        ({"serviceAccountName": "nobody"}, "ServiceAccount"),
        ({"imagePullSecrets": [{"name": "nvcr-secret"}]}, "Secret"),
        ({"volumes": [{"name": "v", "configMap": {"name": "nothing"}}]}, "ConfigMap"),
        ({"resourceClaims": [{"name": "c", "resourceClaimTemplateName": "channel"}]}, "ResourceClaimTemplate"),
        ({"mainContainer": {"envFrom": [{"secretRef": {"name": "nothing"}}]}}, "Secret"),
    ],
)
def test_a_graph_whose_pods_name_what_is_not_there_is_refused(cloud: Driver, pod: Props, missing: str) -> None:
    assert hindered(cloud, cloud.graph(Decode=role(**pod)), f'{missing} ".*" not found in namespace serving')


def test_a_graphs_own_variables_are_looked_up_too(cloud: Driver) -> None:
    ref = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "hf-token-secret", "key": "HF_TOKEN"}}}
    for place in ("graph", "service", "envFromSecret"):
        inputs = graph_inputs()
        if place == "graph":
            inputs["spec"]["envs"] = [ref]
        elif place == "service":
            inputs["spec"]["services"]["Decode"]["envs"] = [ref]
        else:
            inputs["spec"]["services"]["Decode"]["envFromSecret"] = "hf-token-secret"
        inputs["metadata"]["name"] = place.lower()
        assert hindered(cloud, cloud.create(GRAPH, place, inputs), 'Secret "hf-token-secret" not found')


def test_a_volume_that_the_graph_does_not_create_must_be_there(cloud: Driver) -> None:
    inputs = graph_inputs()
    inputs["spec"]["pvcs"] = [{"name": "cache", "create": False}]
    assert hindered(cloud, cloud.create(GRAPH, "g", inputs), 'PersistentVolumeClaim "cache" not found')


# Nodes


def test_a_pool_that_is_not_there_is_refused(cloud: Driver) -> None:
    assert hindered(cloud, cloud.graph(Decode=role(pool="elsewhere")), "no node pool elsewhere in the cluster")


def test_gpu_pods_that_name_no_pool_are_refused(cloud: Driver) -> None:
    assert hindered(
        cloud, cloud.graph(Decode=role(nodeSelector={"kubernetes.io/arch": "arm64"})), "spread over two NVLink domains"
    )


def test_a_pool_may_be_named_by_affinity(cloud: Driver) -> None:
    rule = {"key": "cloud.google.com/gke-nodepool", "operator": "In", "values": ["a4x-0"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    cloud.graph(Decode=role(nodeSelector={}, affinity=affinity))


@pytest.mark.parametrize("missing", [0, 1])
def test_both_taints_must_be_tolerated(cloud: Driver, missing: int) -> None:
    kept = [TOLERATIONS[1 - missing]]
    assert hindered(cloud, cloud.graph(Decode=role(tolerations=kept)), "untolerated taint")


def test_frontends_on_the_pool_must_tolerate_it_too(cloud: Driver) -> None:
    frontend: dict[str, Any] = {
        "componentType": "frontend",
        "extraPodSpec": {"nodeSelector": {"cloud.google.com/gke-nodepool": "a4x-0"}, "mainContainer": {}},
    }
    assert hindered(cloud, cloud.graph(Frontend=frontend, Decode=role()), r"Frontend: .*untolerated taint")


def test_frontends_elsewhere_take_no_gpu_node(cloud: Driver) -> None:
    frontend: dict[str, Any] = {"replicas": 9, "extraPodSpec": {"mainContainer": {"image": "x"}}}
    cloud.graph(Frontend=frontend, Prefill=role(), Decode=role())


def test_more_nodes_than_the_pool_has_stay_pending(cloud: Driver) -> None:
    assert hindered(
        cloud,
        cloud.graph(Prefill=role(), Decode=role(nodes=2)),
        "3 GPU nodes wanted in node pool a4x-0, 2 of 2 are free",
    )


def test_nodes_of_other_graphs_are_taken_until_these_are_gone(cloud: Driver) -> None:
    first = cloud.graph("r1-abcd", Decode=role())
    second = cloud.graph("r2-abcd")
    assert hindered(cloud, second, "2 GPU nodes wanted in node pool a4x-0, 1 of 2 are free")
    assert runs(cloud, first)
    cloud.delete(first)
    assert runs(cloud, second)


def test_pods_that_run_keep_their_nodes_when_an_older_graph_grows(cloud: Driver) -> None:
    older, younger = cloud.graph("r1-abcd", Decode=role()), cloud.graph("r2-abcd", Decode=role())
    changed = copy.deepcopy(older.inputs)
    changed["spec"]["services"]["Decode"]["replicas"] = 2
    cloud.update(older, changed)
    assert not runs(cloud, older)
    assert runs(cloud, younger)


def test_a_cordoned_node_takes_no_pod_until_it_is_uncordoned(cloud: Driver) -> None:
    pool = cloud.state.find(NODE_POOL)[0]
    cloud.state.cordoned[pool.id] = 1
    graph = cloud.graph()
    assert hindered(cloud, graph, "2 GPU nodes wanted in node pool a4x-0, 1 of 2 are free")
    cloud.state.cordoned.clear()
    assert runs(cloud, graph)


def test_a_cordoned_node_keeps_its_pods_until_they_are_made_anew(cloud: Driver) -> None:
    graph = cloud.graph()
    assert runs(cloud, graph)
    cloud.state.cordoned[cloud.state.find(NODE_POOL)[0].id] = 1
    assert runs(cloud, graph)
    changed = copy.deepcopy(graph.inputs)
    changed["spec"]["services"]["Decode"]["extraPodSpec"]["mainContainer"]["image"] = "example/worker:2"
    cloud.update(graph, changed)
    assert not runs(cloud, graph)


def test_the_72_gpu_layout_takes_exactly_18_nodes(cloud: Driver) -> None:
    for nodes, name in ((17, "small"), (18, "full")):
        cloud.pool(name, nodes)
    cloud.graph(Prefill=role(5, 2, "full"), Decode=role(1, 8, "full"))
    assert hindered(
        cloud,
        cloud.graph("r2-abcd", Prefill=role(5, 2, "small"), Decode=role(1, 8, "small")),
        "18 GPU nodes wanted in node pool small, 17 of 17 are free",
    )


def test_a_pod_cannot_have_more_gpus_than_a_node(cloud: Driver) -> None:
    wide = role()
    wide["resources"]["limits"]["gpu"] = "8"
    assert hindered(cloud, cloud.graph(Decode=wide), "8 GPUs a pod, a node has 4")


def test_a_graph_may_change_in_place_within_its_own_nodes(cloud: Driver) -> None:
    made = cloud.graph()
    changed = copy.deepcopy(made.inputs)
    changed["spec"]["services"]["Decode"]["extraPodSpec"]["mainContainer"]["image"] = "example/worker:2"
    difference = cloud.diff(made, changed)
    assert difference.changes
    assert not difference.replaces
    cloud.update(made, changed)
    changed["spec"]["services"]["Decode"]["replicas"] = 2
    cloud.update(made, changed)
    assert not runs(cloud, made)


# What the graph says of itself


def test_a_name_that_does_not_fit_and_a_missing_queue_make_a_graph_failed(cloud: Driver) -> None:
    assert state_of(cloud.graph("n" * 28, Prefill=role(nodes=2))) == "failed"
    assert state_of(cloud.graph(queue="nothing")) == "failed"


@pytest.mark.parametrize(("version", "state"), [("0.7.0", "pending"), ("1.0.1", "pending"), ("1.2.0", "successful")])
def test_the_status_of_replicas_over_several_nodes_can_stay_pending_though_all_pods_run(
    cloud: Driver, version: str, state: str
) -> None:
    """R4: seen on 0.7.0 and 1.0.1, not near 1.2."""
    platform = release(cloud, "dynamo-platform")
    platform.outputs["status"]["version"] = version
    platform.inputs["values"] |= {"global": {"grove": {"install": True}}}
    graph = cloud.graph(Decode=role(nodes=2))
    assert runs(cloud, graph)
    assert state_of(graph) == state


def test_right_after_a_change_the_status_is_the_one_from_before(cloud: Driver) -> None:
    """R7: an image change "ended" in 4 s, and the roll began a second later."""
    graph = cloud.graph()
    changed = copy.deepcopy(graph.inputs)
    changed["spec"]["services"]["Decode"]["extraPodSpec"]["tolerations"] = []
    assert cloud.update(graph, changed)["status"]["state"] == "successful"
    assert not runs(cloud, graph)


def waited_for(nodes: int) -> Props:
    """A graph with the annotation that waits for its status."""
    inputs = graph_inputs("r1-abcd", Prefill=role(), Decode=role(nodes=nodes))
    inputs["metadata"]["annotations"]["pulumi.com/waitFor"] = "jsonpath={.status.state}=successful"
    return inputs


def test_waiting_for_the_status_fails_although_every_pod_runs(cloud: Driver) -> None:
    """R4, as the plugin waits: why a graph is not waited for by its status."""
    cloud.pool("wide", 3)
    inputs = waited_for(2)
    for service in inputs["spec"]["services"].values():
        service["extraPodSpec"]["nodeSelector"]["cloud.google.com/gke-nodepool"] = "wide"
    with pytest.raises(NotReadyError, match=r"timed out waiting for jsonpath=\{.status.state\}=successful"):
        cloud.create(GRAPH, "r1-abcd", inputs)
    (graph,) = cloud.state.find(GRAPH)
    assert runs(cloud, graph)


def test_waiting_for_the_status_of_a_change_ends_before_it_has_begun(cloud: Driver) -> None:
    """R7, as the plugin waits: green, and then stuck for good."""
    graph = cloud.create(GRAPH, "r1-abcd", waited_for(1))
    changed = copy.deepcopy(graph.inputs)
    changed["spec"]["services"]["Decode"]["extraPodSpec"]["tolerations"] = []
    cloud.update(graph, changed)
    assert not runs(cloud, graph)


def _asking(replicas: int, memory: str, cpu: str = "5") -> Props:
    service = role(replicas)
    service["resources"] = {"requests": {"cpu": cpu, "memory": memory}}
    return service


def test_pods_that_fit_on_no_node_have_no_place(cloud: Driver) -> None:
    fitting = cloud.graph("r0-abcd", Frontend=_asking(34, "50Gi"), Decode=role())
    assert runs(cloud, fitting)
    cloud.delete(fitting)
    for frontend in (_asking(60, "50Gi"), _asking(57, "1Gi"), _asking(221, "1Mi", "10m")):
        graph = cloud.graph(Frontend=frontend, Decode=role())
        assert hindered(cloud, graph, r"Frontend: 0/2 nodes are available: Insufficient cpu or memory")
        cloud.state.remove(graph.key)


def test_grove_refuses_topology_spread_constraints(cloud: Driver) -> None:
    spread = [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}]
    graph = cloud.graph(Prefill=role(topologySpreadConstraints=spread))
    assert hindered(cloud, graph, r"Prefill: state failed: .*topologySpreadConstraints")
    assert state_of(graph) == "failed"


# Deletion


def test_what_a_graph_needs_outlives_it(cloud: Driver) -> None:
    cloud.domain()
    secret = cloud.kube("v1", "Secret", "nvcr-secret", "serving", stringData={"a": "b"})
    config = cloud.kube("v1", "ConfigMap", "conf", "serving", data={"a": "b"})
    account = cloud.kube("v1", "ServiceAccount", "ksa", "serving")
    domain = cloud.state.find("kubernetes:resource.nvidia.com/v1beta1:ComputeDomain")[0]
    queue = cloud.state.find(QUEUE, where=lambda resource: resource.id == "team")[0]
    pod = {
        "imagePullSecrets": [{"name": "nvcr-secret"}],
        "serviceAccountName": "ksa",
        "volumes": [{"name": "v", "configMap": {"name": "conf"}}],
        "resourceClaims": [{"name": "c", "resourceClaimTemplateName": "channel"}],
    }
    graph = cloud.graph(Decode=role(**pod))
    needed = [secret, config, account, domain, queue]
    for resource in needed:
        with pytest.raises(ApiError, match="still used by DynamoGraphDeployment serving/r1-abcd"):
            cloud.delete(resource)
    cloud.delete(graph)
    for resource in needed:
        cloud.delete(resource)


def test_a_graph_whose_operator_is_gone_cannot_go(cloud: Driver) -> None:
    graph = cloud.graph()
    cloud.state.remove(release(cloud, "dynamo-platform").key)
    with pytest.raises(ApiError, match="its operator is gone"):
        cloud.delete(graph)
    with pytest.raises(ApiError, match="stays in Terminating: DynamoGraphDeployment"):
        cloud.delete(cloud.state.find(NAMESPACE, where=lambda resource: resource.id == "serving")[0])


def test_the_namespace_is_a_way_to_end_a_graph_while_its_operator_lives(cloud: Driver) -> None:
    cloud.graph()
    cloud.delete(cloud.state.find(NAMESPACE, where=lambda resource: resource.id == "serving")[0])
    assert not cloud.state.find(GRAPH)

"""What becomes of a DynamoGraphDeployment: refused where its pods would never run. One test, one rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rehearsal.cloud import Refusal, Thing
from rehearsal.cloud.values import Props
from tests.engine.driver import (
    GRAPH,
    NAMESPACE,
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


def release(cloud: Driver, chart: str) -> Thing:
    return next(thing for thing in cloud.world.find(RELEASE) if chart in thing.id)


def test_a_graph_that_can_run_is_successful(cloud: Driver) -> None:
    assert state_of(cloud.graph()) == "successful"


def test_a_graph_without_an_operator_stays_pending(cloud: Driver) -> None:
    cloud.world.remove(release(cloud, "dynamo-platform").key)
    with pytest.raises(Refusal, match="no Dynamo operator"):
        cloud.graph()


def test_a_graph_of_a_name_that_was_used_before_stays_pending_for_ever(cloud: Driver) -> None:
    cloud.delete(cloud.graph("r1-abcd"))
    with pytest.raises(Refusal, match="stays pending for ever"):
        cloud.graph("r1-abcd")
    cloud.graph("r1-efgh")


def test_on_1_0_a_name_can_be_used_again() -> None:
    cloud = Driver(dynamo_version="1.0.1")
    cloud.cluster()
    cloud.pool()
    values = {"global": {"grove": {"install": True}, "kai-scheduler": {"install": True}}}
    cloud.release("dynamo-platform", "default", "1.0.1", values=values)
    cloud.namespace("serving")
    cloud.kube("scheduling.run.ai/v2", "Queue", "team", spec={})
    cloud.delete(cloud.graph())
    cloud.graph()


def test_a_name_of_27_characters_fits_and_one_of_28_does_not(cloud: Driver) -> None:
    cloud.release("other", "default")
    cloud.delete(cloud.graph("n" * 27, Prefill=role(nodes=2)))
    with pytest.raises(Refusal, match="46 exceeds 45-character limit"):
        cloud.graph("n" * 28, Prefill=role(nodes=2))


@pytest.mark.parametrize("queue", ["nothing", ""])
def test_a_queue_that_is_not_there_fails_the_graph(cloud: Driver, queue: str) -> None:
    cloud.world.remove((QUEUE, cloud.world.find(QUEUE)[0].scope, "dynamo"))
    with pytest.raises(Refusal, match=r"KAI queue .* does not exist"):
        cloud.graph(queue=queue)


def test_a_queue_whose_parent_is_not_there_is_refused(cloud: Driver) -> None:
    with pytest.raises(Refusal, match="parent queue nothing"):
        cloud.kube("scheduling.run.ai/v2", "Queue", "child", spec={"parentQueue": "nothing"})


def test_a_priority_class_that_nobody_brought_is_refused(cloud: Driver) -> None:
    with pytest.raises(Refusal, match="no PriorityClass with name urgent"):
        cloud.graph(Decode=role(priorityClassName="urgent"))


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
    with pytest.raises(Refusal, match=f'{missing} ".*" not found in namespace serving'):
        cloud.graph(Decode=role(**pod))


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
        with pytest.raises(Refusal, match='Secret "hf-token-secret" not found'):
            cloud.create(GRAPH, place, inputs)


def test_a_volume_that_the_graph_does_not_create_must_be_there(cloud: Driver) -> None:
    inputs = graph_inputs()
    inputs["spec"]["pvcs"] = [{"name": "cache", "create": False}]
    with pytest.raises(Refusal, match='PersistentVolumeClaim "cache" not found'):
        cloud.create(GRAPH, "g", inputs)


# Nodes


def test_a_pool_that_is_not_there_is_refused(cloud: Driver) -> None:
    with pytest.raises(Refusal, match="no node pool elsewhere in the cluster"):
        cloud.graph(Decode=role(pool="elsewhere"))


def test_gpu_pods_that_name_no_pool_are_refused(cloud: Driver) -> None:
    with pytest.raises(Refusal, match="spread over two NVLink domains"):
        cloud.graph(Decode=role(nodeSelector={"kubernetes.io/arch": "arm64"}))


def test_a_pool_may_be_named_by_affinity(cloud: Driver) -> None:
    rule = {"key": "cloud.google.com/gke-nodepool", "operator": "In", "values": ["a4x-0"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    cloud.graph(Decode=role(nodeSelector={}, affinity=affinity))


@pytest.mark.parametrize("missing", [0, 1])
def test_both_taints_must_be_tolerated(cloud: Driver, missing: int) -> None:
    kept = [TOLERATIONS[1 - missing]]
    with pytest.raises(Refusal, match="untolerated taint"):
        cloud.graph(Decode=role(tolerations=kept))


def test_frontends_on_the_pool_must_tolerate_it_too(cloud: Driver) -> None:
    frontend: dict[str, Any] = {
        "componentType": "frontend",
        "extraPodSpec": {"nodeSelector": {"cloud.google.com/gke-nodepool": "a4x-0"}, "mainContainer": {}},
    }
    with pytest.raises(Refusal, match=r"Frontend: .*untolerated taint"):
        cloud.graph(Frontend=frontend, Decode=role())


def test_frontends_elsewhere_take_no_gpu_node(cloud: Driver) -> None:
    frontend: dict[str, Any] = {"replicas": 9, "extraPodSpec": {"mainContainer": {"image": "x"}}}
    cloud.graph(Frontend=frontend, Prefill=role(), Decode=role())


def test_more_nodes_than_the_pool_has_stay_pending(cloud: Driver) -> None:
    with pytest.raises(Refusal, match="3 GPU nodes wanted in node pool a4x-0, 2 of 2 are free"):
        cloud.graph(Prefill=role(), Decode=role(nodes=2))


def test_nodes_of_other_graphs_are_taken(cloud: Driver) -> None:
    first = cloud.graph("r1-abcd", Decode=role())
    with pytest.raises(Refusal, match="2 GPU nodes wanted in node pool a4x-0, 1 of 2 are free"):
        cloud.graph("r2-abcd")
    cloud.delete(first)
    cloud.graph("r2-abcd")


def test_the_72_gpu_layout_takes_exactly_18_nodes(cloud: Driver) -> None:
    for nodes, name in ((17, "small"), (18, "full")):
        cloud.pool(name, nodes)
    cloud.graph(Prefill=role(5, 2, "full"), Decode=role(1, 8, "full"))
    with pytest.raises(Refusal, match="18 GPU nodes wanted in node pool small, 17 of 17 are free"):
        cloud.graph("r2-abcd", Prefill=role(5, 2, "small"), Decode=role(1, 8, "small"))


def test_a_pod_cannot_have_more_gpus_than_a_node(cloud: Driver) -> None:
    wide = role()
    wide["resources"]["limits"]["gpu"] = "8"
    with pytest.raises(Refusal, match="8 GPUs a pod, a node has 4"):
        cloud.graph(Decode=wide)


def test_a_graph_may_change_in_place_within_its_own_nodes(cloud: Driver) -> None:
    made = cloud.graph()
    changed = copy.deepcopy(made.inputs)
    changed["spec"]["services"]["Decode"]["extraPodSpec"]["mainContainer"]["image"] = "example/worker:2"
    difference = cloud.diff(made, changed)
    assert difference.changes
    assert not difference.replaces
    cloud.update(made, changed)
    changed["spec"]["services"]["Decode"]["replicas"] = 2
    with pytest.raises(Refusal, match="stays pending"):
        cloud.update(made, changed)


def _asking(replicas: int, memory: str, cpu: str = "5") -> Props:
    service = role(replicas)
    service["resources"] = {"requests": {"cpu": cpu, "memory": memory}}
    return service


def test_pods_that_fit_on_no_node_have_no_place(cloud: Driver) -> None:
    cloud.delete(cloud.graph("r0-abcd", Frontend=_asking(34, "50Gi"), Decode=role()))
    for frontend in (_asking(60, "50Gi"), _asking(57, "1Gi"), _asking(221, "1Mi", "10m")):
        with pytest.raises(Refusal, match=r"Frontend: 0/2 nodes are available: Insufficient cpu or memory"):
            cloud.graph(Frontend=frontend, Decode=role())


def test_grove_refuses_topology_spread_constraints(cloud: Driver) -> None:
    spread = [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}]
    with pytest.raises(Refusal, match=r"Prefill: state failed: .*topologySpreadConstraints"):
        cloud.graph(Prefill=role(topologySpreadConstraints=spread))


# Deletion


def test_what_a_graph_needs_outlives_it(cloud: Driver) -> None:
    cloud.domain()
    secret = cloud.kube("v1", "Secret", "nvcr-secret", "serving", stringData={"a": "b"})
    config = cloud.kube("v1", "ConfigMap", "conf", "serving", data={"a": "b"})
    account = cloud.kube("v1", "ServiceAccount", "ksa", "serving")
    domain = cloud.world.find("kubernetes:resource.nvidia.com/v1beta1:ComputeDomain")[0]
    queue = cloud.world.find(QUEUE, where=lambda thing: thing.id == "team")[0]
    pod = {
        "imagePullSecrets": [{"name": "nvcr-secret"}],
        "serviceAccountName": "ksa",
        "volumes": [{"name": "v", "configMap": {"name": "conf"}}],
        "resourceClaims": [{"name": "c", "resourceClaimTemplateName": "channel"}],
    }
    graph = cloud.graph(Decode=role(**pod))
    needed = [secret, config, account, domain, queue]
    for thing in needed:
        with pytest.raises(Refusal, match="still used by DynamoGraphDeployment serving/r1-abcd"):
            cloud.delete(thing)
    cloud.delete(graph)
    for thing in needed:
        cloud.delete(thing)


def test_a_graph_whose_operator_is_gone_cannot_go(cloud: Driver) -> None:
    graph = cloud.graph()
    cloud.world.remove(release(cloud, "dynamo-platform").key)
    with pytest.raises(Refusal, match="its operator is gone"):
        cloud.delete(graph)
    with pytest.raises(Refusal, match="stays in Terminating: DynamoGraphDeployment"):
        cloud.delete(cloud.world.find(NAMESPACE, where=lambda thing: thing.id == "serving")[0])


def test_the_namespace_is_a_way_to_end_a_graph_while_its_operator_lives(cloud: Driver) -> None:
    cloud.graph()
    cloud.delete(cloud.world.find(NAMESPACE, where=lambda thing: thing.id == "serving")[0])
    assert not cloud.world.find(GRAPH)

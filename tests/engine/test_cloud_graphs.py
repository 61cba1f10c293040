"""A graph in both versions of its API: one object, one reading, and what the API server and webhooks refuse of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rehearsal.simulator import ApiError, CloudResource
from rehearsal.simulator.values import Props, props_to_plain
from rehearsal.simulator.workloads import blockers, graph_admission, graphs, rolls, serving
from tests.engine.driver import (
    BETA_GRAPH,
    GRAPH,
    NAMESPACE,
    RELEASE,
    CheckError,
    Driver,
    beta_inputs,
    component,
    graph_inputs,
    role,
    state_of,
)

_MAIN: Props = {
    "name": "main",
    "image": "example/worker:1.2.1",
    "env": [{"name": "A", "value": "1"}],
    "envFrom": [{"secretRef": {"name": "hf-token-secret"}}],
    "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in "abcde"],
    "readinessProbe": {"httpGet": {"path": "/health", "port": "system"}},
    "resources": {
        "limits": {"nvidia.com/gpu": "4", "rdma/x": "1"},
        "requests": {"cpu": "1", "ephemeral-storage": "1Gi"},
        "claims": [{"name": "channel"}],
    },
}
_FULL: Props = component(
    "Decode",
    nodes=2,
    sharedMemorySize="80Gi",
    podTemplate={
        "metadata": {"labels": {"role": "decode"}, "annotations": {"a": "b"}},
        "spec": {"containers": [_MAIN, {"name": "beside", "image": "example/x:1"}], "serviceAccountName": "ksa"},
    },
)


def _on(version: str, nodes: int = 2) -> Driver:
    cloud = Driver(dynamo_version=version)
    cloud.current(version, nodes)
    return cloud


@pytest.fixture(params=["1.2.1", "1.5.1"])
def cloud(request: pytest.FixtureRequest) -> Driver:
    return _on(request.param)


@pytest.fixture
def newest() -> Driver:
    return _on("1.5.1")


def _away(cloud: Driver) -> CloudResource:
    [release] = [one for one in cloud.state.find(RELEASE) if one.id.endswith("/dynamo-platform")]
    return release


def _blockers(cloud: Driver, graph: CloudResource) -> str:
    return "\n".join(blockers.of(cloud.state, graph.scope, graph.outputs))


def _refused(cloud: Driver, graph: CloudResource, **changed: Any) -> str:
    inputs = copy.deepcopy(graph.inputs)
    inputs["spec"] |= changed
    with pytest.raises((ApiError, CheckError)) as refused:
        cloud.update(graph, inputs)
    assert graph.inputs["spec"] != inputs["spec"]
    return str(refused.value)


# One reading


def test_both_versions_of_a_graph_read_the_same() -> None:
    beta = beta_inputs("g", _FULL, component("Frontend"))
    alpha = graphs.in_version(beta, graphs.V1ALPHA1)
    service = alpha["spec"]["services"]["Decode"]
    assert (service["componentType"], service["subComponentType"]) == ("worker", "decode")
    assert service["resources"]["limits"] == {"rdma/x": "1", "gpu": "4"}
    assert graphs.roles(alpha) == graphs.roles(beta)
    assert graphs.roles(graphs.in_version(alpha, graphs.V1BETA1)) == graphs.roles(beta)
    [decode, _] = graphs.roles(beta)
    assert (decode.type, decode.gpus, decode.nodes, decode.multinode) == ("decode", 4, 2, True)


def test_what_a_service_has_beside_its_pod_is_its_containers() -> None:
    inputs = graph_inputs(Decode={**role(), "envs": [{"name": "B", "value": "2"}], "envFromSecret": "s"})
    inputs["spec"]["envs"] = [{"name": "A", "value": "1"}]
    inputs["spec"]["pvcs"] = [{"name": "cache"}, {"name": "made", "create": True}]
    [decode] = graphs.roles(inputs)
    assert [one["name"] for one in decode.main["env"]] == ["A", "B"]
    assert decode.main["envFrom"] == [{"secretRef": {"name": "s"}}]
    assert [one["name"] for one in decode.pod["volumes"]] == ["cache"]
    beta = beta_inputs("g", component("Decode"), env=[{"name": "A", "value": "1"}])
    assert [one["name"] for one in graphs.roles(beta)[0].main["env"]] == ["A"]


def test_a_graph_is_one_object_in_two_versions(cloud: Driver) -> None:
    made = cloud.beta()
    assert state_of(made) == "successful"
    with pytest.raises(ApiError, match="already exists"):
        cloud.graph()
    for kind, field in ((GRAPH, "services"), (BETA_GRAPH, "components")):
        read = cloud.read(kind, made.id)
        assert field in props_to_plain(read.properties)["spec"]
    cloud.delete(CloudResource(GRAPH, made.scope, made.id, {}, made.outputs, urn="urn:pulumi:t::t::" + GRAPH + "::g"))
    assert not cloud.state.find(graphs.GRAPH)


def test_before_1_2_there_is_no_second_version() -> None:
    with pytest.raises(ApiError, match="no matches for kind"):
        _on("1.0.2").beta()


@pytest.mark.parametrize(("version", "label"), [("1.0.2", "worker"), ("1.2.1", "decode"), ("1.5.1", "decode")])
def test_workers_have_the_component_type_of_the_release(version: str, label: str) -> None:
    cloud = _on(version)
    graph = cloud.graph(Decode={**role(), "subComponentType": "decode"})
    [decode] = graphs.roles(graph.outputs)
    assert serving.labels(cloud.state, graph.scope, decode)[serving.COMPONENT_TYPE] == label


@pytest.mark.parametrize(
    "later",
    [{"spec": {"priorityClassName": "inference"}}, {"component": {"minAvailable": 1}}],
    ids=["class", "minimum"],
)
def test_1_2_refuses_a_field_of_a_later_release_by_its_name(later: dict[str, Props]) -> None:
    name = next(iter(next(iter(later.values()))))
    inputs = beta_inputs("g", component("Decode", **later.get("component", {})), **later.get("spec", {}))
    _on("1.5.1").create(BETA_GRAPH, "g", inputs)
    with pytest.raises(CheckError, match=name):
        _on("1.2.1").create(BETA_GRAPH, "g", inputs)


def test_a_cluster_judges_by_the_kinds_that_it_has() -> None:
    """Whatever release the rehearsal began with."""
    cloud = Driver(dynamo_version="0.7.0")
    cloud.current("1.5.1")
    cloud.beta("g", component("Decode"), priorityClassName="inference")
    with pytest.raises(CheckError, match="mistyped"):
        cloud.beta("h", component("Decode", mistyped=1))


# Another version of a living graph


def _written_over(cloud: Driver) -> CloudResource:
    made = cloud.beta("r1-abcd", _worker())
    config = {**cloud.cloud.kubernetes.config_of(_call()), "upsertExistingObjects": True}
    cloud.cloud.kubernetes.configure("", config)
    cloud.create(GRAPH, "r1-abcd", graphs.in_version(made.inputs, graphs.V1ALPHA1))
    return made


def _worker() -> Props:
    decode = component("Decode")
    container = decode["podTemplate"]["spec"]["containers"][0]
    container["volumeMounts"] = _MAIN["volumeMounts"]
    container["envFrom"] = [{"configMapRef": {"name": "some", "optional": True}}]
    return decode


def _call() -> Any:
    from rehearsal.simulator.faults import Call  # noqa: PLC0415

    return Call("create")


def test_1_2_refuses_another_version_of_a_living_graph() -> None:
    with pytest.raises(ApiError, match="failed to prune fields"):
        _written_over(_on("1.2.1"))


def test_1_5_takes_another_version_of_a_living_graph_and_damages_it(newest: Driver) -> None:
    [decode] = graphs.roles(_written_over(newest).outputs)
    assert "envFrom" not in decode.main
    assert len(decode.main["volumeMounts"]) == 1


# The operator away


@pytest.mark.parametrize(("version", "lost"), [("1.2.1", BETA_GRAPH), ("1.5.1", GRAPH)])
def test_with_the_platform_gone_only_the_stored_version_answers(version: str, lost: str) -> None:
    cloud = _on(version)
    made = cloud.beta()
    cloud.delete(_away(cloud))
    kept = GRAPH if lost == BETA_GRAPH else BETA_GRAPH
    assert cloud.read(kept, made.id).resource_id
    with pytest.raises(ApiError, match="conversion webhook for"):
        cloud.read(lost, made.id)
    made.urn = f"urn:pulumi:t::t::{lost}::g"
    with pytest.raises(ApiError, match="conversion webhook for"):
        cloud.delete(made)
    made.urn = f"urn:pulumi:t::t::{kept}::g"
    with pytest.raises(ApiError, match="and its operator is gone"):
        cloud.delete(made)
    cloud.release("dynamo-platform", "dynamo-cloud", version, values=_away_values())
    assert not cloud.state.find(graphs.GRAPH) or cloud.read(lost, made.id)


def _away_values() -> Props:
    return {"global": {"grove": {"install": True, "enabled": True}, "kai-scheduler": {"enabled": True}}}


def test_webhooks_fail_closed_while_the_operator_is_scaled_to_none(cloud: Driver) -> None:
    made = cloud.beta()
    cloud.state.stopped.add(_away(cloud).id)
    change = copy.deepcopy(made.inputs)
    change["spec"]["components"][0]["replicas"] = 2
    # In the stored version, which nobody has to convert.
    stored = serving.platforms.of_release(_away(cloud)).storage
    made.urn = f"urn:pulumi:t::t::kubernetes:{stored}:{graphs.KIND}::g"
    with pytest.raises(ApiError, match=r"failed calling webhook .* connection refused"):
        cloud.update(made, change)
    cloud.state.stopped.clear()
    cloud.update(made, change)


def test_before_1_0_an_operator_that_is_away_is_not_noticed() -> None:
    cloud = Driver()
    cloud.platform()
    cloud.state.stopped.add(_away(cloud).id)
    assert state_of(cloud.graph()) == "pending"


def test_a_policy_that_keeps_the_api_server_from_the_operator_refuses_graphs(cloud: Driver) -> None:
    spec: Props = {"podSelector": {}, "policyTypes": ["Ingress"]}
    cloud.kube("networking.k8s.io/v1", "NetworkPolicy", "none", "dynamo-cloud", spec=spec)
    with pytest.raises(ApiError, match=r"failed calling webhook .*NetworkPolicy dynamo-cloud/none"):
        cloud.beta()


def test_a_namespace_with_a_graph_hangs_once_the_platform_is_gone(cloud: Driver) -> None:
    cloud.beta()
    cloud.delete(_away(cloud))
    [space] = [one for one in cloud.state.find(NAMESPACE) if one.id == "serving"]
    with pytest.raises(ApiError, match="stays in Terminating: DynamoGraphDeployment"):
        cloud.delete(space)


# What cannot change


def test_the_set_of_components_never_changes(cloud: Driver) -> None:
    graph = cloud.beta()
    more = [*graph.inputs["spec"]["components"], component("Frontend")]
    assert "components added: ['Frontend']" in _refused(cloud, graph, components=more)
    assert "components removed: ['Prefill']" in _refused(cloud, graph, components=more[1:2])


def test_the_framework_never_changes(cloud: Driver) -> None:
    graph = cloud.beta("r1-abcd", backendFramework="sglang")
    assert "backendFramework: is immutable" in _refused(cloud, graph, backendFramework="vllm")


def test_a_role_on_one_node_never_gets_several(cloud: Driver) -> None:
    graph = cloud.beta()
    other = [graph.inputs["spec"]["components"][0], component("Decode", nodes=2)]
    assert "multinode cannot be added" in _refused(cloud, graph, components=other)


def test_a_minimum_never_changes_and_replicas_never_go_below_it(newest: Driver) -> None:
    graph = newest.beta("g", component("Decode", replicas=2, minAvailable=2))
    for other in (component("Decode", replicas=2, minAvailable=1), component("Decode", replicas=2)):
        assert "minAvailable is immutable after creation" in _refused(newest, graph, components=[other])
    below = [component("Decode", replicas=1, minAvailable=2)]
    assert "less than or equal to replicas" in _refused(newest, graph, components=below)
    with pytest.raises(ApiError, match="less than or equal to replicas"):
        newest.beta("h", *below)
    newest.beta("i", component("Decode", replicas=0, minAvailable=2))


@pytest.mark.parametrize(("version", "fails"), [("0.7.0", False), ("1.2.1", True), ("1.5.1", True)])
def test_a_changed_node_count_is_taken_and_fails_until_it_is_taken_back(version: str, fails: bool) -> None:
    cloud = Driver(dynamo_version=version)
    if version == "0.7.0":
        cloud.platform()
    else:
        cloud.current(version, nodes=4)
    graph = cloud.graph(Decode=role(nodes=2))
    changed = copy.deepcopy(graph.inputs)
    changed["spec"]["services"]["Decode"]["multinode"]["nodeCount"] = 3
    before = copy.deepcopy(graph.inputs)
    cloud.update(graph, changed)
    assert ("minAvailable: field is immutable" in _blockers(cloud, graph)) is fails
    cloud.update(graph, before)
    assert "immutable" not in _blockers(cloud, graph)


# Images


@pytest.mark.parametrize(
    ("image", "known"),
    [
        ("nvcr.io/nvidia/x:1.5.1", True),
        ("registry:5000/x:v1.5.1-cuda13+a.b", True),
        ("x:1.5.1@sha256:0", True),
        ("x@sha256:0", False),
        ("x:latest", False),
        ("x:1.5", False),
        ("registry:5000/x", False),
        ("", False),
    ],
)
def test_1_5_has_to_know_the_runtime_of_each_image(newest: Driver, image: str, known: bool) -> None:
    decode = component("Decode")
    decode["podTemplate"]["spec"]["containers"][0]["image"] = image
    inputs = beta_inputs("g", decode)
    if known:
        newest.create(BETA_GRAPH, "g", inputs)
        return
    with pytest.raises(ApiError, match="Decode: the runtime version cannot be told"):
        newest.create(BETA_GRAPH, "g", inputs)
    graph = newest.beta("h", {**decode, "runtimeVersionOverride": "1.5.1"})
    assert state_of(graph) == "successful"


def test_before_1_4_an_image_may_have_any_tag() -> None:
    decode = component("Decode")
    decode["podTemplate"]["spec"]["containers"][0]["image"] = "x:latest"
    assert state_of(_on("1.2.1").beta("g", decode)) == "successful"


def test_an_image_that_was_taken_before_an_upgrade_stays_taken(newest: Driver) -> None:
    """The rule is only for what changes."""
    graph = newest.beta()
    for each in graph.outputs["spec"]["components"]:
        each["podTemplate"]["spec"]["containers"][0]["image"] = "x:latest"
    changed = copy.deepcopy(graph.outputs)
    changed["spec"]["components"][0]["replicas"] = 0
    graph_admission.at_update(newest.state, graph, changed)
    changed["spec"]["components"][0]["podTemplate"]["spec"]["containers"][0]["image"] = "y:latest"
    with pytest.raises(ApiError, match="Prefill: the runtime version"):
        graph_admission.at_update(newest.state, graph, changed)


def test_grove_takes_no_topology_spread_constraints(cloud: Driver) -> None:
    decode = component("Decode")
    decode["podTemplate"]["spec"]["topologySpreadConstraints"] = [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    ]
    assert state_of(cloud.beta("g", decode)) == "failed"


def test_from_1_2_on_a_long_name_is_shortened(cloud: Driver) -> None:
    assert state_of(cloud.beta("n" * 47)) == "successful"


# Rolls


@pytest.mark.parametrize(
    ("version", "changed", "rolled"),
    [
        ("1.2.1", "Decode", ["Decode"]),
        ("1.2.1", "Frontend", ["Frontend"]),
        ("1.5.1", "Decode", ["Prefill", "Decode"]),
        ("1.5.1", "Prefill", ["Prefill", "Decode"]),
        ("1.5.1", "Frontend", ["Frontend"]),
    ],
)
def test_which_roles_a_change_rolls(version: str, changed: str, rolled: list[str]) -> None:
    cloud = _on(version)
    before = cloud.beta("g", component("Frontend"), component("Prefill"), component("Decode")).outputs
    after = copy.deepcopy(before)
    one = next(each for each in after["spec"]["components"] if each["name"] == changed)
    one["podTemplate"]["metadata"] = {"annotations": {"a": "b"}}
    scope = cloud.state.find(graphs.GRAPH)[0].scope
    assert rolls.rolled(cloud.state, scope, before, after) == rolled


def test_another_number_of_replicas_rolls_nothing_and_the_gangs_class_everything(newest: Driver) -> None:
    graph = newest.beta("g", component("Frontend"), component("Decode"), priorityClassName="inference")
    after = copy.deepcopy(graph.outputs)
    after["spec"]["components"][1]["replicas"] = 2
    assert rolls.rolled(newest.state, graph.scope, graph.outputs, after) == []
    del after["spec"]["priorityClassName"]
    assert rolls.rolled(newest.state, graph.scope, graph.outputs, after) == ["Frontend", "Decode"]

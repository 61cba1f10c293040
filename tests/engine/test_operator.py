"""The operator of the embedded cloud: what its restart rolls, which rights its pods need; the program beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal import engine as engines
from rehearsal.run import Rehearsal
from rehearsal.simulator import CloudResource
from rehearsal.simulator.values import Props
from rehearsal.simulator.workloads import blockers, graphs, kai, operator
from tests.engine.driver import GRAPH, Driver, role


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.platform()
    return made


def _named(**annotations: str) -> Props:
    service = role(imagePullSecrets=[{"name": "nvcr-secret"}])
    service["extraPodSpec"]["mainContainer"]["image"] = "nvcr.io/nvidia/worker:1"
    return {**service, "annotations": annotations}


def _pull_secret(cloud: Driver, name: str = "nvcr-secret", host: str = "nvcr.io") -> None:
    data = {".dockerconfigjson": json.dumps({"auths": {host: {}}})}
    cloud.kube("v1", "Secret", name, "serving", type="kubernetes.io/dockerconfigjson", stringData=data)


def _rolled(cloud: Driver) -> list[str]:
    scope = cloud.state.find(GRAPH)[0].scope
    return [rolled.role for rolled in operator.restart(cloud.state, scope)]


def test_a_restart_of_the_operator_rolls_pods_whose_secret_it_finds_by_itself(cloud: Driver) -> None:
    unnamed = _named()
    del unnamed["extraPodSpec"]["imagePullSecrets"]
    _pull_secret(cloud)
    cloud.graph(Prefill=unnamed, Decode=_named(**{operator.SWITCH: "true"}))
    assert _rolled(cloud) == ["Prefill"]


def test_a_second_secret_for_the_registry_rolls_pods_unless_the_lookup_is_off(cloud: Driver) -> None:
    _pull_secret(cloud)
    cloud.graph(Prefill=_named(), Decode=_named(**{operator.SWITCH: "true"}))
    _pull_secret(cloud, "elsewhere", "ghcr.io")
    assert _rolled(cloud) == []
    _pull_secret(cloud, "second")
    assert _rolled(cloud) == ["Prefill"]


@pytest.fixture
def current() -> Driver:
    """A cluster on Dynamo 1.0.1, where discovery goes through Kubernetes."""
    cloud = Driver(dynamo_version="1.0.1")
    cloud.cluster()
    cloud.pool()
    cloud.kai()
    values = {"global": {"grove": {"install": True}, "kai-scheduler": {"install": False, "enabled": True}}}
    cloud.release("dynamo-platform", "default", "1.0.1", values=values)
    cloud.namespace("serving")
    cloud.kube("scheduling.run.ai/v2", "Queue", "team", spec={})
    cloud.kube("v1", "ServiceAccount", "ksa", "serving")
    return cloud


RULES: list[dict[str, list[str]]] = [
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["nvidia.com"], "resources": ["dynamoworkermetadatas"], "verbs": ["*"]},
]


_TOKEN: Any = {"automountServiceAccountToken": True}


def _bound(cloud: Driver, rules: list[dict[str, list[str]]], **subject: str) -> None:
    group = "rbac.authorization.k8s.io"
    cloud.kube(f"{group}/v1", "Role", "discovery", "serving", rules=rules)
    who = {"kind": "ServiceAccount", "name": "ksa", "namespace": "serving", **subject}
    ref = {"apiGroup": group, "kind": "Role", "name": "discovery"}
    cloud.kube(f"{group}/v1", "RoleBinding", "discovery", "serving", subjects=[who], roleRef=ref)


def _blockers(cloud: Driver, graph: CloudResource) -> str:
    return "\n".join(blockers.of(cloud.state, graph.scope, graph.outputs))


def test_on_1_0_an_account_of_ones_own_needs_the_rights_of_discovery(current: Driver) -> None:
    mine = current.graph("r1-abcd", Decode=role(serviceAccountName="ksa"))
    assert "serving/ksa may not list endpointslices" in _blockers(current, mine)
    assert not _blockers(current, current.graph("r1-efgh", Decode=role()))
    _bound(current, RULES)
    assert not _blockers(current, mine)


@pytest.mark.parametrize("at", ["pod", "account"])
def test_on_1_0_pods_without_a_token_never_find_each_other(current: Driver, at: str) -> None:
    _bound(current, RULES)
    without: Any = {"automountServiceAccountToken": False}
    if at == "account":
        current.state.find("kubernetes:core/v1:ServiceAccount")[0].outputs.update(without)
        assert not _blockers(current, current.graph("r1-a", Decode=role(serviceAccountName="ksa", **_TOKEN)))
    graph = current.graph(Decode=role(serviceAccountName="ksa", **(without if at == "pod" else {})))
    assert "no token of serviceaccount serving/ksa" in _blockers(current, graph)


@pytest.mark.parametrize(
    ("rules", "subject"),
    [
        (RULES[:1], {}),
        (RULES[1:], {}),
        ([RULES[0], {**RULES[1], "verbs": ["get", "list", "watch"]}], {}),
        ([RULES[0], {**RULES[1], "resourceNames": ["one-of-them"]}], {}),
        (RULES, {"name": "another"}),
        (RULES, {"namespace": "elsewhere"}),
    ],
)
def test_on_1_0_half_the_rights_or_anothers_are_none(
    current: Driver, rules: list[dict[str, list[str]]], subject: dict[str, str]
) -> None:
    _bound(current, rules, **subject)
    graph = current.graph(Decode=role(serviceAccountName="ksa"))
    assert "pods never find each other" in _blockers(current, graph)


# The program


@pytest.mark.engine
@pytest.mark.skipif(engines.find() is None, reason=f"no Pulumi engine on PATH or at {engines.cached()}")
@pytest.mark.parametrize(
    ("version", "identity"),
    [("0.7.0", "direct"), ("1.0.2", "serviceAccount"), ("1.2.1", "serviceAccount"), ("1.5.1", "direct")],
)
def test_a_restart_of_the_operator_leaves_every_pod_of_the_program_alone(version: str, identity: str) -> None:
    config = {
        "dynamo-a4x:dynamo": {"mode": "create", "version": version},
        "dynamo-a4x:workloadIdentity": identity,
    }
    with Rehearsal("dev", config=config) as rehearsal:
        rehearsal.up()
        graph = rehearsal.state.find(GRAPH)[0]
        # From 1.1 on only a secret that is younger than the graph counts.
        for secret in rehearsal.state.find("kubernetes:core/v1:Secret"):
            secret.born += graph.born
        assert operator.restart(rehearsal.state, graph.scope) == []
        # The same graph without the switch: the model does see what it is asked about.
        graph.outputs = graphs.in_version(graph.outputs, graphs.V1BETA1)
        for component in graph.outputs["spec"]["components"]:
            component.pop("annotations", None)
            component["podTemplate"]["metadata"]["annotations"].pop(operator.SWITCH, None)
            del component["podTemplate"]["spec"]["imagePullSecrets"]
        assert len(operator.restart(rehearsal.state, graph.scope)) == 3


@pytest.mark.engine
@pytest.mark.skipif(engines.find() is None, reason=f"no Pulumi engine on PATH or at {engines.cached()}")
@pytest.mark.parametrize("version", ["0.7.0", "1.2.1", "1.5.1"])
def test_the_programs_gangs_are_not_preemptible(version: str) -> None:
    with Rehearsal("dev", config={"dynamo-a4x:dynamo": {"mode": "create", "version": version}}) as rehearsal:
        rehearsal.up()
        graph = rehearsal.state.find(GRAPH)[0]
        assert kai.rank(rehearsal.state, graph.scope, graph.outputs) == "inference"

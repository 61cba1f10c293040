"""Jobs as the plugin waits for them, and what a readiness check says of a graph. One test, one rule."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from pulumi.provider.experimental import provider as sdk

from rehearsal.simulator import CloudResource
from rehearsal.simulator.faults import NotReadyError
from rehearsal.simulator.kubernetes.jobs import JOB
from rehearsal.simulator.values import Props, props_from_plain
from tests.engine.driver import GRAPH, NODE_POOL, Driver, graph_inputs, kube_inputs, role, urn

_RULES: list[Props] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": ["scheduling.run.ai"], "resources": ["podgroups"], "verbs": ["list"]},
]
_LABELS = {"dynamo-a4x/stack": "r1"}


def labelled(role_name: str, service: Props) -> Props:
    metadata: Props = {
        "labels": {**_LABELS, "dynamo-a4x/role": role_name},
        "annotations": {"dynamo-a4x/pod-template": f"{role_name}-1"},
    }
    return {**service, "extraPodMetadata": metadata}


SERVICES: dict[str, Props] = {
    "Frontend": labelled(
        "frontend", {"componentType": "frontend", "replicas": 2, "extraPodSpec": {"mainContainer": {"image": "x"}}}
    ),
    "Prefill": labelled("prefill", role()),
    "Decode": labelled("decode", role()),
}
CONFIG: Props = {
    "namespace": "serving",
    "deployment": "r1-abcd",
    "roles": {
        "frontend": {"replicas": 2, "template": "frontend-1"},
        "prefill": {"replicas": 1, "template": "prefill-1"},
        "decode": {"replicas": 1, "template": "decode-1"},
    },
    "url": "http://r1-frontend.serving.svc.cluster.local:8000",
    "model": "some/model",
    "next": "what to run next",
}


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.platform()
    made.kube("v1", "ServiceAccount", "check", "serving")
    made.kube("rbac.authorization.k8s.io/v1", "Role", "check", "serving", rules=_RULES)
    made.kube(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "check",
        "serving",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "check"},
        subjects=[{"kind": "ServiceAccount", "name": "check", "namespace": "serving"}],
    )
    selector = {**_LABELS, "nvidia.com/dynamo-component-type": "frontend"}
    made.kube("v1", "Service", "r1-frontend", "serving", spec={"selector": selector, "ports": [{"port": 8000}]})
    return made


def graph(cloud: Driver, decode: Props | None = None) -> CloudResource:
    inputs = graph_inputs()
    inputs["spec"]["services"] = {**SERVICES, "Decode": decode or SERVICES["Decode"]}
    return cloud.create(GRAPH, "r1-abcd", inputs)


def job_inputs(config_map: str = "check", **spec: Any) -> Props:
    pod: Props = {
        "serviceAccountName": "check",
        "restartPolicy": "Never",
        "containers": [{"name": "check", "image": "example/python:3"}],
        "volumes": [{"name": "code", "configMap": {"name": config_map}}],
    }
    return kube_inputs("batch/v1", "Job", "check", "serving", spec={"template": {"spec": pod}, **spec})


def check(cloud: Driver, config: Props = CONFIG, **spec: Any) -> CloudResource:
    data = {"__main__.py": "raise SystemExit('never read')", "check.json": json.dumps(config)}
    cloud.kube("v1", "ConfigMap", "check", "serving", data=data)
    return cloud.create(JOB, "check", job_inputs(**spec))


def last_words(cloud: Driver, config: Props = CONFIG) -> str:
    with pytest.raises(NotReadyError) as caught:
        check(cloud, config)
    assert caught.value.id == "serving/check"
    assert caught.value.outputs is not None
    return str(caught.value)


def test_a_check_of_a_graph_that_serves_succeeds(cloud: Driver) -> None:
    graph(cloud)
    assert check(cloud).outputs["status"]["succeeded"] == 1


def test_a_check_that_fails_exists_and_ends_with_its_last_words(cloud: Driver) -> None:
    """P1: `[Pod NAME]: [Error]` and the whole termination message."""
    graph(cloud, labelled("decode", role(nodes=2)))
    said = last_words(cloud)
    assert said.startswith("[Pod serving/check-")
    assert "]: [Error] DynamoGraphDeployment serving/r1-abcd stays pending: 3 GPU nodes wanted" in said
    assert said.endswith("\nwhat to run next")
    (job,) = cloud.state.find(JOB)
    assert job.outputs["status"]["failed"] == 1


def test_an_update_of_a_job_that_failed_fails_at_once_without_its_words(cloud: Driver) -> None:
    """P2: only a Job that is deleted and made again runs again."""
    pool = cloud.state.find(NODE_POOL)[0]
    cloud.state.cordoned[pool.id] = 1
    graph(cloud)
    last_words(cloud)
    cloud.state.cordoned.clear()
    (job,) = cloud.state.find(JOB)
    job.urn = urn(JOB, "check")
    with pytest.raises(NotReadyError, match="reached the specified backoff limit") as caught:
        cloud.update(job, copy.deepcopy(job.inputs))
    assert "GPU nodes" not in str(caught.value)
    cloud.delete(job)
    assert cloud.create(JOB, "check", job_inputs()).outputs["status"]["succeeded"] == 1


def test_a_finished_job_with_a_time_to_live_is_gone_when_anybody_looks_again(cloud: Driver) -> None:
    """P6: a refresh then reports drift."""
    graph(cloud)
    cloud.kube("v1", "ConfigMap", "check", "serving", data={"check.json": json.dumps(CONFIG)})
    for name, limit in (("kept", None), ("gone", 60)):
        inputs = job_inputs(ttlSecondsAfterFinished=limit)
        inputs["metadata"]["name"] = name
        request = sdk.CreateRequest(urn(JOB, name), props_from_plain(inputs), 0, preview=False)
        asyncio.run(cloud.cloud.create(request))
    assert cloud.read(JOB, "serving/kept").resource_id
    assert not cloud.read(JOB, "serving/gone").resource_id


def test_another_job_is_no_readiness_check(cloud: Driver) -> None:
    cloud.kube("v1", "ConfigMap", "check", "serving", data={"script": "[1, 2]", "more": '{"deployment": "r1-abcd"}'})
    assert cloud.create(JOB, "check", job_inputs()).outputs["status"]["succeeded"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deployment": "r1-efgh"}, 'dynamographdeployments.nvidia.com "r1-efgh" not found'),
        ({"url": "http://r2-frontend.serving.svc:8000"}, "r2-frontend.serving.svc: Name or service not known"),
        (
            {"roles": {**CONFIG["roles"], "decode": {"replicas": 2, "template": "decode-1"}}},
            "decode: 2 times 1 pods wanted",
        ),
        ({"roles": {**CONFIG["roles"], "decode": {"replicas": 1, "template": "decode-2"}}}, "decode: pods of template"),
        (
            {"roles": {"frontend": CONFIG["roles"]["frontend"]}},
            "decode: 0 times 1 pods wanted, the graph makes replicas of [1]",
        ),
    ],
)
def test_a_check_that_waits_for_what_the_graph_does_not_make_fails(cloud: Driver, change: Props, message: str) -> None:
    graph(cloud)
    assert message in last_words(cloud, {**CONFIG, **change})


def test_replicas_beyond_the_minimum_without_a_node_leave_a_degraded_stack(cloud: Driver) -> None:
    """P4: a warning event on the Job says so."""
    inputs = graph_inputs()
    inputs["spec"]["services"] = {**SERVICES, "Prefill": labelled("prefill", role(replicas=2))}
    cloud.create(GRAPH, "r1-abcd", inputs)
    prefill = {"replicas": 2, "minimum": 1, "template": "prefill-1"}
    config = {**CONFIG, "roles": {**CONFIG["roles"], "prefill": prefill}}
    assert check(cloud, config).outputs["status"]["succeeded"] == 1
    (said,) = cloud.state.shown.values()
    assert said.startswith("degraded: prefill 1 of 2 replicas: ")
    assert "3 GPU nodes wanted in node pool a4x-0, 2 of 2 are free" in said


def test_a_check_that_insists_on_all_replicas_or_misses_more_than_nodes_fails(cloud: Driver) -> None:
    inputs = graph_inputs()
    inputs["spec"]["services"] = {**SERVICES, "Prefill": labelled("prefill", role(replicas=2))}
    cloud.create(GRAPH, "r1-abcd", inputs)
    prefill = {"replicas": 2, "template": "prefill-1"}
    config = {**CONFIG, "roles": {**CONFIG["roles"], "prefill": prefill}}
    assert "3 GPU nodes wanted" in last_words(cloud, config)
    config["roles"]["prefill"] = {**prefill, "minimum": 1}
    for kind in (JOB, "kubernetes:core/v1:ConfigMap"):
        cloud.state.remove(cloud.state.find(kind)[0].key)
    assert "r3-frontend" in last_words(cloud, {**config, "url": "http://r3-frontend.serving.svc:8000"})
    assert not cloud.state.shown


def test_a_check_whose_account_may_not_list_pods_fails(cloud: Driver) -> None:
    graph(cloud)
    binding = cloud.state.find("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding")[0]
    cloud.state.remove(binding.key)
    assert 'User "system:serviceaccount:serving:check" cannot list resource "pods"' in last_words(cloud)


def test_a_service_that_selects_no_frontend_refuses_connections(cloud: Driver) -> None:
    service = cloud.state.find("kubernetes:core/v1:Service")[0]
    service.outputs["spec"]["selector"] = {"dynamo-a4x/stack": "r2"}
    graph(cloud)
    assert "selects none of the graph's frontends" in last_words(cloud)


def test_another_model_than_the_workers_serve_is_not_listed(cloud: Driver) -> None:
    cloud.kube("v1", "ConfigMap", "arguments", "serving", data={"a.yaml": "served-model-name: other/model"})
    volumes = [{"name": "a", "configMap": {"name": "arguments"}}]
    graph(cloud, labelled("decode", role(volumes=volumes)))
    assert "/v1/models lists other/model, not some/model" in last_words(cloud)


def test_a_graph_that_nobody_waits_for_is_watched_by_nobody(cloud: Driver) -> None:
    pool = cloud.state.find(NODE_POOL)[0]
    cloud.state.cordoned[pool.id] = 2
    made = graph(cloud)
    (said,) = cloud.cloud.unwatched()
    assert said.startswith(f"DynamoGraphDeployment {made.id} stays pending")
    last_words(cloud)
    assert cloud.cloud.unwatched() == []

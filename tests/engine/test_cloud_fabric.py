"""What the embedded cloud answers to a fabric test. One test, one rule."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from rehearsal.simulator import CloudResource
from rehearsal.simulator.faults import NotReadyError
from rehearsal.simulator.kubernetes.jobs import JOB
from rehearsal.simulator.values import Props
from tests.engine.driver import NODE_POOL, TOLERATIONS, Driver, kube_inputs, role, urn

LABELS = {"app.kubernetes.io/name": "fabric-test"}
CONFIG: Props = {"host": "measure-0.pods", "nodes": 2, "all_gather": 200, "all_reduce": 250, "next": "what to run next"}
DEADLINE = "Job was active longer than specified deadline"


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.platform()
    made.domain()
    made.kube("v1", "Service", "pods", "serving", spec={"clusterIP": "None", "selector": LABELS})
    made.kube("v1", "ConfigMap", "config", "serving", data={"__main__.py": "never read", "a.json": json.dumps(CONFIG)})
    return made


def inputs(**changes: Any) -> Props:
    """A test of both nodes of the pool; `changes` are of the pod, but for `spec` and `annotations`."""
    spec, annotations = changes.pop("spec", {}), changes.pop("annotations", {})
    pod: Props = {
        "subdomain": "pods",
        "restartPolicy": "Never",
        "nodeSelector": {"cloud.google.com/gke-nodepool": "a4x-0"},
        "tolerations": TOLERATIONS,
        "resourceClaims": [{"name": "channel", "resourceClaimTemplateName": "channel"}],
        "containers": [
            {"name": "test", "image": "example/worker:1", "resources": {"limits": {"nvidia.com/gpu": "4"}}},
        ],
        "volumes": [{"name": "config", "configMap": {"name": "config"}}],
        **changes,
    }
    template = {"metadata": {"labels": LABELS, "annotations": annotations}, "spec": pod}
    whole = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "template": template, **spec}
    return kube_inputs("batch/v1", "Job", "measure", "serving", spec=whole)


def measure(cloud: Driver, **changes: Any) -> CloudResource:
    return cloud.create(JOB, "measure", inputs(**changes))


def words(cloud: Driver, **changes: Any) -> str:
    with pytest.raises(NotReadyError) as caught:
        measure(cloud, **changes)
    return str(caught.value)


def test_a_healthy_domain_passes(cloud: Driver) -> None:
    assert measure(cloud).outputs["status"]["succeeded"] == 1


def test_a_slow_domain_fails_with_each_minimum_that_it_misses_and_the_next_command(cloud: Driver) -> None:
    cloud.state.fabric[cloud.state.find(NODE_POOL)[0].id] = 220.0
    said = words(cloud)
    assert said.startswith("[Pod serving/measure-")
    assert "all_reduce 220.0 GB/s, at least 250 required" in said
    assert "all_gather" not in said
    assert said.endswith("what to run next")


def test_without_a_channel_there_is_only_the_network(cloud: Driver) -> None:
    assert "all_gather 190.0 GB/s, at least 200 required" in words(cloud, resourceClaims=[])


def test_a_node_that_takes_no_pods_is_missed_by_the_others(cloud: Driver) -> None:
    cloud.state.cordoned[cloud.state.find(NODE_POOL)[0].id] = 1
    assert "1 of 2 pods did not come" in words(cloud)


def test_fewer_pods_than_the_test_waits_for_are_missed(cloud: Driver) -> None:
    assert "1 of 2 pods did not come" in words(cloud, spec={"completions": 1, "parallelism": 1})
    cloud.delete(cloud.state.find(JOB)[0])
    assert "1 of 2 pods did not come" in words(cloud, spec={"parallelism": 1})


def test_where_a_graph_has_the_nodes_nobody_has_a_word_to_say(cloud: Driver) -> None:
    graph = cloud.graph(Prefill=role(), Decode=role())
    assert f"{DEADLINE} (DeadlineExceeded)" in words(cloud)
    (job,) = cloud.state.find(JOB)
    job.urn = urn(JOB, "measure")
    # P2: nor has an update of it.
    with pytest.raises(NotReadyError, match="DeadlineExceeded"):
        cloud.update(job, copy.deepcopy(job.inputs))
    cloud.delete(job)
    cloud.delete(graph)
    assert measure(cloud).outputs["status"]["succeeded"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"tolerations": TOLERATIONS[:1]},
        {"nodeSelector": {"cloud.google.com/gke-nodepool": "a4x-9"}},
        {"annotations": {"networking.gke.io/interfaces": '[{"interfaceName": "eth2", "network": "rdma-0"}]'}},
    ],
    ids=["taint", "pool", "network"],
)
def test_pods_that_never_start_have_no_words(cloud: Driver, change: Props) -> None:
    assert DEADLINE in words(cloud, **change)


@pytest.mark.parametrize(
    "change", [{"subdomain": "other"}, {"spec": {"completionMode": "NonIndexed"}}], ids=["subdomain", "mode"]
)
def test_pods_without_a_name_do_not_find_each_other(cloud: Driver, change: Props) -> None:
    assert "pod 1 did not reach pod 0 at measure-0.pods: Name or service not known" in words(cloud, **change)


@pytest.mark.parametrize("spec", [{"clusterIP": "10.0.0.7"}, {"selector": {"app": "other"}}], ids=["address", "labels"])
def test_a_service_gives_pods_their_names_only_without_an_address_and_for_its_own(cloud: Driver, spec: Props) -> None:
    (service,) = cloud.state.find("kubernetes:core/v1:Service")
    service.outputs["spec"].update(spec)
    assert "did not reach pod 0" in words(cloud)


def test_another_job_is_no_fabric_test(cloud: Driver) -> None:
    assert measure(cloud, volumes=[], nodeSelector={}).outputs["status"]["succeeded"] == 1

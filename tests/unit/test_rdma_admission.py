"""Who gets an RDMA interface: by the embedded cloud's evaluator, and where the program has the policy."""

from __future__ import annotations

from typing import Any

import pytest

from manifests import gpu_pod, rdma_admission
from rehearsal.simulator.kubernetes import admission_policies, pods
from tests.conftest import recorded
from tests.rdma_admission import KIND, NAME, Ask, Site, site
from tests.recorder import run_program
from tests.unit.configs import problems, put, shipped


@pytest.fixture(scope="module")
def cluster() -> Site:
    return site()


def answer(cluster: Site, namespace: str, ask: Ask) -> str:
    known = {
        "object": ask.body,
        "oldObject": ask.old,
        "namespaceObject": cluster.namespace(namespace),
        "request": {"operation": ask.operation, "namespace": namespace},
    }
    # An error must be seen here, which the real policy lets through.
    spec = {**cluster.policy["spec"], "failurePolicy": "Fail"}
    return admission_policies.denial({**cluster.policy, "spec": spec}, known)


def test_only_stacks_and_fabric_tests_get_an_rdma_interface(cluster: Site) -> None:
    assert cluster.theirs == {"r1-10p8d", "r1-1p1d", "fabric-test-prod-a4x-0"}
    tried = list(cluster.some_tries())
    wrong = [
        f"{ask.what}: {said or 'admitted'}"
        for namespace, ask in tried
        if bool(said := answer(cluster, namespace, ask)) != cluster.refused(namespace, ask)
    ]
    assert wrong == []
    assert len(tried) > 100


def test_a_refusal_says_who_may_ask(cluster: Site) -> None:
    pod = pods.of_template("default", "p", {"annotations": gpu_pod.nic_annotations(None)}, {})
    said = answer(cluster, "default", Ask("a pod", pod, True))
    assert said == (
        "only namespaces of serving stacks (label dynamo-a4x/stack) and of fabric tests may ask for RDMA interfaces, "
        "which no NetworkPolicy covers"
    )


def test_pods_are_judged_when_they_change_too() -> None:
    rules = rdma_admission.policy()["matchConstraints"]["resourceRules"]
    operations = {resource: rule["operations"] for rule in rules for resource in rule["resources"]}
    once = ["CREATE"]
    assert operations == {"pods": ["CREATE", "UPDATE"], "resourceclaims": once, "resourceclaimtemplates": once}


def test_an_expression_that_fails_stops_no_pod() -> None:
    assert rdma_admission.policy()["failurePolicy"] == "Ignore"


@pytest.mark.parametrize("rdma", ["multi-network", "dranet"])
def test_the_policy_stands_before_the_first_pod_and_goes_before_the_interfaces(rdma: str) -> None:
    cluster = {**shipped("prod")["dynamo-a4x:cluster"], "rdma": rdma}
    recording = run_program("prod", config={"cluster": cluster})
    bindings = recording.of_type(f"{KIND}Binding")
    (binding,) = (one for one in bindings if one.inputs["metadata"]["name"] == NAME)
    assert binding.inputs["spec"] == {"policyName": NAME, "validationActions": ["Deny"]}
    (graph,) = recording.of_type("DynamoGraphDeployment")
    assert recording.depends_on_transitively(graph, binding)
    networks = recording.of_type("kubernetes:networking.gke.io/v1:Network")
    assert len(networks) == (5 if rdma == "multi-network" else 0)
    assert all(recording.depends_on_transitively(binding, network) for network in networks)


def test_a_cluster_that_exists_keeps_its_own_policies() -> None:
    names = [m["metadata"]["name"] for _, m in recorded("dev").manifests() if m.get("kind", "").startswith(KIND)]
    assert not [name for name in names if "rdma" in name]
    (problem,) = problems(put(shipped("dev"), "isolation.rdma", False), "dev")
    assert problem.key == "isolation.rdma"


def test_the_policy_can_be_left_out() -> None:
    recording = run_program("prod", config={"isolation": {"rdma": False}})
    names: list[Any] = [one.inputs["metadata"]["name"] for one in recording.of_type(KIND)]
    assert NAME not in names

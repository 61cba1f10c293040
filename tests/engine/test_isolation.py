"""Isolation in the real engine: everything that must connect does, and a policy that shuts it out is reported."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest

from manifests import gpu_pod, network_policies, rdma_admission
from reference import egress
from reference.egress import WayOut
from rehearsal import ApiError
from rehearsal.run import Rehearsal
from rehearsal.simulator.gcp.rules import (
    CLUSTER,
    FIREWALL_ASSOCIATION,
    MANAGED_ZONE,
    PROJECT_SERVICE,
    RECORD_SET,
)
from rehearsal.simulator.kubernetes import admission, pods
from rehearsal.simulator.kubernetes.network_policies import POLICY
from rehearsal.simulator.workloads import blockers, serving
from rehearsal.timeline import compute, failures
from tests import stacks
from tests.resilience import life
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

CLOSED: dict[str, Any] = {"dynamo-a4x:isolation": {"egress": "private-googleapis"}}
CREATED: dict[str, Any] = stacks.config("prod")["dynamo-a4x:cluster"]
OPEN: dict[str, Any] = {"dynamo-a4x:isolation": {"ingress": False}}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_environment_is_isolated_and_opened_again_in_place(stack: str) -> None:
    with Rehearsal(stack, config={"dynamo-a4x:protect": False}) as rehearsal:
        rehearsal.up()
        assert len(rehearsal.state.find(POLICY)) > 8
        rehearsal.set_config(CLOSED)
        closed = [step for step in rehearsal.up("egress closed").changed if not step.kind.startswith("dynamo-a4x:")]
        assert {step.op for step in closed} <= {"create", "update", "delete"}
        assert {step.kind for step in closed} - {MANAGED_ZONE, RECORD_SET, PROJECT_SERVICE} == {POLICY}
        rehearsal.set_config(OPEN)
        assert {step.op for step in rehearsal.up().changed} == {"delete"}
        assert rehearsal.state.find(POLICY) == []
        rehearsal.set_config({"dynamo-a4x:isolation": None})
        assert {step.op for step in rehearsal.up().changed} == {"create"}
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_environment_lives_with_everything_closed_and_the_roce_vpc_s_firewall_goes_before_it(stack: str) -> None:
    ours = stack == "prod"
    config = copy.deepcopy(stacks.config(stack))
    security = {"privilegedWorkers": False, "offlineWorkers": True, "restrictedFrontends": True}
    config["dynamo-a4x:stacks"][0]["security"] = {**security, "bindToPodAddress": True}
    config["dynamo-a4x:isolation"] = {
        "egress": "private-googleapis",
        **({"rdmaFirewall": "tagKeys/1"} if ours else {}),
    }
    if ours:
        config["dynamo-a4x:cluster"]["binaryAuthorization"] = "PROJECT_SINGLETON_POLICY_ENFORCE"
        config["dynamo-a4x:metadata"] = {"secureTags": {"tagKeys/1": "tagValues/2"}}
        config["dynamo-a4x:protect"] = False
    with Rehearsal(stack, config=config) as rehearsal:
        rehearsal.up()
        assert len(rehearsal.state.find(FIREWALL_ASSOCIATION)) == int(ours)
        assert failures(compute(stack, rehearsal.export())) == []
        assert rehearsal.up("again").changed == []
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []


def test_a_preview_warns_once_of_known_vulnerabilities_and_of_what_protects() -> None:
    with Rehearsal("dev", config=OPEN) as rehearsal:
        [said] = [text for text in rehearsal.preview().warnings if "CVE-" in text]
    assert "CVE-2026-24253 (Dynamo 0.7.0, 8.2)" in said
    assert "isolation.ingress is false, so every pod of the cluster can exploit 5 of them" in said


NEEDED = {
    "workers": "Decode to Decode",
    "frontends": "port 8000",
    "nats": "port 4222",
    "etcd": "port 2379",
    "imex-daemons": "no NVLink between nodes",
    "kai": "failed calling webhook",
}
"""Sets of pods, and what is said of an environment in which nobody reaches them."""


@pytest.mark.parametrize("which", NEEDED)
def test_a_policy_that_shuts_out_what_is_needed_fails_the_rehearsal_with_its_name(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = network_policies.policies

    def shut(*args: Any) -> dict[str, dict[str, Any]]:
        return {name: {**spec, "ingress": []} if name == which else spec for name, spec in whole(*args).items()}

    monkeypatch.setattr(network_policies, "policies", shut)
    with Rehearsal("dev") as rehearsal:
        error = life.failed(rehearsal.up)
        assert error is not None
        said = " ".join(error.causes)
        assert NEEDED[which] in said
        assert f"dynamo-a4x-{which}" in said


RESTRICTED: dict[str, Any] = {"dynamo-a4x:isolation": {"egress": "restricted"}}
_API = "API server"
"""At a public address, in a cluster whose nodes are not private: two rules lead there."""
WAYS_OUT = {
    "0.7.0": {
        "169.254.20.10": "no name is resolved",
        "8080": "no token for the bucket",
        "0.0.0.0/0": "the bucket is not read",
        "4222": "port 4222",
        "2379": "port 2379",
        "prefill": "Decode to Decode",
    },
    "1.0.2": {_API: "the API server does not answer", "0.0.0.0/0": "huggingface.co is not reached"},
}
"""What the rule for a way out has in it, and what is said of a graph without it, by Dynamo release."""


@pytest.mark.parametrize("version", WAYS_OUT)
def test_a_way_out_that_is_missing_is_reported_with_what_is_not_reached(version: str) -> None:
    dynamo = {**stacks.config("dev")["dynamo-a4x:dynamo"], "version": version}
    with Rehearsal("dev", config={**RESTRICTED, "dynamo-a4x:dynamo": dynamo}) as rehearsal:
        rehearsal.up()
        state = rehearsal.state
        [graph] = state.find(serving.GRAPH)
        assert list(blockers.of(state, graph.scope, graph.outputs)) == []
        [cluster] = state.find(CLUSTER)
        for part, said in WAYS_OUT[version].items():
            parts = (cluster.outputs["endpoint"], "0.0.0.0/0") if part == _API else (part,)
            whole = {policy.key: copy.deepcopy(policy.outputs) for policy in state.find(POLICY)}
            for policy in state.find(POLICY):
                spec = policy.outputs["spec"]
                spec["egress"] = [rule for rule in spec.get("egress", ()) if not _has(rule, parts)]
            found = " ".join(blockers.of(state, graph.scope, graph.outputs))
            assert said in found, part
            assert "are dropped by egress of NetworkPolicy r1" in found, part
            for policy in state.find(POLICY):
                policy.outputs = whole[policy.key]


def _has(rule: Any, parts: Sequence[str]) -> bool:
    return any(part in json.dumps(rule) for part in parts)


def test_a_download_that_is_cut_off_and_an_api_without_its_zone_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = {**stacks.config("dev")["dynamo-a4x:modelBucket"], "download": True}
    monkeypatch.setattr(egress, "of", lambda _: [WayOut("download", "download", ("DNS", "metadata server"), "")])
    with Rehearsal("dev", config={**RESTRICTED, "dynamo-a4x:modelBucket": bucket}) as rehearsal:
        error = life.failed(rehearsal.up)
        assert error is not None
        assert "the bucket is not read" in " ".join(error.causes)
    monkeypatch.undo()
    with Rehearsal("dev", config=CLOSED) as rehearsal:
        for zone in rehearsal.state.find(MANAGED_ZONE):
            rehearsal.state.remove(zone.key)
        error = life.failed(rehearsal.up)
        assert error is not None
        assert "Decode: the bucket is not read" in " ".join(error.causes)


def test_a_strangers_pod_gets_no_rdma_interface_beside_a_stack_that_has_them() -> None:
    with Rehearsal("prod") as rehearsal:
        rehearsal.up()
        (cluster,) = {resource.scope for resource in rehearsal.state.find(POLICY)}
        spec = {"containers": [{"name": "a", "image": "i"}]}
        for namespace, annotations in (("r1-10p8d", gpu_pod.nic_annotations(None)), ("default", {})):
            pod = pods.of_template(namespace, "probe", {"annotations": annotations}, spec)
            admission.at_create(rehearsal.state, cluster, "kubernetes:core/v1:Pod", pod)
        pod = pods.of_template("default", "probe", {"annotations": gpu_pod.nic_annotations(None)}, spec)
        with pytest.raises(ApiError, match=r"dynamo-a4x-rdma-prod.* may ask for RDMA interfaces"):
            admission.at_create(rehearsal.state, cluster, "kubernetes:core/v1:Pod", pod)


@pytest.mark.parametrize("rdma", ["multi-network", "dranet"])
def test_a_policy_that_keeps_interfaces_from_a_stack_fails_the_rehearsal_with_its_name(
    rdma: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = rdma_admission.policy

    def closed() -> dict[str, Any]:
        spec = policy()
        return {**spec, "validations": [{**spec["validations"][0], "expression": "false"}]}

    monkeypatch.setattr(rdma_admission, "policy", closed)
    with Rehearsal("prod", config={"dynamo-a4x:cluster": {**CREATED, "rdma": rdma}}) as rehearsal:
        error = life.failed(rehearsal.up)
        assert error is not None
        assert "dynamo-a4x-rdma-prod" in " ".join(error.causes)

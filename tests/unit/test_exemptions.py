"""The output `policyExemptions` names every pod of the program and what common admission policies object to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reference import chart_pods
from reference.pod_policies import POLICIES, broken
from tests.conftest import recorded
from tests.recorder import run_program
from tests.unit.configs import shipped

RESTRICTED: Mapping[str, Any] = {
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True},
    "containers": [
        {
            "name": "one",
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}


def changed(**container: Any) -> Mapping[str, Any]:
    """The pod with another field of its container."""
    return {**RESTRICTED, "containers": [{**RESTRICTED["containers"][0], **container}]}


@pytest.mark.parametrize(
    ("pod", "policies"),
    [
        (RESTRICTED, []),
        ({**RESTRICTED, "automountServiceAccountToken": None}, ["restrict-automount-sa-token"]),
        ({**RESTRICTED, "hostNetwork": True}, ["disallow-host-namespaces"]),
        ({**RESTRICTED, "volumes": [{"name": "x", "hostPath": {"path": "/x"}}]}, ["disallow-host-path"]),
        (changed(resources={"requests": {"cpu": "1", "memory": "1Gi"}}), ["require-requests-limits"]),
        (changed(resources={"limits": {"cpu": "1", "memory": "1Gi"}}), []),
        (
            changed(securityContext={"privileged": True}),
            ["disallow-privileged-containers", "disallow-privilege-escalation", "disallow-capabilities-strict"],
        ),
        ({**RESTRICTED, "securityContext": {}}, ["require-run-as-nonroot"]),
        (
            {**changed(), "initContainers": [{"name": "init"}]},
            [
                "disallow-privilege-escalation",
                "disallow-capabilities-strict",
                "require-requests-limits",
            ],
        ),
    ],
)
def test_a_pod_breaks_the_policies_that_its_spec_breaks(pod: Mapping[str, Any], policies: list[str]) -> None:
    assert broken(pod) == policies


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_pod_that_breaks_a_policy_is_in_the_output(stack: str) -> None:
    recording = recorded(stack)
    listed = recording.outputs["policyExemptions"]
    found = {(one["kind"], one["namespace"], one["name"], one.get("role")): one["policies"] for one in listed}
    pods = set[tuple[str, str, str, str | None]]()
    for resource in recording.resources:
        spec, metadata = resource.inputs.get("spec") or {}, resource.inputs.get("metadata") or {}
        roles = [None] if "template" in spec else [role.lower() for role in spec.get("services", {})]
        pods |= {(resource.type.rpartition(":")[2], metadata["namespace"], metadata["name"], role) for role in roles}
    theirs = {"kai-scheduler", "nvidia-dra-driver-gpu", "dynamo-cloud"}
    own = {key for key in found if key[1] not in theirs}
    assert own < pods
    assert {key[2].rpartition("-")[2] for key in pods - own if key[1] not in theirs} == {"bench"}
    assert {policy for policies in found.values() for policy in policies} <= set(POLICIES)
    by_role = {key[3]: policies for key, policies in found.items() if key[3]}
    assert "disallow-privileged-containers" in by_role["decode"]
    assert "disallow-host-path" in by_role["prefill"]
    assert "disallow-host-path" not in by_role["frontend"]
    [check] = [policies for key, policies in found.items() if "readiness" in key[2]]
    assert check == ["restrict-automount-sa-token"]


def test_the_pods_of_charts_are_listed_where_the_program_installs_them_and_in_the_namespaces_that_it_is_told() -> None:
    adopt: dict[str, Any] = {"dynamo": {"mode": "adopt"}, "kai": {"mode": "adopt"}, "draDriver": {"mode": "adopt"}}
    names: dict[str, Any] = {"namespaces": {"kai": "team-kai", "draDriver": "team-dra"}}

    def listed(config: dict[str, Any]) -> dict[str, str]:
        return {
            one["name"]: one["namespace"]
            for one in run_program("dev", config=config).outputs["policyExemptions"]
            if one["name"].startswith(("kai-", "nvidia-", "dynamo-platform", "grove"))
        }

    own = listed({})
    assert own["nvidia-dra-driver-gpu-kubelet-plugin"] == "nvidia-dra-driver-gpu"
    assert own["grove-operator"] == own["dynamo-platform-nats"] == "dynamo-cloud"
    assert listed(adopt) == {}
    named = listed({**names, "dynamo": {**shipped("dev")["dynamo-a4x:dynamo"], "grove": "adopt"}})
    assert named["kai-operator"] == "team-kai"
    assert named["nvidia-dra-driver-gpu-controller"] == "team-dra"
    assert "grove-operator" not in named
    policies = {policy for pod in (*chart_pods.KAI, *chart_pods.DRA_DRIVER) for policy in pod.policies}
    assert policies <= set(POLICIES)

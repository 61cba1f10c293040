"""The output `policyExemptions` names every pod of the program and what common admission policies object to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reference.pod_policies import POLICIES, broken
from tests.conftest import recorded

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
def test_every_pod_of_an_environment_is_in_the_output(stack: str) -> None:
    recording = recorded(stack)
    found = recording.outputs["policyExemptions"]
    pods = {
        name
        for resource in recording.resources
        for name in ([resource.name] if "template" in (resource.inputs.get("spec") or {}) else [])
        + [f"{resource.name}/{role.lower()}" for role in (resource.inputs.get("spec") or {}).get("services", {})]
    }
    assert set(found) == pods
    assert {policy for policies in found.values() for policy in policies} <= set(POLICIES)
    name = next(iter(recording.outputs["stacks"]))
    assert "disallow-privileged-containers" in found[f"{name}-graph/decode"]
    assert "disallow-host-path" in found[f"{name}-graph/prefill"]
    assert "disallow-host-path" not in found[f"{name}-graph/frontend"]
    assert found[f"{name}-readiness-job"] == ["restrict-automount-sa-token"]

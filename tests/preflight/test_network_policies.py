"""NetworkPolicies of others, as preflight sees them."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from preflight import kubernetes
from preflight.checks import network_policies
from preflight.cloud import Namespace, NetworkPolicy, Pod
from preflight.results import Outcome
from preflight.site import Site
from reference.naming import STACK_LABEL, kubernetes_labels
from tests import stacks
from tests.preflight.healthy import HealthyCloud
from tests.preflight.test_namespaces import FOREIGN, STACK
from tests.recorder import run_program

EVERYBODY: dict[str, Any] = {"podSelector": {}, "ingress": [{}]}
SHUT: dict[str, Any] = {"podSelector": {}, "policyTypes": ["Ingress"]}
NATS: dict[str, Any] = {"matchLabels": {"app.kubernetes.io/name": "nats"}}
PLATFORM = "dynamo-cloud"


def looked(
    spec: dict[str, Any] | None,
    *,
    where: str = "team",
    labels: dict[str, str] | None = None,
    of_policy: dict[str, str] | None = None,
    others: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
) -> Outcome:
    """What is said of one policy in a namespace, where the stack's namespace has these labels."""
    merged = {**stacks.config("dev"), **FOREIGN, "dynamo-a4x:stacks": [STACK], **(config or {})}
    chosen = settings.parse(merged, "dev")
    cloud: Any = HealthyCloud(chosen)
    policy = None if spec is None else NetworkPolicy("theirs", of_policy or {}, spec)
    cloud.network_policies = lambda _, space: [policy] if policy and space == where else []
    cloud.other_policies = lambda _, space: others if not space else ()
    cloud.namespace = lambda *_: Namespace(labels or {}, {}, {}, {})
    nats = {"app.kubernetes.io/name": "nats", "app.kubernetes.io/component": "nats"}
    cloud.pods = lambda _: [Pod(PLATFORM, "nats-0", "system-0", 0, 0, 0, nats), Pod("x", "nats-0", "n", 0, 0, 0, nats)]
    return network_policies.existing(Site(chosen, cloud))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (EVERYBODY, "theirs in team lets everybody reach workers and frontends"),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": 8000}]}]}, "lets everybody reach workers and frontends"),
        (
            {
                "podSelector": {"matchExpressions": [{"key": STACK_LABEL, "operator": "Exists"}]},
                "ingress": [{"from": [{"podSelector": {}}]}],
            },
            "lets those that it lists reach workers and frontends",
        ),
        (
            {"podSelector": {"matchLabels": {"dynamo-a4x/role": "frontend"}}, "ingress": [{}]},
            "lets everybody reach frontends",
        ),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, "connections from workers reach only what"),
        ({"podSelector": {}, "egress": [{"ports": [{"port": 443}]}]}, "connections from frontends reach only what"),
    ],
)
def test_a_policy_that_opens_the_pods_or_cuts_them_off_is_told(spec: dict[str, Any], said: str) -> None:
    outcome = looked(spec)
    assert outcome.status == "warn"
    assert said in outcome.finding
    assert outcome.fix


@pytest.mark.parametrize(
    "spec",
    [
        None,
        SHUT,
        {**EVERYBODY, "podSelector": {"matchLabels": {"app": "web"}}},
        {**EVERYBODY, "podSelector": {"matchExpressions": [{"key": STACK_LABEL, "operator": "DoesNotExist"}]}},
        {
            **EVERYBODY,
            "podSelector": {"matchExpressions": [{"key": STACK_LABEL, "operator": "NotIn", "values": ["r1"]}]},
        },
        {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
        {**EVERYBODY, "policyTypes": ["Egress"], "egress": [{}]},
    ],
)
def test_a_policy_that_changes_nothing_for_the_pods_is_none_to_tell(spec: dict[str, Any] | None) -> None:
    assert looked(spec).status == "pass"


def test_the_environment_s_own_policies_and_open_doors_that_it_wants_are_none_of_others() -> None:
    assert looked(EVERYBODY, of_policy=kubernetes_labels("dev")).status == "pass"
    assert looked(EVERYBODY, of_policy=kubernetes_labels("prod")).status == "warn"
    assert looked(EVERYBODY, config={"dynamo-a4x:isolation": {"ingress": False}}).status == "pass"


def test_policies_of_other_kinds_are_named() -> None:
    outcome = looked(None, others=("adminnetworkpolicies fence",))
    assert (outcome.status, "not judged: adminnetworkpolicies fence" in outcome.finding) == ("warn", True)


def _from(*peers: dict[str, Any], port: Any = 4222) -> dict[str, Any]:
    return {"podSelector": NATS, "ingress": [{"from": list(peers), "ports": [{"port": port}]}]}


BY_LABEL: dict[str, Any] = {
    "namespaceSelector": {"matchExpressions": [{"key": STACK_LABEL, "operator": "Exists"}]},
    "podSelector": {"matchExpressions": [{"key": STACK_LABEL, "operator": "Exists"}]},
}


def test_a_namespace_without_the_label_that_a_platform_asks_for_is_told_with_the_command() -> None:
    outcome = looked(_from(BY_LABEL), where=PLATFORM)
    assert outcome.status == "fail"
    assert f"namespace team lacks the label {STACK_LABEL}" in outcome.finding
    assert outcome.fix == f"kubectl label namespace team {STACK_LABEL}=r1"
    assert looked(_from(BY_LABEL), where=PLATFORM, labels={STACK_LABEL: "r1"}).status == "pass"


@pytest.mark.parametrize(
    "spec",
    [
        SHUT,
        _from({"podSelector": {}}),
        _from({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}),
        _from(BY_LABEL, port=8222),
        _from({**BY_LABEL, "podSelector": {"matchLabels": {"dynamo-a4x/role": "other"}}}),
    ],
)
def test_a_platform_that_lets_a_stack_in_by_no_label_is_told(spec: dict[str, Any]) -> None:
    outcome = looked(spec, where=PLATFORM)
    assert outcome.status == "fail"
    assert "no NetworkPolicy there lets the pods of team reach nats-0 in dynamo-cloud on port 4222" in outcome.finding


@pytest.mark.parametrize(
    "spec",
    [
        {**SHUT, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "grove-operator"}}},
        _from(),
        _from({"ipBlock": {"cidr": "10.0.0.0/8"}}),
        _from({"namespaceSelector": {}}),
        _from({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team"}}}),
        _from({"namespaceSelector": {}}, port="client"),
        {"podSelector": NATS, "ingress": [{"ports": [{"port": 4000, "endPort": 5000}]}]},
        _from(
            {"namespaceSelector": {}, "podSelector": {"matchLabels": {"nvidia.com/dynamo-component-type": "worker"}}}
        ),
        {"podSelector": NATS, "policyTypes": ["Egress"]},
    ],
)
def test_a_platform_that_lets_a_stack_in_or_may_is_not_in_the_way(spec: dict[str, Any]) -> None:
    assert looked(spec, where=PLATFORM).status == "pass"


def test_the_program_s_own_platform_lets_in_the_stacks_of_another_environment() -> None:
    made = run_program("dev")
    for _, manifest in made.manifests():
        if manifest.get("kind") == "NetworkPolicy" and manifest["metadata"]["namespace"] == PLATFORM:
            item = {"metadata": manifest["metadata"], "spec": manifest["spec"]}
            spec = dict(kubernetes.network_policy(item).spec)
            assert looked(spec, where=PLATFORM, labels={STACK_LABEL: "r1"}).status == "pass"
            own: dict[str, Any] = {
                "dynamo-a4x:namespaces": {"create": True},
                "dynamo-a4x:stacks": [{**STACK, "name": "n1"}],
            }
            assert looked(spec, where=PLATFORM, config=own).status == "pass"

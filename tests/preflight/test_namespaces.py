"""Namespaces that others made, as preflight sees them."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from preflight import kubernetes
from preflight.checks import namespaces
from preflight.cloud import Namespace
from preflight.results import Outcome
from preflight.site import Site
from reference.pod_security import ENFORCE
from tests import stacks
from tests.preflight.healthy import HealthyCloud

STACK: dict[str, Any] = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0", "namespace": "team"}
FOREIGN: dict[str, Any] = {
    "dynamo-a4x:dynamo": {"mode": "adopt"},
    "dynamo-a4x:kai": {"mode": "adopt"},
    "dynamo-a4x:draDriver": {"mode": "adopt"},
    "dynamo-a4x:namespaces": {"create": False},
}


def looked(found: Namespace | None, **worker: Any) -> Outcome:
    config = {**stacks.config("dev"), **FOREIGN, "dynamo-a4x:stacks": [{**STACK, "resources": {"worker": worker}}]}
    chosen = settings.parse(config, "dev")
    cloud: Any = HealthyCloud(chosen)
    cloud.namespace = lambda *_: found
    return namespaces.foreign(Site(chosen, cloud))


def namespace(**changes: Any) -> Namespace:
    return Namespace(**{"labels": {}, "quotas": {}, "limits": {}, "requests": {}, **changes})


ALL = {"requests": {"cpu": "8", "memory": "400Gi"}, "limits": {"memory": "800Gi"}}
QUOTA = {"compute": frozenset({"requests.cpu", "requests.memory", "pods"})}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "does not exist"),
        (namespace(labels={ENFORCE: "baseline"}), "enforces baseline"),
        (namespace(quotas=QUOTA), "demands requests.cpu, requests.memory of every container"),
        (namespace(quotas=QUOTA, requests={"cpu": "1"}), "demands requests.memory of every container"),
        (namespace(quotas={"q": frozenset({"limits.memory"})}, requests={"memory": "1Gi"}), "demands limits.memory"),
        (namespace(limits={"memory": "512Mi"}), "caps a worker without a limit of its own at 512Mi"),
    ],
)
def test_a_namespace_that_would_refuse_or_cap_a_pod_is_named_with_its_fix(found: Namespace | None, said: str) -> None:
    outcome = looked(found)
    assert outcome.status == "fail"
    assert said in outcome.finding
    assert outcome.fix


@pytest.mark.parametrize(
    ("found", "worker"),
    [
        (namespace(), {}),
        (namespace(labels={ENFORCE: "privileged"}), {}),
        (namespace(quotas={"gpus": frozenset({"requests.nvidia.com/gpu", "pods"})}), {}),
        (namespace(quotas=QUOTA), ALL),
        (namespace(quotas=QUOTA, requests={"cpu": "1", "memory": "1Gi"}), {}),
        (namespace(limits={"memory": "512Mi"}), ALL),
        (namespace(limits={"memory": "900Gi"}), {}),
    ],
)
def test_a_namespace_that_leaves_pods_alone_passes(found: Namespace, worker: dict[str, Any]) -> None:
    assert looked(found, **worker).status == "pass"


def test_quotas_of_some_pods_are_left_out_and_ranges_are_put_together() -> None:
    quotas = [
        {"metadata": {"name": "a"}, "spec": {"hard": {"cpu": "1"}}},
        {"metadata": {"name": "b"}, "spec": {"hard": {"pods": "9"}, "scopeSelector": {}}},
    ]
    container = {"type": "Container", "default": {"memory": "1Gi"}, "defaultRequest": {"cpu": "1"}}
    ranges = [{"spec": {"limits": [container, {"type": "Pod", "max": {"cpu": "9"}}]}}]
    read = kubernetes.namespace({"metadata": {"labels": {"a": "b"}}}, quotas, ranges)
    assert read == Namespace({"a": "b"}, {"a": frozenset({"cpu"})}, {"memory": "1Gi"}, {"cpu": "1"})

"""Parts of the platform that others run, in the real engine: a whole life, what comes later, and what is missing."""

from __future__ import annotations

from typing import Any

import pulumi_kubernetes as kubernetes
import pytest

from rehearsal import seeds
from rehearsal.run import Rehearsal
from rehearsal.simulator.kubernetes import helm
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.workloads import blockers, serving
from tests import stacks
from tests.engine.driver import Driver
from tests.resilience import life
from tests.resilience.order import InvariantChecker
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
NATS = {"mode": "adopt", "address": "nats://nats.messaging.svc:4222"}
ETCD = {"mode": "adopt", "address": "http://etcd.data.svc:2379"}
PARTS: dict[str, dict[str, Any]] = {
    "0.7.0": {"grove": "adopt", "crds": "adopt", "nats": NATS, "etcd": ETCD},
    "1.0.2": {"grove": "adopt", "crds": "adopt", "nats": NATS},
}


def config(version: str, **parts: Any) -> dict[str, Any]:
    return {"dynamo-a4x:dynamo": {**stacks.config("dev")["dynamo-a4x:dynamo"], "version": version, **parts}}


def test_a_platform_on_parts_of_others_lives_and_leaves_theirs() -> None:
    with Rehearsal("dev", config=config("1.0.2", **PARTS["1.0.2"])) as rehearsal:
        before = {(one.kind, one.id) for one in rehearsal.state.find(where=lambda one: one.origin == "seed")}
        phase = rehearsal.up()
        releases = {step.name for step in phase.changed if step.kind == helm.RELEASE}
        assert "dynamo-release" in releases
        assert "dynamo-crds" not in releases
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []
        after = {(one.kind, one.id) for one in rehearsal.state.find(where=lambda one: one.origin == "seed")}
        assert before <= after


def test_parts_go_over_to_others_in_place_and_only_another_address_restarts_pods() -> None:
    with Rehearsal("dev", config=config("0.7.0")) as rehearsal:
        rehearsal.up()

        def changed(**parts: Any) -> dict[str, str]:
            rehearsal.set_config(config("0.7.0", **parts))
            seeds.plant_missing(rehearsal.cloud, rehearsal.settings)
            return {step.name: step.op for step in rehearsal.up().changed}

        assert changed(grove="adopt", crds="adopt") == {
            "dynamo-release": "update",
            "dynamo-crds": "delete",
            "dynamo-grove-operator-policy": "delete",
            "dynamo-rest-named-policy": "update",
        }
        moved = changed(**PARTS["0.7.0"])
        assert moved["dynamo-release"] == "update"
        assert moved["r1-1p1d-graph"] == "update"
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []


@pytest.mark.parametrize(
    ("chosen", "kind", "said"),
    [
        ({"grove": "adopt"}, serving.RELEASE, "no Grove runs in the cluster"),
        ({"nats": NATS}, "kubernetes:core/v1:Service", "is not a Service of the cluster"),
        ({"crds": "adopt"}, helm.CRD, "no CRDs DynamoGraphDeployment"),
    ],
    ids=["grove", "nats", "crds"],
)
def test_a_part_that_nobody_runs_is_missed(chosen: dict[str, Any], kind: str, said: str) -> None:
    with Rehearsal("dev", config=config("1.0.2", **chosen)) as rehearsal:
        for seed in rehearsal.state.find(kind):
            if kind != helm.CRD or seed.id.endswith(".nvidia.com"):
                rehearsal.state.remove(seed.key)
        error = life.failed(rehearsal.up)
        assert error is not None
        assert said in " ".join(error.causes)


def test_an_operator_without_nats_is_no_platform() -> None:
    driver = Driver(dynamo_version="1.0.2")
    driver.cluster()
    driver.namespace("dynamo-cloud")
    values: dict[str, Any] = {"nats": {"enabled": False}, "global": {"grove": {"install": True, "enabled": True}}}
    driver.release("dynamo-platform", "dynamo-cloud", "1.0.2", values=values)
    (cluster,) = driver.state.find("gcp:container/cluster:Cluster")
    reasons = list(blockers.of(driver.state, cluster.id, {"metadata": {"name": "r1", "namespace": "r1"}}))
    assert any("nats is off, and the operator has no natsAddr" in reason for reason in reasons)


# Namespaces


OTHERS: dict[str, Any] = {
    "dynamo-a4x:dynamo": {**stacks.config("dev")["dynamo-a4x:dynamo"], "mode": "adopt", "natsUser": "team"},
    "dynamo-a4x:kai": {"mode": "adopt"},
    "dynamo-a4x:draDriver": {"mode": "adopt"},
}
STACK: dict[str, Any] = {"name": "r1-1p1d", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}
FOREIGN: dict[str, Any] = {
    "dynamo-a4x:namespaces": {"create": False},
    "dynamo-a4x:stacks": [{**STACK, "namespace": "team-serving"}],
}


def namespaces(rehearsal: Rehearsal) -> set[str]:
    return {one.id for one in rehearsal.state.find(NAMESPACE)}


@pytest.mark.parametrize("others", [OTHERS, {}], ids=["platform of others", "platform of its own"])
def test_a_stack_lives_in_one_and_another_namespace_of_others_and_leaves_both_empty(others: dict[str, Any]) -> None:
    with Rehearsal("dev", config={**FOREIGN, **others}) as rehearsal:
        before = namespaces(rehearsal)
        checker = InvariantChecker(rehearsal)
        checker.arm()
        rehearsal.up()
        checker.require("up")
        assert namespaces(rehearsal) == before
        assert {graph.id.partition("/")[0] for graph in rehearsal.state.find(serving.GRAPH)} == {"team-serving"}
        rehearsal.set_config({"dynamo-a4x:stacks": [{**STACK, "namespace": "team-b-serving"}]})
        seeds.plant_missing(rehearsal.cloud, rehearsal.settings)
        rehearsal.up()
        assert {graph.id.partition("/")[0] for graph in rehearsal.state.find(serving.GRAPH)} == {"team-b-serving"}
        assert (
            rehearsal.state.find(where=lambda one: one.origin == "program" and one.id.startswith("team-serving/")) == []
        )
        rehearsal.up_without_change()
        checker.require("another namespace")
        rehearsal.destroy()
        checker.require("destroy")
        assert checker.position("delete", serving.GRAPH)[-1] < checker.position("delete", DEPLOYMENT)[-1]
        assert namespaces(rehearsal) == before | {"team-b-serving"}
        assert rehearsal.state.leftovers() == []


def test_an_environment_gives_its_namespaces_up_with_everything_in_them_in_place() -> None:
    with Rehearsal("dev", config={"dynamo-a4x:stacks": [STACK]}) as rehearsal:
        rehearsal.up()
        before = namespaces(rehearsal)
        rehearsal.set_config({"dynamo-a4x:namespaces": {"create": False}})
        changed = rehearsal.preview().changed
        # Pods of others may come into the namespaces from then on.
        assert sorted(step.name for step in changed if step.op == "update") == [
            "dra-driver-rest-policy",
            "dynamo-etcd-policy",
            "dynamo-nats-policy",
            "dynamo-rest-policy",
            "r1-1p1d-rest-policy",
        ]
        gone = sorted(step.name for step in changed if step.op == "delete")
        assert gone == ["dynamo-rest-named-policy", "kai-kai-policy"]
        assert {step.op for step in changed} == {"create", "update", "delete"}
        rehearsal.up()
        assert namespaces(rehearsal) == before
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert namespaces(rehearsal) == before
        assert {one.kind for one in rehearsal.state.leftovers()} == {NAMESPACE}


def test_a_namespace_that_is_not_there_is_missed_in_a_preview() -> None:
    with Rehearsal("dev", config=FOREIGN) as rehearsal:
        rehearsal.state.remove(rehearsal.state.find(NAMESPACE, where=lambda one: one.id == "team-serving")[0].key)
        error = life.failed(rehearsal.preview)
        assert error is not None
        assert "team-serving" in " ".join(error.causes)


def _without_waiting(make: Any) -> Any:
    def deployment(*args: Any, **options: Any) -> Any:
        options["metadata"] = {key: value for key, value in options["metadata"].items() if key != "finalizers"}
        return make(*args, **options)

    return deployment


def test_without_the_barrier_a_stack_leaves_what_only_its_platform_could_clean_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control (M14)."""
    monkeypatch.setattr(kubernetes.apps.v1, "Deployment", _without_waiting(kubernetes.apps.v1.Deployment))
    with Rehearsal("dev", config=FOREIGN) as rehearsal:
        rehearsal.up()
        rehearsal.destroy()
        assert [str(one).split("-")[0] for one in rehearsal.state.leftovers()] == ["PodCliqueSet team"]


def test_a_barrier_that_may_not_look_stops_the_teardown_instead_of_giving_up() -> None:
    with Rehearsal("dev", config=FOREIGN) as rehearsal:
        rehearsal.up()
        [role] = rehearsal.state.find(ROLE, where=lambda one: one.id.endswith("-barrier"))
        role.outputs["rules"] = []
        error = life.failed(rehearsal.destroy)
        assert error is not None
        assert "its pod is forbidden to get deployments.apps" in " ".join(error.causes)
        assert serving.operator(rehearsal.state, rehearsal.state.find(serving.RELEASE)[0].scope) is not None


def test_a_platform_without_stacks_is_made_in_namespaces_of_others() -> None:
    chosen = {
        "dynamo-a4x:stacks": [],
        "dynamo-a4x:namespaces": {"create": False, "kai": "team-kai", "draDriver": "team-dra"},
        "dynamo-a4x:dynamo": {**stacks.config("dev")["dynamo-a4x:dynamo"], "namespace": "team-dynamo"},
    }
    with Rehearsal("dev", config=chosen) as rehearsal:
        before = namespaces(rehearsal)
        rehearsal.up()
        assert namespaces(rehearsal) == before
        releases = {one.id.partition("/")[0] for one in rehearsal.state.find(helm.RELEASE)}
        assert {"team-kai", "team-dra", "team-dynamo"} <= releases
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert namespaces(rehearsal) == before
        assert rehearsal.state.leftovers() == []

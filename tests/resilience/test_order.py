"""The order of the program is that of `rehearsal/timeline/needs.py`, and a broken one is refused or seen."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from rehearsal import Call, Rehearsal
from rehearsal.simulator.gcp.rules import CLUSTER
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.timeline import needs
from rehearsal.timeline.graph import Op
from rehearsal.timeline.plan import Plan
from tests.resilience import life, order
from tests.resilience.life import ProofError
from tests.resilience.proof import RecordProperty, needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

ENVIRONMENTS = ("dev", "prod", f"prod{life.DRANET}", f"prod{life.FOREIGN}")
OPS: tuple[Op, ...] = ("up", "destroy")


@cache
def recorded(environment: str) -> tuple[int, Plan]:
    return order.recorded(environment)


@pytest.mark.parametrize("environment", [*life.environments(*ENVIRONMENTS), f"prod{life.FOREIGN}"])
def test_everything_alive_has_what_it_needs_and_the_program_waits_for_that_alone(
    environment: str, record_property: RecordProperty
) -> None:
    looks, plan = recorded(environment)
    # Namespaces of others are only read.
    theirs = NAMESPACE if environment.endswith(life.FOREIGN) else ""
    made = [task for task in plan.tasks.values() if task.custom and task.kind != theirs]
    assert looks == 2 * len(made) > 60
    # Company settings add waits that the page does not know; none may be missing.
    wrong = [line for line in order.against_the_page(plan) if not theirs or "does not wait" in line]
    assert wrong == []
    record_property("looks at the whole cloud", looks)


def test_every_rule_and_every_allowed_wait_is_met_in_some_environment() -> None:
    plans = [recorded(environment)[1] for environment in ENVIRONMENTS]
    met = {
        rule
        for plan in plans
        for op in OPS
        for rule, _, _ in needs.pairs({urn: task.named for urn, task in plan.tasks.items() if task.custom}, op)
    }
    assert [rule for rule in needs.RULES if rule not in met] == []
    used = {entry for plan in plans for wait in needs.superfluous(plan) for entry in needs.allowed(plan, wait)}
    assert [entry for entry in needs.ALLOWED if entry not in used] == []


def test_what_the_engine_did_not_record_is_missing_and_what_no_rule_asks_for_is_too_much() -> None:
    _, plan = recorded("dev")
    named = {task.name: urn for urn, task in plan.tasks.items()}
    graph, driver, root = named["r1-1p1d-graph"], named["dra-driver-release"], named["queues-root"]
    waits = {**plan.waits, driver: {**plan.waits[driver], root: 0.0}}
    waits[graph] = {need: lag for need, lag in waits[graph].items() if need != named["r1-1p1d-compute-domain"]}
    assert order.against_the_page(Plan(plan.tasks, waits)) == [
        "r1-1p1d-graph does not wait for r1-1p1d-compute-domain",
        "dra-driver-release waits without a reason for queues-root",
    ]


@pytest.mark.parametrize(("environment", "most"), [("dev", 6), *life.whole((name, None) for name in life.EVERY)])
def test_what_is_needed_is_refused_or_missed_when_it_goes_first(
    environment: str, most: int | None, record_property: RecordProperty
) -> None:
    offered, cut = order.negative_controls(environment, most)
    assert offered > 25
    assert cut > 4
    record_property("tried", offered + cut)


class Cloud:
    """A cluster with a graph, its checker, and objects that come and go."""

    def __init__(self) -> None:
        rehearsal = Rehearsal("dev")
        self.cloud, self.state = rehearsal.cloud, rehearsal.state
        self.cluster = self.cloud.gcp.seed(CLUSTER, {"name": "a"}, project="p", region="r")
        self.checker = order.InvariantChecker(rehearsal)
        self.checker.arm()

    def make(self, kind: str, name: str, namespace: str = "r1", **body: Any) -> Any:
        body = {"apiVersion": "v1", "kind": kind.rsplit(":", 1)[-1], "metadata": {"name": name}, **body}
        if namespace:
            body["metadata"]["namespace"] = namespace
        made = self.cloud.kubernetes.seed(self.cluster, kind, body)
        self.look("create", made)
        return made

    def remove(self, resource: Any, *with_it: Any) -> list[str]:
        for hook in self.cloud.faults.before:
            hook(Call(op="delete", kind=resource.kind, id=resource.id))
        for going in (resource, *with_it):
            self.state.remove(going.key)
        self.look("delete", resource)
        return self.checker.wrong

    def look(self, op: str, resource: Any) -> None:
        for hook in self.cloud.faults.after:
            hook(Call(op=op, kind=resource.kind, id=resource.id))

    def graph(self, **spec: Any) -> Any:
        return self.make(order.GRAPH, "g", spec={"services": {"Decode": {"extraPodSpec": spec}}})


@pytest.mark.parametrize("chart", ["dynamo-platform", "nvidia-dra-driver-gpu", "kai-scheduler"])
def test_a_graph_whose_operator_goes_is_seen(chart: str) -> None:
    cloud = Cloud()
    release = cloud.make(order.RELEASE, chart, "", chart=chart)
    cloud.graph()
    assert cloud.checker.wrong == []
    assert cloud.remove(release)[0].startswith(f"DynamoGraphDeployment r1/g lives without {chart}: ")


def test_a_graph_whose_secret_goes_is_seen_and_another_secret_may_go() -> None:
    cloud = Cloud()
    mine, other = cloud.make("kubernetes:core/v1:Secret", "key"), cloud.make("kubernetes:core/v1:Secret", "key", "r2")
    cloud.graph(imagePullSecrets=[{"name": "key"}])
    assert cloud.remove(other) == []
    (wrong,) = cloud.remove(mine)
    assert wrong.startswith("DynamoGraphDeployment r1/g lives without Secret r1/key")


def test_what_goes_with_its_namespace_without_having_been_deleted_is_seen() -> None:
    cloud = Cloud()
    namespace = cloud.make(NAMESPACE, "r1", "")
    secret = cloud.make("kubernetes:core/v1:Secret", "key")
    (wrong,) = cloud.remove(namespace, secret)
    assert wrong == "Secret r1/key went with Namespace r1: it lies in the namespace"


def test_one_of_several_may_go_for_good_while_its_users_stay_and_not_for_a_while() -> None:
    cloud = Cloud()
    release = cloud.make(order.RELEASE, "kai-scheduler", "", chart="kai-scheduler")
    cloud.graph()
    cloud.remove(release)
    cloud.checker.require("it is not there any more")
    cloud.make(order.RELEASE, "kai-scheduler", "", chart="kai-scheduler")
    with pytest.raises(ProofError, match="lives without kai-scheduler"):
        cloud.checker.require("it was away for a while")


def test_what_stands_before_what_it_needs_is_seen() -> None:
    cloud = Cloud()
    cloud.graph(imagePullSecrets=[{"name": "key"}])
    cloud.make("kubernetes:core/v1:Secret", "key")
    (wrong,) = cloud.checker.wrong
    assert wrong.startswith("DynamoGraphDeployment r1/g was made before Secret r1/key")

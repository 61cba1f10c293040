"""The policy of RDMA interfaces, by the plugin with which the API server evaluates it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.conformance import admission, go_programs
from tests.conformance.admission import Request
from tests.rdma_admission import Ask, Site, site
from tests.resilience.proof import RecordProperty

pytestmark = pytest.mark.conformance

Spec = dict[str, Any]
_TYPO = re.compile(r"'([^']{3,})'|\b(annotations|containers|initContainers|resources|limits|devices|requests)\b")

ALWAYS_THERE = {"has(container.resources) && ", "has(spec.devices.requests) && "}
"""Guards of fields that the API server writes into every such object, empty or null; the embedded cloud does not."""


@pytest.fixture(scope="module", autouse=True)
def judge() -> None:
    try:
        admission.binary()
    except go_programs.AbsentError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster() -> Site:
    return site()


def world(cluster: Site, spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    policy = {**cluster.policy, "spec": spec}
    return [policy, cluster.binding, *(cluster.namespace(name) for name in cluster.namespaces)]


def asked(asks: list[tuple[str, Ask]]) -> list[Request]:
    return [Request(ask.body, ask.operation, ask.old, ask.user) for _, ask in asks]


def strict(spec: Mapping[str, Any]) -> Spec:
    """The same, with which an error is a refusal."""
    return {**spec, "failurePolicy": "Fail"}


@pytest.mark.parametrize("rdma", ["multi-network", "dranet"])
def test_only_stacks_and_fabric_tests_get_an_rdma_interface(
    rdma: str, cluster: Site, record_property: RecordProperty
) -> None:
    cluster = cluster if rdma == "multi-network" else site(rdma)
    tries, spec = list(cluster.tries()), cluster.policy["spec"]
    said, without_errors = admission.judge(
        [(world(cluster, spec), asked(tries)), (world(cluster, strict(spec)), asked(tries))]
    )
    wrong = [
        f"{ask.what}: {why or 'admitted'}"
        for (namespace, ask), why in zip(tries, said, strict=True)
        if bool(why) != cluster.refused(namespace, ask)
    ]
    assert wrong == []
    assert without_errors == said
    record_property("counted", f"{len(tries)} requests, {sum(map(bool, said))} of them refused, 0 errors in CEL")


def test_what_asks_for_nothing_is_never_looked_at(cluster: Site) -> None:
    tries = list(cluster.tries())
    closed = copy.deepcopy(cluster.policy["spec"])
    closed["validations"][0]["expression"] = "false"
    (said,) = admission.judge([(world(cluster, closed), asked(tries))])
    looked = {ask.what for (_, ask), why in zip(tries, said, strict=True) if why}
    systems = tuple(f" in {name}" for name in cluster.namespaces if not cluster.refused(name, Ask("", {}, True)))
    own = tuple(f" in {name}" for name in cluster.theirs)
    outside = {ask.what for _, ask in tries if ask.rdma and not ask.what.endswith(systems)}
    assert looked == outside | {ask.what for _, ask in tries if ask.rdma and ask.what.endswith(own)}


def test_an_error_in_any_expression_stops_no_pod_that_asks_for_nothing(cluster: Site) -> None:
    tries = [(namespace, ask) for namespace, ask in cluster.tries() if not ask.rdma]
    faults = ["1 / 0 == 0", "object.spec.absent.field == 'x'", "object.metadata.name"]
    worlds: list[list[Mapping[str, Any]]] = []
    for fault in faults:
        for place in ("matchConditions", "validations"):
            for i in range(len(cluster.policy["spec"][place])):
                spec = copy.deepcopy(cluster.policy["spec"])
                spec[place][i]["expression"] = fault
                worlds.append(world(cluster, spec))
    answers = admission.judge([(manifests, asked(tries)) for manifests in worlds])
    assert len(answers) == len(faults) * 3
    assert [why for said in answers for why in said if why] == []


def mutations(spec: Mapping[str, Any]) -> Iterator[tuple[str, Spec]]:
    """One thing wrong each: a condition or a guard that is gone, a name or a field that is mistyped."""

    def changed(place: str, i: int, expression: str) -> Spec:
        other = copy.deepcopy(dict(spec))
        other[place][i]["expression"] = expression
        return other

    for i, condition in enumerate(spec["matchConditions"]):
        other = copy.deepcopy(dict(spec))
        del other["matchConditions"][i]
        yield f"without {condition['name']}", other
    for i, rule in enumerate(spec["matchConstraints"]["resourceRules"]):
        for key in ("resources", "operations"):
            for value in rule[key]:
                other = copy.deepcopy(dict(spec))
                other["matchConstraints"]["resourceRules"][i][key].remove(value)
                yield f"without {value}", other
    for place in ("matchConditions", "validations"):
        for i, one in enumerate(spec[place]):
            expression = one["expression"]
            yield f"not {expression}", changed(place, i, f"!({expression})")
            for found in _TYPO.finditer(expression):
                wrong = f"{expression[: found.end() - 2]}{'Zz'}{expression[found.end() - 1 :]}"
                yield f"{found[0]} mistyped at {found.start()}", changed(place, i, wrong)
            for found in re.finditer(r"has\([\w.]+\) && ", expression):
                cut = expression[: found.start()] + expression[found.end() :]
                yield f"{found[0]}left out at {found.start()}", changed(place, i, cut)


def test_every_mistake_in_an_expression_is_seen(cluster: Site, record_property: RecordProperty) -> None:
    tries = list(cluster.some_tries())
    known = list(mutations(cluster.policy["spec"]))
    wanted = [cluster.refused(namespace, ask) for namespace, ask in tries]
    answers = admission.judge(
        [(world(cluster, spec), asked(tries)) for _, mutated in known for spec in (mutated, strict(mutated))]
    )
    unseen = [
        what
        for i, (what, _) in enumerate(known)
        if all([bool(why) for why in said] == wanted for said in answers[2 * i : 2 * i + 2])
    ]
    assert {what.partition("left out")[0] for what in unseen} == ALWAYS_THERE
    assert len(known) > 50
    record_property("tried", len(known))

"""Who reaches whom: the policies of two environments against the table of flows, pair by pair and port by port."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from rehearsal.simulator.kubernetes.network_policies import Address, allowed
from settings import artifacts, parse
from tests.isolation import Site, site
from tests.recorder import run_program
from tests.unit.configs import shipped
from tools import isolation_reference

VERSIONS = ("0.7.0", "1.0.2")


@cache
def made(version: str) -> Site:
    return site(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_policies_let_in_whom_the_table_names_and_nobody_else(version: str, record_property: Any) -> None:
    found = made(version)
    assert list(found.differences()) == []
    tried = len(list(found.tries()))
    record_property("counted", f"{len(found.actors)} pods, {tried} pairs and ports tried, 0 differences")
    assert tried > 10_000


def broken(policy: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The policy with one thing dropped or widened: each rule, each peer, each selector, each list of ports."""

    def changed(change: Any) -> dict[str, Any]:
        twin = copy.deepcopy(policy)
        change(twin)
        return twin

    yield "without it", {**policy, "podSelector": {"matchLabels": {"no": "pod"}}}
    for i, rule in enumerate(policy["ingress"]):
        yield f"without rule {i}", changed(lambda spec, i=i: spec["ingress"].pop(i))
        if "ports" in rule:
            yield f"rule {i} on every port", changed(lambda spec, i=i: spec["ingress"][i].pop("ports"))
        if "from" in rule:
            yield f"rule {i} for everybody", changed(lambda spec, i=i: spec["ingress"][i].pop("from"))
        for j, peer in enumerate(rule.get("from", ())):
            if len(rule["from"]) > 1:
                yield f"rule {i} without peer {j}", changed(lambda spec, i=i, j=j: spec["ingress"][i]["from"].pop(j))
            for part in (part for part in peer if peer[part]):
                every = {**peer, part: {}}
                yield (
                    f"rule {i}, peer {j}: every {part}",
                    changed(lambda spec, i=i, j=j, every=every: spec["ingress"][i]["from"].__setitem__(j, every)),
                )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rule_that_is_dropped_or_widened_is_seen(version: str) -> None:
    found, unseen, tried = made(version), list[str](), 0
    for at, (namespace, name, spec) in enumerate(found.policies):
        for what, wrong in broken(spec):
            tried += 1
            others = [*found.policies[:at], (namespace, name, wrong), *found.policies[at + 1 :]]
            if next(found.differences(others, namespace), None) is None:
                unseen.append(f"{namespace}/{name} {what}")
    assert unseen == []
    assert tried > 50


def test_isolation_that_is_off_makes_no_policy() -> None:
    recording = run_program("prod", config={"isolation": {"ingress": False}})
    assert recording.of_type("NetworkPolicy") == []
    assert len(run_program("prod").of_type("NetworkPolicy")) > 5


def test_every_pod_of_the_cluster_is_one_word() -> None:
    stack = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0", "clients": "cluster"}
    recording = run_program("dev", config={"stacks": [stack]})
    frontends = recording.find(name="r1-frontends-policy").inputs["spec"]["ingress"][1]
    assert {"namespaceSelector": {}} in frontends["from"]
    assert frontends["ports"] == [{"port": 8000, "protocol": "TCP"}]


def test_pods_of_others_in_a_namespace_of_theirs_are_left_alone() -> None:
    stack = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0", "namespace": "team-serving"}
    recording = run_program("dev", config={"stacks": [stack], "namespaces": {"create": False}})
    [rest] = [
        policy.inputs["spec"]["podSelector"]
        for policy in recording.of_type("NetworkPolicy")
        if policy.name == "r1-rest-policy"
    ]
    assert rest == {
        "matchExpressions": [
            {"key": "app.kubernetes.io/name", "operator": "In", "values": ["r1-bench", "readiness-check"]}
        ]
    }
    nats = recording.find(name="dynamo-nats-policy").inputs["spec"]["ingress"][0]["from"]
    assert nats[1]["namespaceSelector"]["matchExpressions"][0]["values"] == ["team-serving"]


def test_the_etcd_chart_s_own_policy_which_lets_everybody_in_is_off() -> None:
    release = run_program("dev").find(name="dynamo-release")
    assert release.inputs["values"]["etcd"]["networkPolicy"] == {"enabled": False}


def test_nothing_listens_before_it_is_isolated() -> None:
    recording = run_program("prod")
    for which, prefix in (
        ("r1-10p8d-graph", "r1-10p8d-"),
        ("dynamo-release", "dynamo-"),
        ("kai-release", "kai-"),
        ("dra-driver-release", "dra-driver-"),
    ):
        policies = {policy.urn for policy in recording.of_type("NetworkPolicy") if policy.name.startswith(prefix)}
        assert policies
        assert policies <= recording.find(name=which).dependencies, which


@pytest.mark.parametrize("version", VERSIONS)
def test_webhooks_are_reached_by_the_api_server_from_wherever_it_asks(version: str) -> None:
    found = made(version)
    api_server = Address("203.0.113.7")
    serving = {"KAI", "Grove operator", *(("Dynamo operator",) if version != "0.7.0" else ())}
    reached = set[str]()
    for target in found.actors:
        specs = [spec for space, _, spec in found.policies if space == target.pod.namespace]
        if target.party and allowed(specs, found.namespaces.__getitem__, api_server, target.pod, 9443):
            reached.add(target.party)
    assert reached - {"clients"} == serving


def test_the_page_has_the_table() -> None:
    assert isolation_reference.DOCUMENT.read_text(encoding="utf-8") == isolation_reference.page()


def test_binary_authorization_is_told_every_name_that_pods_use_and_nothing_wider() -> None:
    config = shipped("prod")
    cluster = {**config["dynamo-a4x:cluster"], "binaryAuthorization": "PROJECT_SINGLETON_POLICY_ENFORCE"}
    patterns = artifacts.image_patterns(parse({**config, "dynamo-a4x:cluster": cluster}, "prod"))
    images = artifacts.images_of(parse(config, "prod"))
    assert all(any(image.target.startswith(one.rstrip("*")) for one in patterns) for image in images)
    assert all(one.rstrip("*").count("/") or one == "nats*" for one in patterns), patterns
    assert not [one for one in patterns if one.startswith(("/", "*"))]

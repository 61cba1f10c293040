"""Who reaches whom: the policies of two environments against the table of flows, pair by pair and port by port."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from manifests.egress import INTERNET
from reference.egress import Mode
from rehearsal.simulator.kubernetes.network_policies import Address, allowed, matches
from settings import artifacts, checks, parse, prerequisites
from tests.answers import ENDPOINT, PRIVATE_ENDPOINT
from tests.isolation import Site, site
from tests.recorder import Recording, run_program
from tests.unit.configs import shipped
from tools import isolation_reference

VERSIONS = ("0.7.0", "1.0.2", "1.5.1")
SITES: tuple[tuple[str, Mode], ...] = (
    *((version, "open") for version in VERSIONS),
    ("0.7.0", "restricted"),
    ("1.0.2", "private-googleapis"),
    ("1.5.1", "restricted"),
)


@cache
def made(version: str, mode: Mode = "open") -> Site:
    return site(version, mode)


@pytest.mark.parametrize(("version", "mode"), SITES)
def test_the_policies_let_through_what_the_tables_name_and_nothing_else(
    version: str, mode: Mode, record_property: Any
) -> None:
    found = made(version, mode)
    assert list(found.differences()) == []
    tried = len(found.cases)
    record_property("counted", f"{len(found.actors)} pods, {tried} pairs and ports tried, 0 differences")
    assert tried > 10_000


def broken(policy: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The policy with one thing dropped or widened: each rule, each peer, each selector, each list of ports."""

    def changed(change: Any) -> dict[str, Any]:
        copied = copy.deepcopy(policy)
        change(copied)
        return copied

    yield "without it", {**policy, "podSelector": {"matchLabels": {"no": "pod"}}}
    for kind in policy["policyTypes"]:
        way, ends = ("ingress", "from") if kind == "Ingress" else ("egress", "to")
        for i, rule in enumerate(policy[way]):
            what = f"{way} rule {i}"
            yield f"without {what}", changed(lambda spec, way=way, i=i: spec[way].pop(i))
            if "ports" in rule:
                yield f"{what} on every port", changed(lambda spec, way=way, i=i: spec[way][i].pop("ports"))
            if ends in rule:
                yield f"{what} for everybody", changed(lambda spec, way=way, i=i, ends=ends: spec[way][i].pop(ends))
            for j, peer in enumerate(rule.get(ends, ())):
                others = [*rule[ends][:j], *rule[ends][j + 1 :]]
                wrong = {f"peer {j} with {name}": [*others, wide] for name, wide in wider(peer)}
                for name, peers in {**wrong, **({f"without peer {j}": others} if others else {})}.items():
                    yield (
                        f"{what}: {name}",
                        changed(lambda spec, way=way, i=i, rule={**rule, ends: peers}: spec[way].__setitem__(i, rule)),
                    )


def wider(peer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The peer with one selector for everything, and its range without its first exception."""
    if "ipBlock" not in peer:
        yield from ((f"every {part}", {**peer, part: {}}) for part in peer if peer[part])
        return
    block = peer["ipBlock"]
    but = block.get("except", [])
    yield "every address", {"ipBlock": {"cidr": "0.0.0.0/0"}}
    if but:
        yield f"{but[0]} too", {"ipBlock": {**block, "except": but[1:]}}


@pytest.mark.parametrize(("version", "mode"), SITES)
def test_a_rule_that_is_dropped_or_widened_is_seen(version: str, mode: Mode) -> None:
    found, unseen, tried = made(version, mode), list[str](), 0
    for at, (namespace, name, spec) in enumerate(found.policies):
        for what, wrong in broken(spec):
            tried += 1
            if next(found.differences((at, wrong)), None) is None:
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
            {
                "key": "app.kubernetes.io/name",
                "operator": "In",
                "values": ["r1-bench", "readiness-check", "teardown-barrier"],
            }
        ]
    }
    nats = recording.find(name="dynamo-nats-policy").inputs["spec"]["ingress"][0]["from"]
    assert nats[1]["namespaceSelector"]["matchExpressions"][0]["values"] == ["team-serving"]


def test_no_policy_selects_a_pod_of_others_in_a_namespace_of_theirs() -> None:
    config = {
        "namespaces": {"create": False, "downloads": "weights"},
        "modelBucket": {**shipped("dev")["dynamo-a4x:modelBucket"], "download": True},
    }
    policies = run_program("dev", config=config).of_type("NetworkPolicy")
    assert len(policies) > 5
    for policy in policies:
        chosen = policy.inputs["spec"]["podSelector"]
        for labels in ({}, {"app": "theirs"}, {"app.kubernetes.io/name": "theirs"}):
            assert not matches(chosen, labels), (policy.name, labels)
    spaces = {policy.inputs["metadata"]["namespace"] for policy in policies}
    assert {"weights", "dynamo-cloud", "nvidia-dra-driver-gpu"} <= spaces


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
        if target.party and allowed(lambda _, its=specs: its, found.labels_of, api_server, target.pod, 9443):
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


RESTRICTED: dict[str, Any] = {"egress": "restricted"}
PRIVATE: dict[str, Any] = {"egress": "private-googleapis"}
PROXY = {"url": "http://10.200.0.8:3128", "noProxy": ["hub.example.com"]}


def ways(recording: Recording, name: str) -> list[Any]:
    """The egress rules of a policy."""
    return recording.find(name=f"{name}-policy").inputs["spec"]["egress"]


def test_the_platform_keeps_its_egress() -> None:
    recording = run_program("prod", config={"isolation": RESTRICTED})
    closed = {policy.name.partition("-policy")[0] for policy in recording.of_type("NetworkPolicy") if ways_of(policy)}
    assert {name.partition("-")[0] for name in closed} == {"r1", "download"}


def ways_of(policy: Any) -> bool:
    return "Egress" in policy.inputs["spec"]["policyTypes"]


def test_egress_is_closed_alone_where_ingress_is_open() -> None:
    recording = run_program("prod", config={"isolation": {**RESTRICTED, "ingress": False}})
    specs = [policy.inputs["spec"] for policy in recording.of_type("NetworkPolicy")]
    assert specs
    assert all(spec["policyTypes"] == ["Egress"] and "ingress" not in spec for spec in specs)


def test_workers_never_reach_the_internet_where_a_zone_leads_to_google_and_a_proxy_takes_it_from_frontends() -> None:
    recording = run_program("prod", config={"isolation": PRIVATE, "pods": {"proxy": PROXY}})
    proxy = {"to": [{"ipBlock": {"cidr": "10.200.0.8/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]}
    for name in ("r1-10p8d-workers", "r1-10p8d-frontends", "download-4ecad6d3-download"):
        found = ways(recording, name)
        assert INTERNET not in found, name
        assert (proxy in found) == (name != "r1-10p8d-workers")
        assert {"to": [{"ipBlock": {"cidr": "199.36.153.8/30"}}], "ports": [{"protocol": "TCP", "port": 443}]} in found


@pytest.mark.parametrize(
    ("pods", "hosts"),
    [
        ({}, []),
        ({"hubEndpoint": "https://hub.example.com"}, ["hub.example.com:443"]),
        ({"hubEndpoint": "https://other.example.com", "proxy": PROXY}, ["10.200.0.8:3128"]),
        ({"hubEndpoint": "https://hub.example.com", "proxy": PROXY}, ["10.200.0.8:3128", "hub.example.com:443"]),
        ({"hubEndpoint": "http://hub.mirrors.svc:8081", "proxy": PROXY}, ["10.200.0.8:3128", "hub.mirrors.svc:8081"]),
    ],
)
def test_a_public_service_is_reached_through_proxy_and_mirror(pods: dict[str, Any], hosts: list[str]) -> None:
    found = parse({**shipped("dev"), "dynamo-a4x:pods": pods}, "dev").pods
    assert [f"{server.host}:{server.port}" for server in found.servers(found.hub_endpoint)] == hosts


def test_services_of_others_are_reached_where_they_are() -> None:
    dynamo = {
        **shipped("dev")["dynamo-a4x:dynamo"],
        "nats": {"mode": "adopt", "address": "nats://nats.messaging.svc:4222"},
        "etcd": {"mode": "adopt", "address": "http://10.9.0.7:2379"},
    }
    found = ways(run_program("dev", config={"isolation": RESTRICTED, "dynamo": dynamo}), "r1-1p1d-workers")
    assert {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "messaging"}}}]} in found
    assert {"to": [{"ipBlock": {"cidr": "10.9.0.7/32"}}], "ports": [{"protocol": "TCP", "port": 2379}]} in found
    assert not [rule for rule in found if "dynamo-cloud" in str(rule)]


def test_the_barrier_in_a_namespace_of_others_reaches_the_api_server_alone() -> None:
    config = {"namespaces": {"create": False}, "isolation": RESTRICTED}
    recording = run_program("dev", config=config)
    [rule] = ways(recording, "r1-1p1d-teardown-barrier")
    assert rule == {"to": [{"ipBlock": {"cidr": f"{ENDPOINT}/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    assert not [policy for policy in recording.of_type("NetworkPolicy") if policy.name.startswith("r1-1p1d-rest")]


def test_the_api_server_is_at_the_control_plane_s_range_or_where_the_cluster_says_that_it_is() -> None:
    assert "10.19.0.0/28" in str(
        ways(run_program("prod", config={"isolation": RESTRICTED}), "r1-10p8d-readiness-check")
    )
    cluster = {**shipped("prod")["dynamo-a4x:cluster"], "rdma": "dranet"}
    network = {"mode": "adopt", "network": "n", "subnetwork": "s", "podsRange": "p", "servicesRange": "v"}
    config = {"isolation": RESTRICTED, "cluster": {**cluster, "network": network}}
    assert f"{PRIVATE_ENDPOINT}/32" in str(ways(run_program("prod", config=config), "r1-10p8d-readiness-check"))


def test_the_zone_is_made_in_a_network_of_the_program_s_own_and_asked_for_in_others() -> None:
    made = run_program("prod", config={"isolation": PRIVATE})
    policy = made.find(name="r1-10p8d-workers-policy")
    assert {record.urn for record in made.of_type("RecordSet")} <= policy.dependencies
    assert "dns.googleapis.com" in {api.inputs["service"] for api in made.of_type("gcp:projects/service:Service")}
    own = parse({**shipped("prod"), "dynamo-a4x:isolation": PRIVATE}, "prod")
    given = parse({**shipped("dev"), "dynamo-a4x:isolation": PRIVATE}, "dev")
    asked = [[one.key for one in prerequisites.of(settings)] for settings in (own, given)]
    assert [keys.count("isolation.egress") for keys in asked] == [0, 1]
    assert run_program("dev", config={"isolation": PRIVATE}).of_type("ManagedZone") == []
    assert run_program("prod", config={"isolation": RESTRICTED}).of_type("ManagedZone") == []


def test_a_mirror_that_may_be_private_is_said() -> None:
    pods = {"hubEndpoint": "https://hub.example.com"}
    isolation: dict[str, Any] = {**RESTRICTED}
    for listed, said in (((), 1), (({"range": "10.0.0.8/32", "ports": [443]},), 0)):
        isolation["egressRanges"] = list(listed)
        settings = parse({**shipped("dev"), "dynamo-a4x:pods": pods, "dynamo-a4x:isolation": isolation}, "dev")
        assert len([text for text in checks.warnings(settings) if text.startswith("pods.hubEndpoint")]) == said

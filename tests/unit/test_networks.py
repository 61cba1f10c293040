"""Networks of others: how they are named, which rules and grants they need, and what is registered for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from reference import addresses, firewall, network_prerequisites, networks, shared_vpc
from reference.cluster import PoolFacts, pool_lacks
from tests import answers
from tests.recorder import Recording, StackConfig, run_program
from tests.unit.configs import problems, put, shipped

HOST = "net-host"
REGION = "us-central1"
NETWORK: Mapping[str, Any] = {
    "mode": "adopt",
    "network": f"projects/{HOST}/global/networks/corp",
    "subnetwork": "corp-gke",
    "podsRange": "corp-pods",
    "servicesRange": "corp-services",
}
DEVICES: Mapping[str, Any] = {
    "gvnic": {"network": f"projects/{HOST}/global/networks/gpu-net-1", "subnetwork": "gpu-sub-1"},
    "rdmaNetwork": f"projects/{HOST}/global/networks/gpu-rdma",
    "rdmaSubnetworks": [f"projects/{HOST}/regions/{REGION}/subnetworks/gpu-rdma-{i}" for i in range(4)],
}


def program(**cluster: Any) -> Recording:
    """What `prod` registers with these keys of its cluster."""
    return _program(json.dumps(cluster, sort_keys=True))


@cache
def _program(cluster: str) -> Recording:
    base = json.loads(StackConfig.read("prod").values["dynamo-a4x:cluster"])
    return run_program("prod", config={"cluster": {**base, **json.loads(cluster)}})


def created(run: Recording) -> set[str]:
    """Logical names of what is made in Compute Engine."""
    return {resource.name for resource in run.resources if resource.type.startswith("gcp:compute/")}


# Names and paths


@pytest.mark.parametrize(
    ("subnetwork", "network", "told"),
    [
        ("s", "n", "s"),
        ("s", "projects/mine/global/networks/n", "s"),
        ("s", "projects/host/global/networks/n", "projects/host/regions/us-central1/subnetworks/s"),
        ("projects/host/regions/us-central1/subnetworks/s", "n", "projects/host/regions/us-central1/subnetworks/s"),
    ],
)
def test_a_subnetwork_is_told_as_written_unless_its_network_is_elsewhere(
    subnetwork: str, network: str, told: str
) -> None:
    assert networks.of_network(subnetwork, network, "mine", REGION) == told
    assert networks.last_part(told) == "s"


def test_a_shared_vpc_is_told_by_path_to_the_apis_and_by_name_to_the_controller() -> None:
    run = program(network=NETWORK, deviceNetworks=DEVICES)
    cluster = run.find("gcp:container/cluster:Cluster").inputs
    assert (cluster["network"], cluster["subnetwork"]) == (
        NETWORK["network"],
        f"projects/{HOST}/regions/{REGION}/subnetworks/corp-gke",
    )
    policy = cluster["ipAllocationPolicy"]
    assert (policy["clusterSecondaryRangeName"], policy["servicesSecondaryRangeName"]) == ("corp-pods", "corp-services")
    assert "masterIpv4CidrBlock" not in cluster["privateClusterConfig"]
    pool = run.find(name="domain-a4x-0-pool").inputs["networkConfig"]["additionalNodeNetworkConfigs"]
    assert [nic["subnetwork"] for nic in pool] == [
        f"projects/{HOST}/regions/{REGION}/subnetworks/gpu-sub-1",
        *DEVICES["rdmaSubnetworks"],
    ]
    specs = [found.inputs["spec"] for found in run.of_type("kubernetes:networking.gke.io/v1:GKENetworkParamSet")]
    assert {(spec["vpc"], spec["vpcSubnet"]) for spec in specs} == {
        ("gpu-net-1", "gpu-sub-1"),
        *(("gpu-rdma", f"gpu-rdma-{i}") for i in range(4)),
    }
    assert created(run) == {"domain-a4x-0-policy"}


def test_nics_of_dranet_in_given_networks_have_the_driver_and_no_profile() -> None:
    run = program(network=NETWORK, deviceNetworks=DEVICES, rdma="dranet")
    pool = run.find(name="domain-a4x-0-pool").inputs
    assert len(pool["networkConfig"]["additionalNodeNetworkConfigs"]) == 5
    assert "acceleratorNetworkProfile" not in pool["networkConfig"]
    assert pool["nodeConfig"]["labels"]["cloud.google.com/gke-networking-dra-driver"] == "true"
    assert run.of_type("kubernetes:networking.gke.io/v1:Network") == []
    assert run.find("gcp:container/cluster:Cluster").inputs["enableMultiNetworking"] is False


def test_nics_in_given_networks_beside_a_network_of_the_clusters_own() -> None:
    own = json.loads(json.dumps(DEVICES).replace(f"projects/{HOST}/", "projects/my-project/"))
    run = program(deviceNetworks=own)
    assert {name.partition("-")[2] for name in created(run) if name.startswith("foundation-")} == {
        f"network-{part}" for part in ("vpc", "subnet", "router", "nat", "internal", "webhooks")
    }
    into, out = run.outputs["firewallRules"]
    assert into["sourceRanges"][0] == "primary range of gpu-sub-1"
    assert (out["direction"], out["destinationRanges"]) == ("EGRESS", into["sourceRanges"])


def test_a_place_for_the_control_plane_is_told_by_path() -> None:
    private = {**NETWORK, "controlPlaneSubnetwork": "corp-cp"}
    run = program(network=private, deviceNetworks=DEVICES, endpoint="private-ip")
    config = run.find("gcp:container/cluster:Cluster").inputs["privateClusterConfig"]
    assert config["privateEndpointSubnetwork"] == f"projects/{HOST}/regions/{REGION}/subnetworks/corp-cp"
    by_range = {**NETWORK, "controlPlaneRange": "172.16.0.32/28"}
    run = program(network=by_range, deviceNetworks=DEVICES)
    config = run.find("gcp:container/cluster:Cluster").inputs["privateClusterConfig"]
    assert config["masterIpv4CidrBlock"] == "172.16.0.32/28"


# What is not created


@pytest.mark.parametrize(
    ("keys", "less"),
    [
        ({"nat": "none"}, {"foundation-network-router", "foundation-network-nat"}),
        (
            {"firewall": "none"},
            {"foundation-network-internal", "foundation-network-webhooks", "foundation-devices-gvnic-internal"},
        ),
    ],
)
def test_nat_and_firewall_are_left_to_others_and_nothing_else(keys: dict[str, str], less: set[str]) -> None:
    assert created(program()) - created(program(network=keys)) == less


def test_the_rules_for_others_are_those_that_are_made_otherwise() -> None:
    made = {
        (rule.inputs["network"], tuple(rule.inputs["sourceRanges"])): rule.inputs
        for rule in program().of_type("Firewall")
    }
    printed = program(network={"firewall": "none"}).outputs["firewallRules"]
    ingress = {(rule["network"], tuple(rule["sourceRanges"])): rule for rule in printed if "sourceRanges" in rule}
    assert ingress.keys() == made.keys()
    for key, rule in ingress.items():
        allows = {a["protocol"]: ",".join(a.get("ports", [])) for a in made[key]["allows"]}
        assert rule["allow"] == [f"{protocol}:{ports}" if ports else protocol for protocol, ports in allows.items()]
        assert rule["description"] == made[key]["description"]
    assert [rule["destinationRanges"] for rule in printed if rule["direction"] == "EGRESS"][1] == ["199.36.153.8/30"]


def test_who_has_no_foreign_network_sees_no_rules() -> None:
    assert "firewallRules" not in program().outputs
    assert "firewallRules" not in program(rdma="dranet").outputs


def test_networks_that_dranet_makes_have_rules_of_its_own() -> None:
    printed = program(rdma="dranet", network={"firewall": "none"}).outputs["firewallRules"]
    assert {rule["network"] for rule in printed} == {"a4x-prod-net-0"}


def test_words_stand_for_ranges_that_the_program_does_not_know() -> None:
    ranges = firewall.Ranges.named("s", "p", "v", "172.16.0.0/28")
    internal, webhooks = firewall.cluster_rules(ranges)
    assert internal.ranges == ("primary range of s", "secondary range p of s", "secondary range v of s")
    assert webhooks.printed("n")["allow"] == ["tcp:443,8443,9443,10250"]


# Zonal clusters


def test_a_zonal_cluster_keeps_its_regional_parts_in_the_region() -> None:
    run = program(location="us-central1-b")
    for kind in ("gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"):
        assert {found.inputs["location"] for found in run.of_type(kind)} == {"us-central1-b"}
    regional = ("Subnetwork", "RouterNat", "ResourcePolicy")
    assert {found.inputs["region"] for kind in regional for found in run.of_type(kind)} == {REGION}
    assert run.find(name="foundation-place").inputs["keepers"]["location"] == "us-central1-b"
    assert "location" not in program(location=REGION).find(name="foundation-place").inputs["keepers"]


def test_a_zonal_cluster_is_adopted_where_it_is() -> None:
    asked: list[str] = []

    def zonal(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(arguments["location"])
        return answers.cluster(arguments, [answers.node_pool("a4x-0", "us-central1-b", 2)])

    cluster = {"mode": "adopt", "name": "a4x-dev", "location": "us-central1-b"}
    run = run_program("dev", config={"cluster": cluster}, invokes={answers.GET_CLUSTER: zonal})
    assert set(asked) == {"us-central1-b"}
    assert "gke_my-project_us-central1-b_a4x-dev" in str(run.outputs["kubeconfig"])
    # An adopted cluster may have pools in other zones of its region.
    assert problems(put(shipped("dev"), "cluster.location", "us-central1-a"), "dev") == []


def test_an_adopted_cluster_with_a_private_address_alone_is_reached_there() -> None:
    def private(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            **answers.cluster(arguments, [answers.node_pool("a4x-0", "us-central1-b", 2)]),
            "controlPlaneEndpointsConfigs": [],
            "privateClusterConfigs": [{"enablePrivateEndpoint": True, "privateEndpoint": "172.16.0.2"}],
        }

    run = run_program("dev", invokes={answers.GET_CLUSTER: private})
    assert json.loads(run.outputs["kubeconfig"])["clusters"][0]["cluster"]["server"] == "https://172.16.0.2"


# What replaces


@pytest.mark.parametrize("key", ["network", "subnetwork", "podsRange", "servicesRange", "controlPlaneRange"])
def test_whatever_replaces_the_cluster_replaces_the_guarded_value_first(key: str) -> None:
    other = {**NETWORK, key: "172.16.0.16/28" if key == "controlPlaneRange" else f"{NETWORK[key]}-2"}
    one, two = (
        program(network=network, deviceNetworks=DEVICES).find(name="foundation-place") for network in (NETWORK, other)
    )
    assert one.inputs["keepers"] != two.inputs["keepers"]


def test_the_default_networks_keep_the_value_that_they_had() -> None:
    keepers = program().find(name="foundation-place").inputs["keepers"]
    assert keepers.keys() == {"cluster", "region", "zone", "addresses", "rdma"}


# Grants and prerequisites


def test_both_agents_are_granted_each_subnetwork_once_and_gkes_the_project() -> None:
    subnetworks = ["corp-gke", *DEVICES["rdmaSubnetworks"], "corp-gke"]
    grants = list(shared_vpc.grants(HOST, "42", REGION, subnetworks))
    assert len(grants) == 1 + 2 * 5
    assert grants[0].command == (
        "gcloud projects add-iam-policy-binding net-host --condition=None "
        "--role=roles/container.hostServiceAgentUser "
        "--member='serviceAccount:service-42@container-engine-robot.iam.gserviceaccount.com'"
    )
    assert {grant.account for grant in grants[1:]} == {
        "service-42@container-engine-robot.iam.gserviceaccount.com",
        "42@cloudservices.gserviceaccount.com",
    }
    assert all("--region us-central1" in grant.command for grant in grants[1:])


def test_what_a_network_team_provides_is_listed_with_commands_and_checks() -> None:
    team = network_prerequisites.Team(HOST, REGION, "us-central1-b")
    found = [
        *network_prerequisites.of_cluster(team, "corp", "corp-gke", ("pods", "services"), 18),
        *network_prerequisites.of_devices(team, ("gpu-net-1", "gpu-sub-1"), "gpu-rdma", ["gpu-rdma-0"]),
        *network_prerequisites.of_host("cluster.network", HOST, "42", REGION, ["corp-gke"]),
    ]
    assert all(one.key and one.what and one.command and one.check and one.source for one in found)
    assert "pods (/19 or larger)" in found[0].what
    assert any("us-central1-b-vpc-roce" in one.command for one in found)


@pytest.mark.parametrize(("pods", "nodes"), [("10.0.0.0/19", 32), ("10.0.0.0/24", 1), ("10.0.0.0/25", 0)])
def test_a_range_of_pods_holds_a_24_for_each_node(pods: str, nodes: int) -> None:
    assert addresses.nodes_of_pods(pods) == nodes
    assert nodes == 0 or addresses.pods_prefix(nodes) == int(pods.rpartition("/")[2])


@pytest.mark.parametrize(
    ("profile", "networks_", "driver", "fits"),
    [("auto", 0, True, True), ("", 5, True, True), ("", 5, False, False), ("", 0, True, False)],
)
def test_a_pool_of_dranet_has_the_profile_or_networks_with_the_driver(
    profile: str, networks_: int, driver: bool, fits: bool
) -> None:
    pool = PoolFacts("a4x-highgpu-4g", ["us-central1-b"], 2, networks_, profile, driver)
    assert (list(pool_lacks(pool, "a4x-0", zone="us-central1-b", nodes=2, rdma="dranet")) == []) is fits

"""Networks of another project in the embedded cloud, and the endpoints of a control plane. One test, one rule."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.simulator import ApiError, CloudResource
from rehearsal.simulator.gcp.networks import agents_grants
from rehearsal.simulator.gcp.rules import CLUSTER, NETWORK, NODE_POOL, PROJECT_MEMBER, SUBNETWORK, SUBNETWORK_MEMBER
from rehearsal.simulator.kubernetes.service import cluster_at
from rehearsal.simulator.values import Props
from tests.engine.driver import PROJECT, REGION, Driver, pool_inputs

HOST = "net-host"
NET, SUB = f"projects/{HOST}/global/networks/corp", f"projects/{HOST}/regions/{REGION}/subnetworks/corp-gke"
GPU, GPU_SUB = f"projects/{HOST}/global/networks/gpu", f"projects/{HOST}/regions/{REGION}/subnetworks/gpu-0"
GROUP = "networking.gke.io/v1"


@pytest.fixture
def cloud() -> Driver:
    """A host project with two networks, which grants the agents what they need."""
    cloud = Driver()
    for name, subnet, cidr in (("corp", "corp-gke", "10.0.0.0/20"), ("gpu", "gpu-0", "192.168.0.0/20")):
        seed(cloud, NETWORK, {"name": name})
        seed(cloud, SUBNETWORK, {"name": subnet, "network": name, "ipCidrRange": cidr})
    for role, member, below in agents_grants(PROJECT):
        for subnet in ("corp-gke", "gpu-0") if below else ():
            seed(cloud, SUBNETWORK_MEMBER, {"role": role, "member": member, "subnetwork": subnet})
        if not below:
            seed(cloud, PROJECT_MEMBER, {"role": role, "member": member})
    return cloud


def seed(cloud: Driver, kind: str, inputs: Props) -> CloudResource:
    return cloud.cloud.gcp.seed(kind, inputs, project=HOST, region=REGION)


def shared(cloud: Driver) -> CloudResource:
    return cloud.cluster(network=NET, subnetwork=SUB)


def device(cloud: Driver, vpc: str, subnet: str) -> None:
    cloud.kube(GROUP, "GKENetworkParamSet", "rdma-0", spec={"vpc": vpc, "vpcSubnet": subnet, "deviceMode": "RDMA"})
    reference = {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": "rdma-0"}
    cloud.kube(GROUP, "Network", "rdma-0", spec={"type": "Device", "parametersRef": reference})


def pool(cloud: Driver, network: str, subnetwork: str) -> CloudResource:
    config = {"additionalNodeNetworkConfigs": [{"network": network, "subnetwork": subnetwork}]}
    return cloud.create(NODE_POOL, "pool", {**pool_inputs(), "networkConfig": config})


@pytest.mark.parametrize("given", [{"network": "corp"}, {"network": NET, "subnetwork": "corp-gke"}])
def test_a_network_of_another_project_is_found_by_its_path_alone(cloud: Driver, given: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="Error 404"):
        cloud.cluster(**given)
    cloud.cluster(network=f"https://www.googleapis.com/compute/v1/{NET}", subnetwork=SUB)


@pytest.mark.parametrize(
    ("kind", "agent", "refusal"),
    [
        (PROJECT_MEMBER, "container-engine-robot", "Service Agent is missing required permissions on this project"),
        (SUBNETWORK_MEMBER, "container-engine-robot", "Required 'compute.subnetworks.get' permission"),
        (SUBNETWORK_MEMBER, "cloudservices", "Required 'compute.subnetworks.get' permission"),
    ],
)
def test_both_agents_need_their_roles_on_the_clusters_network(
    cloud: Driver, kind: str, agent: str, refusal: str
) -> None:
    [grant, *_] = cloud.state.find(kind, where=lambda found: agent in found.id and "gpu-0" not in found.id)
    cloud.state.remove(grant.key)
    with pytest.raises(ApiError, match=refusal):
        shared(cloud)


def test_a_role_on_the_whole_host_project_counts_on_its_subnetworks(cloud: Driver) -> None:
    for grant in cloud.state.find(SUBNETWORK_MEMBER):
        cloud.state.remove(grant.key)
    for role, member, below in agents_grants(PROJECT):
        if below:
            seed(cloud, PROJECT_MEMBER, {"role": role, "member": member})
    shared(cloud)


def test_a_pool_needs_the_agents_on_each_of_its_subnetworks(cloud: Driver) -> None:
    shared(cloud)
    device(cloud, "gpu", "gpu-0")
    [grant] = cloud.state.find(
        SUBNETWORK_MEMBER, where=lambda found: "gpu-0/" in found.id and "cloudservices" in found.id
    )
    cloud.state.remove(grant.key)
    with pytest.raises(ApiError, match="gpu-0"):
        pool(cloud, GPU, GPU_SUB)
    cloud.state.add(grant)
    pool(cloud, GPU, GPU_SUB)


def test_all_nics_of_a_node_are_in_the_project_of_the_clusters_network(cloud: Driver) -> None:
    shared(cloud)
    cloud.create(NETWORK, "own", {"name": "own"})
    cloud.create(SUBNETWORK, "own-0", {"name": "own-0", "network": "own", "ipCidrRange": "172.16.0.0/24"})
    device(cloud, "own", "own-0")
    with pytest.raises(ApiError, match="all NICs of the nodes must belong to the project of the cluster's network"):
        pool(cloud, "own", "own-0")


def test_the_controller_tells_networks_apart_by_name_alone(cloud: Driver) -> None:
    shared(cloud)
    cloud.create(NETWORK, "own", {"name": "corp"})
    cloud.create(SUBNETWORK, "own-0", {"name": "own-0", "network": "corp", "ipCidrRange": "172.16.0.0/24"})
    with pytest.raises(ApiError, match="DeviceModeCantUseDefaultVPC"):
        device(cloud, "corp", "own-0")
    with pytest.raises(ApiError, match="names, not links"):
        device(cloud, GPU, GPU_SUB)


def test_a_secondary_range_that_the_subnetwork_does_not_have_is_refused(cloud: Driver) -> None:
    policy = {"clusterSecondaryRangeName": "pods"}
    with pytest.raises(ApiError, match="has no secondary range 'pods'"):
        cloud.cluster(network=NET, subnetwork=SUB, ipAllocationPolicy=policy)


def test_nics_of_dranet_need_no_network_objects(cloud: Driver) -> None:
    shared(cloud)
    inputs = pool_inputs()
    inputs["nodeConfig"]["labels"] = {"cloud.google.com/gke-networking-dra-driver": "true"}
    inputs["networkConfig"] = {"additionalNodeNetworkConfigs": [{"network": GPU, "subnetwork": GPU_SUB}]}
    cloud.create(NODE_POOL, "pool", inputs)
    inputs = {**pool_inputs("a4x-1"), "networkConfig": {"acceleratorNetworkProfile": "auto"}}
    with pytest.raises(ApiError, match="all NICs of the nodes must belong to net-host"):
        cloud.create(NODE_POOL, "other", inputs)


def test_a_bare_name_hides_a_move_to_another_projects_network(cloud: Driver) -> None:
    """The plugin's comparison of `Cluster.network`; a pool's networks are compared as texts."""
    made = shared(cloud)
    assert not cloud.diff(made, {**made.inputs, "network": "corp"}).changes
    assert cloud.diff(made, {**made.inputs, "network": "projects/other/global/networks/corp"}).replaces == ["network"]
    device(cloud, "gpu", "gpu-0")
    attached = pool(cloud, GPU, GPU_SUB)
    config = {"additionalNodeNetworkConfigs": [{"network": "gpu", "subnetwork": "gpu-0"}]}
    assert cloud.diff(attached, {**attached.inputs, "networkConfig": config}).replaces == ["networkConfig"]


def test_the_place_of_the_control_plane_is_chosen_for_good(cloud: Driver) -> None:
    made = cloud.cluster(privateClusterConfig={"masterIpv4CidrBlock": "172.16.0.0/28"})
    for config in ({"masterIpv4CidrBlock": "172.16.0.16/28"}, {"privateEndpointSubnetwork": SUB}):
        difference = cloud.diff(made, {**made.inputs, "privateClusterConfig": config})
        assert difference.replaces == ["privateClusterConfig"]
    # GKE answers with the range, which is optional: it stays.
    assert not cloud.diff(made, {**made.inputs, "privateClusterConfig": {}}).changes


def test_a_private_control_plane_takes_no_public_ranges(cloud: Driver) -> None:
    listed = {"cidrBlocks": [{"cidrBlock": "8.8.8.0/24"}]}
    made = cloud.cluster(masterAuthorizedNetworksConfig=listed)
    with pytest.raises(ApiError, match=r'network "8\.8\.8\.0/24" is not a reserved network'):
        cloud.update(made, {**made.inputs, "privateClusterConfig": {"enablePrivateEndpoint": True}})


def test_a_control_plane_answers_where_it_was_let(cloud: Driver) -> None:
    made = cloud.cluster(controlPlaneEndpointsConfig={"dnsEndpointConfig": {"allowExternalTraffic": True}})
    public, dns = made.outputs["endpoint"], made.outputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"]
    assert [cluster_at(cloud.state, f"https://{host}") for host in (public, dns)] == [made, made]
    config: dict[str, Any] = {
        "dnsEndpointConfig": {"allowExternalTraffic": True},
        "ipEndpointsConfig": {"enabled": False},
    }
    cloud.update(made, {**made.inputs, "controlPlaneEndpointsConfig": config})
    assert [cluster_at(cloud.state, f"https://{host}") for host in (public, dns)] == [None, made]
    # What is not said any more stays.
    del config["ipEndpointsConfig"]
    assert not cloud.diff(made, {**made.inputs, "controlPlaneEndpointsConfig": config}).changes
    private = {"enablePrivateEndpoint": True}
    config = {"dnsEndpointConfig": {"allowExternalTraffic": False}, "ipEndpointsConfig": {"enabled": True}}
    cloud.update(made, {**made.inputs, "controlPlaneEndpointsConfig": config, "privateClusterConfig": private})
    inside = made.outputs["privateClusterConfig"]["privateEndpoint"]
    assert [cluster_at(cloud.state, f"https://{host}") for host in (public, dns, inside)] == [None, None, made]
    assert cloud.state.find(CLUSTER) == [made]

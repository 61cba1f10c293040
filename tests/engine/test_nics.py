"""Pods that ask for the RDMA NICs in another way than their node pool offers them are never started."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal.simulator.values import Props
from rehearsal.simulator.workloads import blockers
from tests.engine.driver import CLUSTER, NODE_POOL, Driver, graph_inputs, pool_inputs, role

NETWORK = "gcp:compute/network:Network"
SUBNET = "gcp:compute/subnetwork:Subnetwork"
GROUP = "networking.gke.io/v1"


@pytest.fixture
def cloud() -> Driver:
    """A cluster with a Network `rdma-0`, and a claim template for DRANET's devices."""
    cloud = Driver()
    cloud.cluster()
    cloud.create(NETWORK, "net", {"name": "net"})
    cloud.create(SUBNET, "sub", {"name": "sub", "network": "net", "ipCidrRange": "10.0.0.0/24"})
    spec: Props = {"vpc": "net", "vpcSubnet": "sub", "deviceMode": "RDMA"}
    cloud.kube(GROUP, "GKENetworkParamSet", "rdma-0", spec=spec)
    reference = {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": "rdma-0"}
    cloud.kube(GROUP, "Network", "rdma-0", spec={"type": "Device", "parametersRef": reference})
    cloud.namespace("serving")
    request = {"name": "nics", "exactly": {"deviceClassName": "mrdma.google.com", "allocationMode": "All"}}
    cloud.kube("resource.k8s.io/v1", "ResourceClaimTemplate", "nics", "serving", spec=_devices(request))
    return cloud


def _devices(request: Props) -> Props:
    return {"spec": {"devices": {"requests": [request]}}}


def _pool(cloud: Driver, *, dranet: bool) -> None:
    inputs = pool_inputs()
    if dranet:
        inputs["networkConfig"] = {"acceleratorNetworkProfile": "auto"}
        inputs["nodeConfig"]["labels"] = {"cloud.google.com/gke-networking-dra-driver": "true"}
    else:
        inputs["networkConfig"] = {"additionalNodeNetworkConfigs": [{"network": "net", "subnetwork": "sub"}]}
    cloud.create(NODE_POOL, "a4x-0", inputs)


def _why(cloud: Driver, *, networks: tuple[str, ...] = (), claim: str = "") -> str:
    claims: dict[str, Any] = {"resourceClaims": [{"name": "rdma", "resourceClaimTemplateName": claim}]} if claim else {}
    decode = role(**claims)
    if networks:
        entries = [{"interfaceName": f"eth{i}", "network": name} for i, name in enumerate(networks)]
        decode["extraPodMetadata"] = {"annotations": {"networking.gke.io/interfaces": json.dumps(entries)}}
    (cluster,) = cloud.state.find(CLUSTER)
    reasons = list(blockers.of(cloud.state, cluster.id, graph_inputs(Decode=decode)))
    return "; ".join(why for why in reasons if "Network " in why or "mrdma" in why)


def test_each_way_works_on_the_pool_that_was_made_for_it(cloud: Driver) -> None:
    _pool(cloud, dranet=False)
    assert _why(cloud, networks=("default", "rdma-0")) == ""
    (pool,) = cloud.state.find(NODE_POOL)
    cloud.delete(pool)
    _pool(cloud, dranet=True)
    assert _why(cloud, claim="nics") == ""


def test_an_annotation_finds_no_nic_on_a_pool_with_dranet(cloud: Driver) -> None:
    _pool(cloud, dranet=True)
    assert "no node of pool a4x-0 is attached to Network rdma-0" in _why(cloud, networks=("default", "rdma-0"))


def test_a_claim_is_never_allocated_on_a_pool_without_dranet(cloud: Driver) -> None:
    _pool(cloud, dranet=False)
    assert "cannot allocate all claims: no node of pool a4x-0 offers mrdma.google.com" in _why(cloud, claim="nics")


def test_a_network_that_is_not_in_the_cluster_is_named(cloud: Driver) -> None:
    _pool(cloud, dranet=False)
    assert "Network rdma-7 of the annotation" in _why(cloud, networks=("rdma-7",))

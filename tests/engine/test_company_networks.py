"""Networks that others made, and a control plane that is reached in their way, in the real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal import Rehearsal, seeds
from rehearsal.simulator.gcp.rules import CLUSTER, NETWORK, NODE_POOL, PROJECT_MEMBER
from rehearsal.simulator.values import dig, items, text
from tests import stacks
from tests.resilience import life
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

HOST = "projects/net-host"
NETWORKS = {"corp", "gpu-net-1", "gpu-rdma"}
SHARED = {
    "mode": "adopt",
    "network": f"{HOST}/global/networks/corp",
    "subnetwork": "corp-gke",
    "podsRange": "corp-pods",
    "servicesRange": "corp-services",
    "controlPlaneSubnetwork": "corp-control-plane",
}
DEVICES = {
    "gvnic": {"network": f"{HOST}/global/networks/gpu-net-1", "subnetwork": "gpu-sub-1"},
    "rdmaNetwork": f"{HOST}/global/networks/gpu-rdma",
    "rdmaSubnetworks": [f"gpu-rdma-{i}" for i in range(4)],
}


_OWN = {
    "gvnic": {"network": "own-net-1", "subnetwork": "own-sub-1"},
    "rdmaNetwork": "own-rdma",
    "rdmaSubnetworks": [f"own-rdma-{i}" for i in range(4)],
}
"""Networks of the cluster's own project."""


def cluster(*, protect: bool = False, **more: Any) -> dict[str, Any]:
    """The cluster of `prod` with other keys."""
    shipped = stacks.config("prod")["dynamo-a4x:cluster"]
    return {"dynamo-a4x:protect": protect, "dynamo-a4x:cluster": {**shipped, **more}}


def shared(**more: Any) -> dict[str, Any]:
    """A cluster in a Shared VPC, reached from inside of it."""
    reached = {"endpoint": "private-ip", "authorizedNetworks": ["10.0.0.0/8"]}
    return cluster(**{"network": SHARED, "deviceNetworks": DEVICES, **reached, **more})


@pytest.mark.parametrize("rdma", ["multi-network", "dranet"])
def test_a_cluster_in_a_shared_vpc_uses_what_is_there_and_leaves_it(rdma: str) -> None:
    with Rehearsal("prod", config=shared(rdma=rdma, location="us-central1-b")) as rehearsal:
        if rdma == "dranet":
            _refused_without_its_agent(rehearsal)
        outputs = rehearsal.up().outputs
        if rdma == "multi-network":
            rehearsal.up_without_change()
        made = [resource for resource in rehearsal.state if resource.origin == "program"]
        assert {r.kind.split("/")[1].split(":")[0] for r in made if r.kind.startswith("gcp:compute/")} == {
            "resourcePolicy"
        }
        [running] = rehearsal.state.find(CLUSTER)
        assert running.inputs["network"] == SHARED["network"]
        assert running.inputs["subnetwork"] == f"{HOST}/regions/us-central1/subnetworks/corp-gke"
        private = running.outputs["privateClusterConfig"]
        assert private["privateEndpointSubnetwork"] == f"{HOST}/regions/us-central1/subnetworks/corp-control-plane"
        assert "masterIpv4CidrBlock" not in private
        config = json.loads(rehearsal.secret("kubeconfig"))["clusters"][0]["cluster"]
        assert config["server"] == f"https://{private['privateEndpoint']}"
        assert config["certificate-authority-data"]

        [pool] = [found for found in rehearsal.state.find(NODE_POOL) if text(found.inputs, "name") == "a4x-0"]
        nics = items(pool.inputs, "networkConfig.additionalNodeNetworkConfigs")
        assert [nic["network"].rpartition("/")[0] for nic in nics] == [f"{HOST}/global/networks"] * 5
        assert all(nic["subnetwork"].startswith(f"{HOST}/regions/us-central1/subnetworks/") for nic in nics)
        assert dig(pool.inputs, "networkConfig.acceleratorNetworkProfile") is None
        sets = rehearsal.state.find("kubernetes:networking.gke.io/v1:GKENetworkParamSet")
        assert {text(found.inputs, "spec.vpcSubnet") for found in sets} == (
            {"gpu-sub-1", *DEVICES["rdmaSubnetworks"]} if rdma == "multi-network" else set()
        )
        rules = outputs["firewallRules"].value
        assert {rule["network"].rpartition("/")[2] for rule in rules} == {"corp", "gpu-net-1"}
        # Nothing that the settings do not name.
        written = json.dumps([resource.inputs for resource in made])
        assert set(re.findall(r"global/networks/([a-z0-9-]+)", written)) == NETWORKS

        if rdma == "multi-network":
            _replaced_by_another_range(rehearsal)
        assert rehearsal.destroy().errors == []
        assert rehearsal.state.leftovers() == []
        assert {text(found.inputs, "name") for found in rehearsal.state.find(NETWORK)} == NETWORKS


def _refused_without_its_agent(rehearsal: Rehearsal) -> None:
    """The cluster is not created before the host project has granted GKE's service agent its role."""
    [grant] = rehearsal.state.find(PROJECT_MEMBER, where=lambda found: found.origin == "seed")
    rehearsal.state.remove(grant.key)
    error = life.failed(rehearsal.up)
    rehearsal.state.add(grant)
    assert error is not None
    wanted = 'required "container.hostServiceAgent.use" permission(s) for "projects/net-host"'
    assert [cause for cause in error.causes if wanted in cause] == error.causes[:1]


def _replaced_by_another_range(rehearsal: Rehearsal) -> None:
    """Another range of pods is another cluster, and the preview says so."""
    rehearsal.set_config(shared(location="us-central1-b", network={**SHARED, "podsRange": "others"}))
    assert "foundation-gke-cluster" in {step.name for step in rehearsal.preview().changed if step.op == "replace"}


@pytest.fixture(scope="module")
def living() -> Iterator[Rehearsal]:
    """`prod` as it ships, deployed and protected."""
    with Rehearsal("prod") as made:
        made.up()
        yield made


CLUSTER_AND_PROVIDER = {"update foundation-gke-cluster", "update foundation-gke-kubernetes", "update kai-taking-over"}
NAT = {"foundation-network-router", "foundation-network-nat"}
FIREWALLS = {"foundation-network-internal", "foundation-network-webhooks", "foundation-devices-gvnic-internal"}
LISTED = ["203.0.113.0/24"]
IN_PLACE: tuple[tuple[dict[str, Any], set[str]], ...] = (
    (
        {"endpoint": "dns-only", "network": {"nat": "none", "firewall": "none"}},
        {"update foundation-gke-cluster", *(f"delete {name}" for name in NAT | FIREWALLS)},
    ),
    ({"endpoint": "public-ip", "authorizedNetworks": LISTED, "network": {"firewall": "none"}}, CLUSTER_AND_PROVIDER),
    ({"endpoint": "private-ip"}, CLUSTER_AND_PROVIDER | {f"create {name}" for name in FIREWALLS}),
)
"""One change of a living cluster after the other, and what each does."""


def test_endpoint_nat_and_firewall_are_changed_in_place(living: Rehearsal) -> None:
    nat_is_back = {f"create {name}" for name in NAT}
    for position, (change, steps) in enumerate(IN_PLACE):
        living.set_config(cluster(**change, protect=True))
        phase = living.up()
        done = {f"{step.op} {step.name}" for step in phase.changed if not step.runs_again}
        assert done == steps | (nat_is_back if position == 1 else set())
        [running] = living.state.find(CLUSTER)
        endpoints = running.outputs["controlPlaneEndpointsConfig"]
        assert endpoints["dnsEndpointConfig"]["allowExternalTraffic"] is ("ip" not in change.get("endpoint", ""))
        assert endpoints["ipEndpointsConfig"]["enabled"] is (change.get("endpoint") != "dns-only")
        rules = phase.outputs["firewallRules"].value if "firewallRules" in phase.outputs else []
        assert bool(rules) is (change.get("network", {}).get("firewall") == "none")
        # The program knows these ranges: they can be copied as they are.
        assert all(re.fullmatch(r"[0-9./]+", r) for rule in rules for r in rule.get("sourceRanges", ()))


@pytest.mark.parametrize(
    "change",
    [{"location": "us-central1-b"}, {"network": SHARED, "deviceNetworks": DEVICES}, {"deviceNetworks": _OWN}],
    ids=["location", "network", "deviceNetworks"],
)
def test_what_replaces_cluster_or_pools_is_refused_while_they_are_protected(
    living: Rehearsal, change: dict[str, Any]
) -> None:
    before = living.config["dynamo-a4x:cluster"]
    living.set_config({"dynamo-a4x:cluster": {**before, **change}})
    seeds.plant_missing(living.cloud, living.settings)
    error = life.failed(living.preview)
    living.set_config({"dynamo-a4x:cluster": before})
    assert error is not None
    assert [cause for cause in error.causes if "marked for protection" not in cause] == []

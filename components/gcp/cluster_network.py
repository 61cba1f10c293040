"""The cluster's own VPC: eth0 of every node, pods, services, and outbound internet access."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.apis_zone import ApisZone, ApisZoneArgs
from components.gcp.joined_outputs import once
from reference import firewall, gke, networks
from reference.addresses import AddressPlan

PODS_RANGE = "pods"
SERVICES_RANGE = "services"


@dataclass(frozen=True)
class ControlPlane:
    """Where the control plane's private address is: in a subnetwork that GKE makes of a range, or in an existing one.

    With neither GKE chooses. All of it is chosen when a cluster is created.
    """

    range: str | None = None
    """A /28."""
    subnetwork: str | None = None
    """Name, or path in the host project of a Shared VPC."""


@dataclass(frozen=True)
class AdoptedNetwork:
    """A VPC that exists, with the outputs of `ClusterNetwork`; nothing is created in it.

    Names, or paths in the host project of a Shared VPC.
    """

    network: str
    subnetwork: str
    pods_range: str
    services_range: str
    control_plane: ControlPlane
    private_apis: None = None
    """Whether its names of Google's APIs lead to private addresses is its owner's."""


class ClusterNetworkArgs(TypedDict):
    """Inputs of `ClusterNetwork`."""

    project: pulumi.Input[str]
    """Id of the project."""
    region: str
    """Region of the cluster."""
    cluster: str
    """Name of the cluster, a prefix of all names here, so that two environments can share a project."""
    addresses: AddressPlan
    """Ranges of the cluster."""
    nat: bool
    """Whether the nodes reach the internet through a Cloud NAT."""
    firewall: bool
    """Whether the nodes' firewall rules are created; somebody else writes them otherwise."""
    apis_zone: bool
    """Whether a private zone leads to Google's APIs."""


class ClusterNetwork(pulumi.ComponentResource):
    """VPC, subnet with the secondary ranges of a VPC-native cluster, and unless refused Cloud NAT and firewall.

    Private nodes reach nvcr.io, ghcr.io, docker.io and huggingface.co through one NAT whose addresses Google allocates
    (static addresses would exhaust the project's quota of them).
    """

    network: pulumi.Output[str]
    """Name of the VPC."""
    subnetwork: pulumi.Output[str]
    """Name of the nodes' subnet, known once NAT and firewall exist: a node that boots before them can pull no image."""
    pods_range: str = PODS_RANGE
    """Name of the subnet's secondary range for pods."""
    services_range: str = SERVICES_RANGE
    """Name of the subnet's secondary range for services."""
    control_plane: ControlPlane
    """Where the control plane's private address is."""
    private_apis: pulumi.Output[str] | None
    """Range of private.googleapis.com, known once a zone leads there; None without a zone."""

    def __init__(self, name: str, args: ClusterNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:ClusterNetwork", name, {}, opts)
        project, region, cluster, addresses = (
            args["project"],
            args["region"],
            args["cluster"],
            args["addresses"],
        )

        vpc = gcp.compute.Network(
            f"{name}-vpc",
            project=project,
            name=gke.cluster_network(cluster),
            description=f"eth0 of the nodes {gke.of_cluster(cluster)}",
            auto_create_subnetworks=False,
            routing_mode="GLOBAL",
            mtu=networks.MTU,
            opts=pulumi.ResourceOptions(parent=self),
        )
        subnet = gcp.compute.Subnetwork(
            f"{name}-subnet",
            project=project,
            region=region,
            name=f"{cluster}-sub-0",
            network=vpc.name,
            ip_cidr_range=addresses.nodes,
            private_ip_google_access=True,
            secondary_ip_ranges=[
                {"range_name": PODS_RANGE, "ip_cidr_range": addresses.pods},
                {"range_name": SERVICES_RANGE, "ip_cidr_range": addresses.services},
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        ready: list[pulumi.Output[str]] = []
        if args["nat"]:
            router = gcp.compute.Router(
                f"{name}-router",
                project=project,
                region=region,
                name=f"{cluster}-router",
                network=vpc.name,
                opts=pulumi.ResourceOptions(parent=self),
            )
            nat = gcp.compute.RouterNat(
                f"{name}-nat",
                project=project,
                region=region,
                name=f"{cluster}-nat",
                router=router.name,
                nat_ip_allocate_option="AUTO_ONLY",
                source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
                # Eighteen nodes that pull one image at once open more connections to one address than the 64 ports of
                # static allocation allow. Dynamic allocation excludes endpoint-independent mapping.
                enable_dynamic_port_allocation=True,
                enable_endpoint_independent_mapping=False,
                min_ports_per_vm=128,
                max_ports_per_vm=8192,
                log_config={"enable": True, "filter": "ERRORS_ONLY"},
                opts=pulumi.ResourceOptions(parent=self),
            )
            ready.append(nat.name)
        for rule in firewall.cluster_rules(firewall.Ranges.planned(addresses)) if args["firewall"] else ():
            made = gcp.compute.Firewall(
                f"{name}-{rule.key}",
                project=project,
                name=f"{cluster}-{rule.key}-0",
                description=rule.description,
                network=vpc.name,
                direction=rule.direction,
                source_ranges=list(rule.ranges),
                allows=firewall_allows(rule),
                opts=pulumi.ResourceOptions(parent=self),
            )
            ready.append(made.name)

        self.private_apis = None
        if args["apis_zone"]:
            zone: ApisZoneArgs = {"project": project, "cluster": cluster, "network": vpc.id}
            self.private_apis = ApisZone(f"{name}-apis", zone, pulumi.ResourceOptions(parent=self)).range

        self.network = vpc.name
        self.subnetwork = once(subnet.name, *ready)
        self.control_plane = ControlPlane(range=addresses.control_plane)
        self.register_outputs({"network": self.network, "subnetwork": self.subnetwork})


def firewall_allows(rule: firewall.FirewallRule) -> list[gcp.compute.FirewallAllowArgsDict]:
    """Protocols and ports of a rule, as a `Firewall` takes them."""
    return [
        {"protocol": protocol, "ports": list(ports)} if ports else {"protocol": protocol}
        for protocol, ports in rule.allowed.items()
    ]

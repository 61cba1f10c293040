"""The cluster's own VPC: eth0 of every node, pods, services, and outbound internet access."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.joined_outputs import once
from reference.addresses import AddressPlan

MTU = 8896
"""Bytes. Google's jumbo frame size for GPU networks, the default of cluster-toolkit's VPC module."""

PODS_RANGE = "pods"
SERVICES_RANGE = "services"


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


class ClusterNetwork(pulumi.ComponentResource):
    """VPC, subnet with the secondary ranges of a VPC-native cluster, Cloud NAT and firewall.

    Private nodes reach nvcr.io, ghcr.io, docker.io and huggingface.co through one NAT whose addresses Google allocates
    (static addresses would exhaust the project's quota of them).
    """

    network: pulumi.Output[str]
    """Name of the VPC."""
    subnetwork: pulumi.Output[str]
    """Name of the nodes' subnet, known once NAT and firewall exist: a node that boots before them can pull no image."""

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
            name=f"{cluster}-net-0",
            description=f"eth0 of the nodes of GKE cluster {cluster}",
            auto_create_subnetworks=False,
            routing_mode="GLOBAL",
            mtu=MTU,
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
        internal = gcp.compute.Firewall(
            f"{name}-internal",
            project=project,
            name=f"{cluster}-internal-0",
            description="Nodes, pods and services among each other; IMEX daemons talk from pod to pod.",
            network=vpc.name,
            direction="INGRESS",
            source_ranges=[addresses.nodes, addresses.pods, addresses.services],
            allows=[{"protocol": "tcp"}, {"protocol": "udp"}, {"protocol": "icmp"}],
            opts=pulumi.ResourceOptions(parent=self),
        )
        webhooks = gcp.compute.Firewall(
            f"{name}-webhooks",
            project=project,
            name=f"{cluster}-webhooks-0",
            description="Control plane to the admission webhooks of the operators.",
            network=vpc.name,
            direction="INGRESS",
            source_ranges=[addresses.control_plane],
            # GKE's own rule opens 443 and 10250; the webhooks listen on 9443 (docs/reference/recipe.md).
            allows=[{"protocol": "tcp", "ports": ["443", "8443", "9443", "10250"]}],
            opts=pulumi.ResourceOptions(parent=self),
        )

        self.network = vpc.name
        self.subnetwork = once(subnet.name, nat.name, internal.name, webhooks.name)
        self.register_outputs({"network": self.network, "subnetwork": self.subnetwork})

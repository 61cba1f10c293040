"""The two VPCs of an A4X node's additional NICs: the second gVNIC and four CX-7 for RDMA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.cluster_network import firewall_allows
from components.gcp.joined_outputs import once
from components.gcp.rdma_firewall import RdmaFirewall, RdmaFirewallArgs
from reference import firewall, gke, networks
from reference.addresses import AddressPlan
from reference.machines import A4X


class DeviceInterface(TypedDict):
    """One additional NIC of an A4X node."""

    name: str
    """Name of the GKE `Network` object: gvnic-1, rdma-0, ... rdma-3."""
    network: pulumi.Input[str]
    """Name of the VPC, or its path in the host project of a Shared VPC."""
    subnetwork: pulumi.Input[str]
    """Name or path of the subnet."""


class DeviceVpcsArgs(TypedDict):
    """Inputs of `DeviceVpcs`."""

    project: pulumi.Input[str]
    """Id of the project."""
    region: str
    """Region of the cluster."""
    zone: str
    """Zone of all A4X pools of the cluster: the RoCE network profile is zonal."""
    cluster: str
    """Name of the cluster; the networks' names start with it."""
    addresses: AddressPlan
    """Ranges of the cluster."""
    firewall: bool
    """Whether the gVNIC VPC's firewall rule is created; somebody else writes it otherwise."""
    rdma_tag: str | None
    """Id of the secure tag's value from whose machines alone its nodes are reached in the RoCE VPC; None: from all."""


class DeviceVpcs(pulumi.ComponentResource):
    """The VPC of the second gVNIC, and the RoCE VPC with one subnet for each CX-7.

    The gVNIC VPC needs a firewall rule; the RoCE profile forbids rules of the VPC, and takes a policy of its own type.

    The profile of a VPC cannot be changed, so another `zone` means another RoCE VPC, and the A4X pools are replaced to
    move into it. Both VPCs exist meanwhile, with different names in the cloud and as resources, so that a wrong zone
    can be reverted and its VPC is still there.
    """

    interfaces: Sequence[DeviceInterface]
    """The five NICs, in the order that a node pool requires."""

    def __init__(self, name: str, args: DeviceVpcsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        gke.check_zone(args["zone"], args["region"])
        super().__init__("dynamo-a4x:gcp:DeviceVpcs", name, {}, opts)
        project, region, zone, cluster = args["project"], args["region"], args["zone"], args["cluster"]
        addresses = args["addresses"]

        # During delete-before-replace a property with a value of the deleted resource is unknown to the plugin as a
        # whole, and a pool with unknown networks makes it panic ("can't use ElementIterator on unknown value").
        created_first = pulumi.ResourceOptions(parent=self, delete_before_replace=False)

        def profile(project_id: str) -> str:
            return gke.rdma_profile_path(project_id, zone)

        gvnic = gcp.compute.Network(
            f"{name}-gvnic",
            project=project,
            name=gke.gvnic_network(cluster),
            description=f"eth1 of the A4X nodes {gke.of_cluster(cluster)}",
            auto_create_subnetworks=False,
            routing_mode="GLOBAL",
            mtu=networks.MTU,
            opts=created_first,
        )
        # No secondary ranges: GKE rejects them on the subnet of a device network.
        gvnic_subnet = gcp.compute.Subnetwork(
            f"{name}-gvnic-subnet",
            project=project,
            region=region,
            name=f"{cluster}-sub-1",
            network=gvnic.name,
            ip_cidr_range=addresses.gvnic,
            opts=created_first,
        )
        ready: list[pulumi.Output[str]] = []
        if args["firewall"]:
            rule = firewall.gvnic_rule(addresses.gvnic, firewall.Ranges.planned(addresses))
            made = gcp.compute.Firewall(
                f"{name}-{rule.key}",
                project=project,
                name=f"{cluster}-internal-1",
                description=rule.description,
                network=gvnic.name,
                direction=rule.direction,
                source_ranges=list(rule.ranges),
                allows=firewall_allows(rule),
                opts=created_first,
            )
            ready.append(made.name)
        rdma = gcp.compute.Network(
            f"{name}-rdma-{zone}",
            project=project,
            name=gke.rdma_network(cluster, zone),
            description=f"CX-7 NICs of the A4X nodes {gke.of_cluster(cluster)} in {zone}",
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            mtu=networks.MTU,
            network_profile=pulumi.Output.from_input(project).apply(profile),
            opts=created_first,
        )
        rdma_subnets = [
            gcp.compute.Subnetwork(
                f"{name}-rdma-{zone}-subnet-{index}",
                project=project,
                region=region,
                name=f"{gke.rdma_network(cluster, zone)}-{index}",
                network=rdma.name,
                ip_cidr_range=cidr,
                opts=created_first,
            )
            for index, cidr in enumerate(addresses.rdma)
        ]
        guarded: list[pulumi.Output[str]] = []
        if args["rdma_tag"] is not None:
            rdma_firewall: RdmaFirewallArgs = {
                "project": project,
                "region": region,
                "cluster": cluster,
                "vpc": gke.rdma_network(cluster, zone),
                "network": rdma.id,
                "tag": args["rdma_tag"],
            }
            options = pulumi.ResourceOptions(parent=self)
            guarded.append(RdmaFirewall(f"{name}-rdma-{zone}-firewall", rdma_firewall, options).association)

        gvnic_interface: DeviceInterface = {
            "name": A4X.gvnic_network,
            "network": gvnic.name,
            "subnetwork": once(gvnic_subnet.name, *ready),
        }
        rdma_interfaces: list[DeviceInterface] = [
            {"name": network, "network": rdma.name, "subnetwork": once(subnet.name, *guarded)}
            for network, subnet in zip(A4X.rdma_networks, rdma_subnets, strict=True)
        ]
        self.interfaces = [gvnic_interface, *rdma_interfaces]
        self.register_outputs({"interfaces": self.interfaces})

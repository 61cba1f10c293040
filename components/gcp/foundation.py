"""Everything below the A4X pools, starting from an empty project: APIs, networks, cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

import pulumi
import pulumi_random as random

from components.gcp.cluster_network import AdoptedNetwork, ClusterNetwork
from components.gcp.device_vpcs import DeviceInterface, DeviceVpcs
from components.gcp.gke_cluster import AuthorizedNetwork, GkeCluster
from components.gcp.joined_outputs import once
from components.gcp.project_apis import ProjectApis
from reference import gke, naming
from reference.addresses import AddressPlan


@dataclass(frozen=True)
class OwnNetworks:
    """Networks that are created for the cluster."""

    addresses: AddressPlan
    """Ranges of all of them."""
    nat: bool = True
    """Whether the nodes reach the internet through a Cloud NAT."""
    firewall: bool = True
    """Whether the nodes' firewall rules are created."""


class ClusterFoundationArgs(TypedDict):
    """Inputs of a `ClusterFoundation`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    project: str
    """Id of the project."""

    region: str
    """Region of the cluster."""

    location: str
    """The region, or the zone of a zonal cluster."""

    zone: str
    """Zone of all A4X pools: the RoCE network profile is zonal."""

    cluster: str
    """Name of the cluster, at most 15 characters; networks and accounts are named after it."""

    network: OwnNetworks | AdoptedNetwork
    """The cluster's network: created, with those of the additional NICs, or existing."""

    interfaces: Sequence[DeviceInterface] | None
    """The five additional NICs in existing networks; None: created, or by `dranet` GKE's own."""

    version: str
    """GKE version, such as "1.35"."""

    channel: str
    """Release channel."""

    endpoint: gke.Endpoint
    """How the control plane is reached."""

    authorized_networks: Sequence[AuthorizedNetwork]
    """Ranges that may reach the IP endpoint."""

    rdma: gke.RdmaMode
    """How pods reach the RDMA NICs."""

    network_admin: str | None
    """Account that gets `gke.DRANET_ROLE` on the project; None: none does."""

    protect: bool
    """Whether to protect the cluster from deletion, and from changes that would replace it or its A4X pools."""


class ClusterFoundation(pulumi.ComponentResource):
    """A GKE cluster to which A4X pools can be added, and the networks of their NICs.

    Ensures the order that Google Cloud needs: APIs before networks, NAT and firewall before the first node.

    All inputs that replace the cluster or its A4X pools are keepers of one random value, on which everything depends.
    Networks can be created beside the old ones, so the engine would start with them and reach a protected cluster or
    pool too late; this value has the same protection and comes first.
    """

    cluster: GkeCluster
    """The cluster."""

    project: pulumi.Output[str]
    """Id of the project, known once its APIs are enabled."""

    interfaces: Sequence[DeviceInterface]
    """The five additional NICs of an A4X node, in order; none where GKE creates DRANET's networks."""

    def __init__(self, name: str, args: ClusterFoundationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:ClusterFoundation", name, {}, opts)
        own, named = args["network"], args["interfaces"]
        keepers = {
            "cluster": args["cluster"],
            "region": args["region"],
            "zone": args["zone"],
            "rdma": args["rdma"],
        }
        if isinstance(own, OwnNetworks):
            keepers["addresses"] = naming.content_hash(own.addresses.ranges())
        else:
            keepers["network"] = naming.content_hash(asdict(own))
        if named is not None:
            keepers["interfaces"] = naming.content_hash({nic["name"]: dict(nic) for nic in named})
        if args["location"] != args["region"]:
            keepers["location"] = args["location"]
        place = random.RandomUuid(
            f"{name}-place",
            keepers=keepers,
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"] or None),
        )
        # The keepers, not the value: they are known in a preview.
        settled = once(pulumi.Output.from_input(args["project"]), place.keepers)
        self.project = ProjectApis(f"{name}-apis", {"project": settled}, pulumi.ResourceOptions(parent=self)).project
        network = own if isinstance(own, AdoptedNetwork) else self._network(name, args, own)
        if named is not None:
            self.interfaces = named
        elif isinstance(own, OwnNetworks) and args["rdma"] == "multi-network":
            self.interfaces = self._devices(name, args, own)
        else:
            self.interfaces = []
        self.cluster = GkeCluster(
            f"{name}-gke",
            {
                "environment": args["environment"],
                "project": self.project,
                "location": args["location"],
                "cluster": args["cluster"],
                "network": network.network,
                "subnetwork": network.subnetwork,
                "pods_range": network.pods_range,
                "services_range": network.services_range,
                "control_plane": network.control_plane,
                "version": args["version"],
                "channel": args["channel"],
                "endpoint": args["endpoint"],
                "rdma": args["rdma"],
                "network_admin": args["network_admin"],
                "authorized_networks": args["authorized_networks"],
                "protect": args["protect"],
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"project": self.project})

    def _network(self, name: str, args: ClusterFoundationArgs, own: OwnNetworks) -> ClusterNetwork:
        return ClusterNetwork(
            f"{name}-network",
            {
                "project": self.project,
                "region": args["region"],
                "cluster": args["cluster"],
                "addresses": own.addresses,
                "nat": own.nat,
                "firewall": own.firewall,
            },
            pulumi.ResourceOptions(parent=self),
        )

    def _devices(self, name: str, args: ClusterFoundationArgs, own: OwnNetworks) -> Sequence[DeviceInterface]:
        return DeviceVpcs(
            f"{name}-devices",
            {
                "project": self.project,
                "region": args["region"],
                "zone": args["zone"],
                "cluster": args["cluster"],
                "addresses": own.addresses,
                "firewall": own.firewall,
            },
            pulumi.ResourceOptions(parent=self),
        ).interfaces

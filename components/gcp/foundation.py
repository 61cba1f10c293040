"""Everything below the A4X pools, starting from an empty project: APIs, networks, cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

import pulumi
import pulumi_random as random

from components.gcp.cluster_network import AdoptedNetwork, ClusterNetwork
from components.gcp.device_vpcs import DeviceInterface, DeviceVpcs
from components.gcp.gke_cluster import ClusterOptions, GkeCluster
from components.gcp.grants import Grants
from components.gcp.joined_outputs import once
from components.gcp.key_access import KeyAccess, KeyAccessArgs
from components.gcp.project_apis import ProjectApis, ProjectApisArgs
from reference import gke, naming
from reference.addresses import AddressPlan


class KeyUse(TypedDict):
    """An encryption key, and who has to be given the right to use it."""

    key: str
    """Path of the key."""

    agent: str | None
    """Email of the agent that gets the right; None: it has it."""


@dataclass(frozen=True)
class OwnNetworks:
    """Networks that are created for the cluster."""

    addresses: AddressPlan
    """Ranges of all of them."""
    nat: bool = True
    """Whether the nodes reach the internet through a Cloud NAT."""
    firewall: bool = True
    """Whether the nodes' firewall rules are created."""
    apis_zone: bool = False
    """Whether a private zone leads to Google's APIs."""
    rdma_tag: str | None = None
    """Id of the secure tag's value from whose machines alone its nodes are reached in the RoCE VPC; None: from all."""


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

    options: ClusterOptions
    """What the environment sets on the cluster."""

    rdma: gke.RdmaMode
    """How pods reach the RDMA NICs."""

    protect: bool
    """Whether to protect the cluster from deletion, and from changes that would replace it or its A4X pools."""

    apis: Sequence[str]
    """APIs that are enabled; none: they are."""

    grants: Grants
    """Where roles are given."""

    disk_key: KeyUse | None
    """The key of all boot disks; None: Google's own."""

    secrets_key: KeyUse | None
    """The key of Kubernetes Secrets in the cluster's database; None: Google's own."""


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

    disk_key: pulumi.Input[str] | None
    """Path of the key of boot disks, once its agent may use it."""

    private_apis: pulumi.Output[str] | None
    """Range of private.googleapis.com, known once a zone leads there; None without a zone of ours."""

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
        # Not there unless given: a new keeper would replace the value of every environment.
        keepers |= _given(disks=_path(args["disk_key"]), nodes=args["options"]["service_account"])
        place = random.RandomUuid(
            f"{name}-place",
            keepers=keepers,
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"] or None),
        )
        # The keepers, not the value: they are known in a preview.
        settled = once(pulumi.Output.from_input(args["project"]), place.keepers)
        self.project = settled
        if args["apis"]:
            services: ProjectApisArgs = {"project": settled, "services": args["apis"]}
            apis = ProjectApis(f"{name}-apis", services, pulumi.ResourceOptions(parent=self))
            self.project = apis.project
        self.disk_key = self._usable(f"{name}-disks", args["disk_key"], args["grants"])
        network = own if isinstance(own, AdoptedNetwork) else self._network(name, args, own)
        self.private_apis = network.private_apis
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
                "options": args["options"],
                "rdma": args["rdma"],
                "protect": args["protect"],
                "grants": args["grants"],
                "disk_key": self.disk_key,
                "secrets_key": self._usable(f"{name}-secrets", args["secrets_key"], args["grants"]),
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"project": self.project})

    def _usable(self, name: str, use: KeyUse | None, grants: Grants) -> pulumi.Input[str] | None:
        """Path of a key, once its agent may use it."""
        if use is None or use["agent"] is None:
            return _path(use)
        # An agent exists once its API is on.
        agent = once(pulumi.Output.from_input(use["agent"]), self.project)
        args: KeyAccessArgs = {"key": use["key"], "agent": agent, "grants": grants}
        return KeyAccess(f"{name}-key", args, pulumi.ResourceOptions(parent=self)).key

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
                "apis_zone": own.apis_zone,
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
                "rdma_tag": own.rdma_tag,
            },
            pulumi.ResourceOptions(parent=self),
        ).interfaces


def _path(use: KeyUse | None) -> str | None:
    return None if use is None else use["key"]


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}

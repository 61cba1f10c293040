"""One NVLink domain: up to 18 A4X nodes on one NVL72 rack, one GKE node pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp import node_warnings
from components.gcp.device_vpcs import DeviceInterface
from components.gcp.gke_cluster import CLOUD_PLATFORM_SCOPE
from reference import gke, naming
from reference.cluster import PoolFacts, pool_lacks
from reference.machines import A4X

RESERVATION_KEY = "compute.googleapis.com/reservation-name"
POLICY_MAX = 63
"""Characters of a resource policy's name."""


class PoolOptions(TypedDict):
    """What an environment may set on the node pool beside what A4X needs."""

    labels: Mapping[str, str]
    """Kubernetes labels of the nodes."""
    ignored_labels: Sequence[str]
    """Keys of Kubernetes labels that other tools write on the pool."""
    taints: Sequence[gcp.container.NodePoolNodeConfigTaintArgsDict]
    """Taints beside that of GPU nodes."""
    sysctls: Mapping[str, str]
    """Kernel parameters, over `SYSCTLS`. A change recreates the nodes."""
    kubelet: Any
    """Fields of `kubelet_config`; empty: none. A change recreates the nodes."""
    hugepages: Any
    """Fields of `hugepages_config`; empty: none. A change recreates the nodes."""
    boot_disk_gb: int
    """Size of the boot disks in GB. A change recreates the nodes."""
    maintenance_interval: str | None
    """How often Google maintains the hosts; None: as the reservation has it. A change replaces the pool."""
    max_unavailable: int
    """Nodes that are upgraded at a time."""
    auto_upgrade: bool
    """Whether GKE upgrades the nodes."""
    auto_repair: bool
    """Whether GKE re-creates unhealthy nodes."""


SYSCTLS: Final = {
    "net.ipv4.tcp_rmem": "4096 87380 16777216",
    "net.ipv4.tcp_wmem": "4096 16384 16777216",
}
"""Kernel parameters of the nodes: the buffers of TCP sockets, as in Google's A4X guide."""


class NvlinkDomainArgs(TypedDict):
    """Inputs of `NvlinkDomain`."""

    environment: str
    """Label value: which environment of the program owns the pool."""
    domain: str
    """Name of the domain and of its node pool."""
    zone: str
    """Zone of the nodes."""
    nodes: int
    """Nodes, 1 to 18."""
    rdma: gke.RdmaMode
    """How pods reach the RDMA NICs."""
    project: pulumi.Input[str]
    """Id of the project."""
    cluster: pulumi.Input[str]
    """Name of the cluster."""
    region: str
    """Region of the cluster."""
    location: pulumi.Input[str]
    """Region of the cluster, or zone of a zonal one."""
    reservation: pulumi.Input[str]
    """`projects/P/reservations/R[/reservationBlocks/B[/reservationSubBlocks/S]]` (`gke.Reservation.path`)."""
    service_account: pulumi.Input[str]
    """Email of the nodes' service account."""
    disk_key: pulumi.Input[str] | None
    """Path of the key of the boot disks; None: Google's own. The local SSDs have their own encryption."""
    interfaces: Sequence[DeviceInterface]
    """The five additional NICs. With `dranet` none lets GKE create their networks."""
    device_networks: pulumi.Resource | None
    """The resource that makes the `Network` objects of the interfaces ready, if the program creates them."""
    node_version: str | None
    """GKE build of the nodes; None: the control plane's. A change upgrades node after node."""
    gpu_driver_version: gke.DriverVersion | None
    """Which GPU driver GKE installs; None: `gke.DEFAULT_DRIVER`. A change replaces the pool."""
    pool: PoolOptions
    """What the environment sets on the node pool."""
    protect: bool
    """Whether the engine refuses to delete or replace the pool."""


class NvlinkDomain(pulumi.ComponentResource):
    """The node pool of one NVLink domain, with the workload policy that keeps it on one rack.

    Each pool is one rack and has its own HIGH_THROUGHPUT workload policy of topology 1x72 (a group placement policy
    reports out of stock although the nodes are reserved). There is no autoscaling, spot or flex start: A4X comes from
    reservations only.

    A change of `zone`, `reservation`, `interfaces`, `rdma`, `domain`, `disk_key` or `service_account` deletes the pool
    with up to 72 GPUs and creates another one; every serving stack in the domain stops. With `protect` the engine
    refuses that. The placement policy is never changed after creation.
    """

    node_pool_name: pulumi.Output[str]
    """Name of the node pool; pods select it through cloud.google.com/gke-nodepool."""
    nodes: pulumi.Output[int]
    """Number of nodes for serving stacks. Not an output of the pool (see `program.replacement`): for order, depend on
    the component."""

    def __init__(self, name: str, args: NvlinkDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        domain, zone, device_networks = args["domain"], args["zone"], args["device_networks"]
        dranet = args["rdma"] == "dranet"
        gke.check_pool_name(domain, f"domains.{domain}.name")
        gke.check_nodes(args["nodes"], f"domains.{domain}.nodes")
        _check_interfaces(args)
        super().__init__("dynamo-a4x:gcp:NvlinkDomain", name, {}, opts)

        def policy_name(cluster: str) -> str:
            return naming.bounded(f"{cluster}-{domain}-{A4X.topology}", POLICY_MAX)

        policy = gcp.compute.ResourcePolicy(
            f"{name}-policy",
            project=args["project"],
            region=args["region"],
            name=pulumi.Output.from_input(args["cluster"]).apply(policy_name),
            description=f"NVLink domain {domain}: one NVL72 rack",
            workload_policy={"type": "HIGH_THROUGHPUT", "accelerator_topology": A4X.topology},
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"] or None),
        )
        options = args["pool"]
        own = {f"{naming.PROJECT}/environment": args["environment"], f"{naming.PROJECT}/domain": domain}
        labels = {**options["labels"], **own}
        network_config: gcp.container.NodePoolNetworkConfigArgsDict = {"enable_private_nodes": True}
        if dranet:
            labels[gke.DRANET_LABEL] = "true"
        if not args["interfaces"]:
            network_config["accelerator_network_profile"] = "auto"
        else:
            network_config["additional_node_network_configs"] = [
                {"network": interface["network"], "subnetwork": interface["subnetwork"]}
                for interface in args["interfaces"]
            ]
        pool = gcp.container.NodePool(
            f"{name}-pool",
            project=args["project"],
            location=args["location"],
            cluster=args["cluster"],
            name=domain,
            version=args["node_version"],
            node_locations=[zone],
            node_count=args["nodes"],
            placement_policy={"type": "COMPACT", "policy_name": policy.name},
            network_config=network_config,
            # A full rack has no spare host, so a node is removed before its replacement is created.
            upgrade_settings={"strategy": "SURGE", "max_surge": 0, "max_unavailable": options["max_unavailable"]},
            management={"auto_repair": options["auto_repair"], "auto_upgrade": options["auto_upgrade"]},
            node_config={
                "machine_type": A4X.machine_type,
                "image_type": "COS_CONTAINERD",
                # A4X does not support Persistent Disk.
                "disk_type": "hyperdisk-balanced",
                "disk_size_gb": options["boot_disk_gb"],
                "boot_disk_kms_key": args["disk_key"],
                "service_account": args["service_account"],
                "oauth_scopes": [CLOUD_PLATFORM_SCOPE],
                "labels": labels,
                "resource_labels": naming.gcp_labels(args["environment"], domain=domain),
                # GKE adds the arm64 taint by itself.
                "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}, *options["taints"]],
                "guest_accelerators": [
                    {
                        "type": A4X.accelerator,
                        "count": A4X.gpus,
                        "gpu_driver_installation_config": {
                            "gpu_driver_version": args["gpu_driver_version"] or gke.DEFAULT_DRIVER
                        },
                    }
                ],
                # Ephemeral storage, with the file cache of 700 GB of weights, is on the SSDs, not the boot disk.
                "ephemeral_storage_local_ssd_config": {"local_ssd_count": A4X.local_ssds},
                "reservation_affinity": {
                    "consume_reservation_type": "SPECIFIC_RESERVATION",
                    "key": RESERVATION_KEY,
                    "values": [args["reservation"]],
                },
                "gvnic": {"enabled": True},
                "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
                "workload_metadata_config": {"mode": "GKE_METADATA"},
                "metadata": {"disable-legacy-endpoints": "true"},
                **_chosen(options),
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args["protect"] or None,
                # GKE binds the NICs to Network objects by VPC when it creates the nodes; the pool references the VPCs
                # and not the objects, so there is no implicit dependency.
                depends_on=[device_networks] if device_networks is not None else None,
                # What GKE writes back. The API may return a workload policy without the placement's type, which would
                # show as a change that replaces the pool.
                ignore_changes=[
                    "initialNodeCount",
                    *gke.ignored_labels(options["ignored_labels"]),
                    "nodeConfig.ephemeralStorageLocalSsdConfig",
                    "nodeConfig.localNvmeSsdBlockConfig",
                    "placementPolicy",
                ],
                hooks=node_warnings.of_pool(name, domain, args["nodes"], options["max_unavailable"]),
                custom_timeouts=pulumi.CustomTimeouts(create="2h", update="2h", delete="1h"),
            ),
        )
        self.node_pool_name = pool.name
        self.nodes = pulumi.Output.from_input(args["nodes"])
        self.register_outputs({"node_pool_name": self.node_pool_name, "nodes": self.nodes})


def _chosen(options: PoolOptions) -> gcp.container.NodePoolNodeConfigArgsDict:
    """Fields of the node config that an environment may set; what it does not set stays with GKE's defaults."""
    linux: gcp.container.NodePoolNodeConfigLinuxNodeConfigArgsDict = {"sysctls": {**SYSCTLS, **options["sysctls"]}}
    if options["hugepages"]:
        linux["hugepages_config"] = options["hugepages"]
    chosen: gcp.container.NodePoolNodeConfigArgsDict = {"linux_node_config": linux}
    if options["kubelet"]:
        chosen["kubelet_config"] = options["kubelet"]
    if options["maintenance_interval"] is not None:
        chosen["host_maintenance_policy"] = {"maintenance_interval": options["maintenance_interval"]}
    return chosen


def _check_interfaces(args: NvlinkDomainArgs) -> None:
    """Reject NICs in an order other than the nodes' own."""
    names = tuple(interface["name"] for interface in args["interfaces"])
    if names == gke.DEVICE_NETWORKS or (args["rdma"] == "dranet" and not names):
        return
    raise gke.GkeRuleError(
        f"domains.{args['domain']}.interfaces",
        list(names),
        f"an A4X node has five additional NICs, in the order {', '.join(gke.DEVICE_NETWORKS)}",
        "Pass the interfaces of DeviceVpcs as they are",
    )


@dataclass(frozen=True)
class AdoptedDomain:
    """An NVLink domain with an existing node pool; has the outputs of `NvlinkDomain`."""

    node_pool_name: pulumi.Output[str]
    nodes: pulumi.Output[int]


Domain = NvlinkDomain | AdoptedDomain


def adopted_domain(
    pools: Mapping[str, PoolFacts], domain: str, *, zone: str, nodes: int, rdma: gke.RdmaMode
) -> AdoptedDomain:
    """The domain for one of the node pools of an adopted cluster (`pools`, by name).

    Raises:
        pulumi.RunError: with everything that prevents adopting the pool.
    """
    if domain not in pools:
        listed = ", ".join(sorted(pools)) or "none"
        raise pulumi.RunError(
            f"domains.{domain}: the cluster has no node pool of this name (it has: {listed}). "
            "Name the domain after its node pool, or set its mode to create"
        )
    lacks = list(pool_lacks(pools[domain], domain, zone=zone, nodes=nodes, rdma=rdma))
    if lacks:
        raise pulumi.RunError(
            f"domains.{domain}: node pool {domain} cannot be adopted:\n" + "\n".join(f"  - {lack}" for lack in lacks)
        )
    return AdoptedDomain(pulumi.Output.from_input(domain), pulumi.Output.from_input(nodes))

"""The GKE cluster that the program creates; `AdoptedCluster` has the same outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes

from components.gcp import cluster_access, maintenance
from components.gcp.cluster_network import ControlPlane
from components.gcp.grants import Grants
from components.gcp.joined_outputs import once
from components.gcp.node_account import NodeAccount
from reference import cluster_options, gke, naming, system_pool

CLOUD_PLATFORM_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_MONITORED = (
    "SYSTEM_COMPONENTS",
    "POD",
    "DAEMONSET",
    "DEPLOYMENT",
    "STATEFULSET",
    "STORAGE",
    "HPA",
    "CADVISOR",
    "KUBELET",
    "JOBSET",
    "DCGM",
)


class AuthorizedNetwork(TypedDict):
    """A range that may reach the control plane's IP endpoint."""

    cidr: str
    """CIDR notation."""
    name: str
    """Display name of the range."""


class ClusterOptions(TypedDict):
    """What an environment may set on its cluster, apart from what A4X needs."""

    version: str
    """Minor ("1.35"), patch or exact build. Used at creation only: the channel upgrades it later, within the minor
    (see the maintenance exclusion)."""
    channel: str
    """Release channel."""
    endpoint: gke.Endpoint
    """How the program and its users reach the control plane."""
    authorized_networks: Sequence[AuthorizedNetwork]
    """Ranges that may reach the IP endpoint. Needed with endpoint `public-ip`."""
    network_admin: str | None
    """Account that gets `gke.DRANET_ROLE` on the project before any pool is created; None: none does."""
    maintenance: maintenance.Policy
    """When GKE may maintain and upgrade the cluster."""
    ignored_labels: Sequence[str]
    """Keys of Kubernetes labels that other tools write on the system pool."""
    service_account: str | None
    """Email of the nodes' service account, which has its roles; None: one is made."""
    cost_allocation: bool
    """Whether billing breaks down costs by namespace and label."""
    fleet_project: str | None
    """Id of the project whose fleet the cluster joins."""
    security_group: str | None
    """Group whose members Kubernetes roles can name."""
    binary_authorization: cluster_options.EvaluationMode
    """By which policy Binary Authorization decides which images run."""


class GkeClusterArgs(TypedDict):
    """Inputs of `GkeCluster`."""

    environment: str
    """Label value: which environment of the program owns the cluster."""
    project: pulumi.Input[str]
    """Id of the project."""
    location: str
    """Region, or zone of a zonal cluster; a region's control plane is replicated across its zones."""
    cluster: str
    """Name of the cluster, at most 15 characters."""
    network: pulumi.Input[str]
    """Name of the VPC, or its path in the host project of a Shared VPC."""
    subnetwork: pulumi.Input[str]
    """Name or path of the nodes' subnet."""
    pods_range: str
    """Name of the subnet's secondary range for pods."""
    services_range: str
    """Name of the subnet's secondary range for services."""
    control_plane: ControlPlane
    """Where the control plane's private address is."""
    options: ClusterOptions
    """What the environment sets."""
    rdma: gke.RdmaMode
    """How pods reach the RDMA NICs."""
    protect: bool
    """Whether engine and provider refuse to delete or replace the cluster."""
    grants: Grants
    """Where roles are given."""
    disk_key: pulumi.Input[str] | None
    """Path of the key of the nodes' boot disks; None: Google's own."""
    secrets_key: pulumi.Input[str] | None
    """Path of the key of Kubernetes Secrets in the cluster's database; None: Google's own."""


class GkeCluster(pulumi.ComponentResource):
    """A Standard cluster for A4X, its system pool and its node service account.

    Sets what can be chosen only at creation (Dataplane V2, multi-networking, VPC-native ranges), and the order that
    makes the cluster usable: roles before nodes, nodes before the first object in the cluster.

    The version is sent as given. GKE resolves the alias "1.X" to the newest build of that minor when it creates the
    cluster (reference of `Cluster.initialClusterVersion`), so a preview makes no call. Dynamic resource allocation is
    generally available from 1.34, so no beta API is enabled.
    """

    name: pulumi.Output[str]
    """Name of the cluster."""
    location: pulumi.Output[str]
    """Region or zone of the cluster."""
    workload_pool: pulumi.Output[str]
    """Workload Identity pool, `<project>.svc.id.goog`."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (secret)."""
    system_pool: pulumi.Resource
    """Nodes for everything without tolerations for A4X: operators, NATS, etcd, the download, GKE's own pods."""
    identifier: pulumi.Output[str]
    """Identifier of this cluster for its Kubernetes providers."""
    provider: kubernetes.Provider
    """Kubernetes provider of this cluster."""
    service_account: pulumi.Output[str]
    """Email of the nodes' service account, once its roles are granted."""
    api_server: Sequence[pulumi.Input[str]]
    """Ranges of the addresses at which pods reach the API server."""

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        options = args["options"]
        gke.check_cluster_name(args["cluster"])
        version = gke.alias(options["version"])
        endpoint, authorized = options["endpoint"], options["authorized_networks"]
        if endpoint == "public-ip" and not authorized:
            raise gke.GkeRuleError(
                "cluster.authorizedNetworks",
                [],
                "the IP endpoint lets only listed networks in, and none is listed, so the program itself stays out",
                "List the range that `pulumi up` runs from, or set cluster.endpoint: dns",
            )
        super().__init__("dynamo-a4x:gcp:GkeCluster", name, {}, opts)
        project, location, cluster_name = args["project"], args["location"], args["cluster"]
        labels = naming.gcp_labels(args["environment"])

        grants = args["grants"]
        if options["service_account"] is not None:
            self.service_account = pulumi.Output.from_input(options["service_account"])
        else:
            account = NodeAccount(
                f"{name}-nodes",
                {"project": project, "cluster": cluster_name, "grants": grants},
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.service_account = account.email
        agent = options["network_admin"]
        if agent is not None:
            right = grants.give(
                f"{name}-network-admin",
                {"on": "project", "target": project, "role": gke.DRANET_ROLE, "member": f"serviceAccount:{agent}"},
                self,
            )
            # Pools use this value, so they wait for the grant.
            self.service_account = once(self.service_account, right)

        def pool_of(project_id: str) -> str:
            return f"{project_id}.svc.id.goog"

        cluster = gcp.container.Cluster(
            f"{name}-cluster",
            project=project,
            location=location,
            name=cluster_name,
            resource_labels=labels,
            network=args["network"],
            subnetwork=args["subnetwork"],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy={
                "cluster_secondary_range_name": args["pods_range"],
                "services_secondary_range_name": args["services_range"],
                "stack_type": "IPV4",
            },
            datapath_provider="ADVANCED_DATAPATH",
            enable_multi_networking=args["rdma"] == "multi-network",
            private_ipv6_google_access="PRIVATE_IPV6_GOOGLE_ACCESS_TO_GOOGLE",
            private_cluster_config=_private_cluster(args["control_plane"], endpoint),
            # An empty list closes the public IP address to everyone; without the block it would be open to all.
            master_authorized_networks_config={
                "cidr_blocks": [
                    {"cidr_block": network["cidr"], "display_name": network["name"]} for network in authorized
                ],
                "gcp_public_cidrs_access_enabled": False,
            },
            control_plane_endpoints_config=_endpoints(endpoint, authorized),
            min_master_version=version,
            release_channel={"channel": options["channel"]},
            maintenance_policy=options["maintenance"],
            workload_identity_config={"workload_pool": pulumi.Output.from_input(project).apply(pool_of)},
            addons_config={
                "gcs_fuse_csi_driver_config": {"enabled": True},
                "gce_persistent_disk_csi_driver_config": {"enabled": True},
                "gcp_filestore_csi_driver_config": {"enabled": False},
                "parallelstore_csi_driver_config": {"enabled": False},
                "dns_cache_config": {"enabled": False},
            },
            monitoring_config={
                "enable_components": list(_MONITORED),
                "managed_prometheus": {"enabled": True, "auto_monitoring_config": {"scope": "NONE"}},
            },
            logging_config={"enable_components": ["SYSTEM_COMPONENTS", "WORKLOADS"]},
            enable_shielded_nodes=True,
            # Health checks are answered without a login, and nothing else (GKE 1.32.2-gke.1234000 and later).
            anonymous_authentication_config={"mode": "LIMITED"},
            # `system:authenticated` is everybody with a Google account. Kubernetes' own bindings stay
            # (GKE 1.30.1-gke.1283000 and later).
            rbac_binding_config={
                "enable_insecure_binding_system_authenticated": False,
                "enable_insecure_binding_system_unauthenticated": False,
            },
            vertical_pod_autoscaling={"enabled": False},
            remove_default_node_pool=True,
            initial_node_count=1,
            database_encryption=None
            if args["secrets_key"] is None
            else {"state": "ENCRYPTED", "key_name": args["secrets_key"]},
            # Said also where they are off: the provider keeps what a block that is gone had said (of Binary
            # Authorization inferred).
            cost_management_config={"enabled": options["cost_allocation"]},
            binary_authorization={"evaluation_mode": options["binary_authorization"]},
            fleet={"project": options["fleet_project"]} if options["fleet_project"] else None,
            authenticator_groups_config={"security_group": options["security_group"]}
            if options["security_group"]
            else None,
            # For the few minutes of the default pool, which would otherwise run as the project's default account and
            # with Google's key: many organizations forbid both.
            node_config={
                "service_account": self.service_account,
                "boot_disk_kms_key": args["disk_key"],
                "oauth_scopes": [CLOUD_PLATFORM_SCOPE],
                "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
            },
            deletion_protection=args["protect"],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args["protect"] or None,
                # The default pool is removed, and GKE upgrades the control plane: both would show as changes, the
                # first as a replacement of the cluster. The plugin compares the lists of components in order, and GKE
                # returns another order: every `up` would update the cluster.
                ignore_changes=[
                    "nodeConfig",
                    "minMasterVersion",
                    "monitoringConfig.enableComponents",
                    "loggingConfig.enableComponents",
                ],
                custom_timeouts=pulumi.CustomTimeouts(create="1h", update="1h", delete="1h"),
            ),
        )

        system = gcp.container.NodePool(
            f"{name}-system",
            project=project,
            location=location,
            cluster=cluster.name,
            name=system_pool.NAME,
            initial_node_count=1,
            autoscaling={
                "total_min_node_count": system_pool.NODES_MIN,
                "total_max_node_count": system_pool.NODES_MAX,
                "location_policy": "BALANCED",
            },
            management={"auto_repair": True, "auto_upgrade": True},
            upgrade_settings={"strategy": "SURGE", "max_surge": 1, "max_unavailable": 0},
            network_config={"enable_private_nodes": True},
            # No taint: the operators have no toleration for one.
            node_config={
                "machine_type": system_pool.MACHINE,
                "image_type": "COS_CONTAINERD",
                "disk_type": "pd-balanced",
                "disk_size_gb": system_pool.DISK_GB,
                "boot_disk_kms_key": args["disk_key"],
                "service_account": self.service_account,
                "oauth_scopes": [CLOUD_PLATFORM_SCOPE],
                "labels": {f"{naming.PROJECT}/environment": args["environment"]},
                "resource_labels": labels,
                "gvnic": {"enabled": True},
                "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
                "workload_metadata_config": {"mode": "GKE_METADATA"},
                "metadata": {"disable-legacy-endpoints": "true"},
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=[
                    "initialNodeCount",
                    *gke.ignored_labels(options["ignored_labels"]),
                    "nodeConfig.taints",
                ],
                custom_timeouts=pulumi.CustomTimeouts(create="1h", update="2h", delete="1h"),
            ),
        )

        def write(values: list[Any]) -> str:
            project_id, ca_certificate, address, dns_name = values
            context = cluster_access.context(project_id, location, cluster_name)
            if not _by_dns(endpoint):
                return cluster_access.kubeconfig(context, address, ca_certificate)
            if not dns_name:
                raise pulumi.RunError(
                    f"GKE reports no DNS endpoint for cluster {cluster_name}: set cluster.endpoint: public-ip "
                    "and list the ranges that may reach it in cluster.authorizedNetworks"
                )
            return cluster_access.kubeconfig(context, dns_name, None)

        self.name = cluster.name
        self.location = cluster.location
        self.workload_pool = cluster.workload_identity_config.workload_pool
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(
                cluster.project,
                cluster.master_auth.cluster_ca_certificate,
                cluster.private_cluster_config.private_endpoint if endpoint == "private-ip" else cluster.endpoint,
                cluster.control_plane_endpoints_config.dns_endpoint_config.endpoint,
            ).apply(write)
        )
        place = args["control_plane"].range
        private = cluster.private_cluster_config.private_endpoint.apply(lambda address: f"{address}/32")
        self.api_server = [private if place is None else place]
        self.system_pool = system
        self.identifier = cluster.id
        self.provider = cluster_access.provider(name, self.kubeconfig, self.identifier, self)
        self.register_outputs(
            {
                "name": self.name,
                "location": self.location,
                "workload_pool": self.workload_pool,
                "kubeconfig": self.kubeconfig,
                "service_account": self.service_account,
            }
        )


def _by_dns(endpoint: gke.Endpoint) -> bool:
    return endpoint in ("dns", "dns-only")


def _private_cluster(place: ControlPlane, endpoint: gke.Endpoint) -> gcp.container.ClusterPrivateClusterConfigArgsDict:
    private = endpoint == "private-ip"
    config: gcp.container.ClusterPrivateClusterConfigArgsDict = {
        "enable_private_nodes": True,
        "enable_private_endpoint": private,
        # Whoever may reach the private address may be in another region.
        "master_global_access_config": {"enabled": private},
    }
    if place.range is not None:
        config["master_ipv4_cidr_block"] = place.range
    if place.subnetwork is not None:
        config["private_endpoint_subnetwork"] = place.subnetwork
    return config


def _endpoints(
    endpoint: gke.Endpoint, authorized: Sequence[AuthorizedNetwork]
) -> gcp.container.ClusterControlPlaneEndpointsConfigArgsDict:
    config: gcp.container.ClusterControlPlaneEndpointsConfigArgsDict = {
        "dns_endpoint_config": {"allow_external_traffic": _by_dns(endpoint)}
    }
    # The plugin keeps what is not said, so IP addresses that were switched off are switched on again in so many words,
    # wherever somebody may reach them.
    if endpoint != "dns" or authorized:
        config["ip_endpoints_config"] = {"enabled": endpoint != "dns-only"}
    return config

"""An existing GKE cluster, with the same outputs as a created one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes

from components.gcp import cluster_access
from components.gcp.adopted_reads import ReadTarget, found
from components.gcp.gke_cluster import GkeCluster
from reference import gke
from reference.cluster import ClusterFacts, PoolFacts, cluster_lacks


class AdoptedClusterArgs(TypedDict):
    """Inputs of `AdoptedCluster`."""

    project: str
    """Id of the project."""
    location: str
    """Region or zone of the cluster."""
    cluster: str
    """Name of the cluster."""
    rdma: gke.RdmaMode
    """How pods reach the RDMA NICs."""
    window: gke.VersionWindow
    """Versions that the Dynamo release supports."""


class AdoptedCluster(pulumi.ComponentResource):
    """An existing cluster: read and checked, never changed.

    Reading is an invoke, so a preview needs credentials and the network. All unmet requirements are reported at once,
    with the gcloud command that fixes each where there is one. The check runs before any resource in the cluster is
    registered, so nothing is created in a cluster that fails it.
    """

    name: pulumi.Output[str]
    """Name of the cluster."""
    location: pulumi.Output[str]
    """Region or zone of the cluster."""
    workload_pool: pulumi.Output[str]
    """Workload Identity pool, `<project>.svc.id.goog`."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (secret)."""
    identifier: pulumi.Output[str]
    """Identifier of this cluster for its Kubernetes providers."""
    provider: kubernetes.Provider
    """Kubernetes provider of this cluster."""
    api_server: Sequence[str]
    """Ranges of the addresses at which pods reach the API server."""
    node_pools: Mapping[str, PoolFacts]
    """The cluster's node pools by name, for `adopted_domain`."""

    def __init__(self, name: str, args: AdoptedClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:AdoptedCluster", name, {}, opts)
        project, location = args["project"], args["location"]
        cluster = found(
            lambda: gcp.container.get_cluster(
                name=args["cluster"], location=location, project=project, opts=pulumi.InvokeOptions(parent=self)
            ),
            _subject(args),
        )
        lacks = list(cluster_lacks(_facts(cluster, args), args["rdma"], args["window"]))
        if lacks:
            raise pulumi.RunError(
                f"cluster {args['cluster']} in {location} cannot be adopted:\n"
                + "\n".join(f"  - {lack}" for lack in lacks)
            )

        context = cluster_access.context(project, location, args["cluster"])
        dns_name = _dns_name(cluster)
        # The DNS endpoint if it accepts external traffic, else the IP address.
        if dns_name:
            kubeconfig = cluster_access.kubeconfig(context, dns_name, None)
        else:
            certificate = cluster.master_auths[0].cluster_ca_certificate
            kubeconfig = cluster_access.kubeconfig(context, _address(cluster), certificate)

        self.name = pulumi.Output.from_input(cluster.name)
        self.location = pulumi.Output.from_input(cluster.location or "")
        self.workload_pool = pulumi.Output.from_input(_workload_pool(cluster))
        self.api_server = [f"{address}/32" for address in _addresses(cluster)]
        self.node_pools = _node_pools(cluster)
        self.kubeconfig = pulumi.Output.secret(kubeconfig)
        self.identifier = pulumi.Output.from_input(cluster.id)
        self.provider = cluster_access.provider(name, self.kubeconfig, self.identifier, self)
        self.register_outputs(
            {
                "name": self.name,
                "location": self.location,
                "workload_pool": self.workload_pool,
                "kubeconfig": self.kubeconfig,
            }
        )


Cluster = GkeCluster | AdoptedCluster
"""Created or adopted: both have the outputs `name`, `location`, `workload_pool`, `kubeconfig`, `identifier` and
`provider`."""


def _subject(args: AdoptedClusterArgs) -> ReadTarget:
    return ReadTarget(
        "cluster.name",
        args["cluster"],
        f"GKE cluster in {args['location']} of project {args['project']}",
        args["project"],
        f"gcloud container clusters list --project {args['project']}",
        "container",
    )


def _facts(cluster: gcp.container.GetClusterResult, args: AdoptedClusterArgs) -> ClusterFacts:
    return ClusterFacts(
        name=args["cluster"],
        location=args["location"],
        project=args["project"],
        datapath=cluster.datapath_provider or "",
        calico=_calico(cluster),
        multi_networking=cluster.enable_multi_networking,
        workload_pool=_workload_pool(cluster),
        gcs_fuse=_gcs_fuse(cluster),
        version=cluster.master_version or "",
    )


def _workload_pool(cluster: gcp.container.GetClusterResult) -> str:
    configs = cluster.workload_identity_configs
    return configs[0].workload_pool if configs else ""


def _calico(cluster: gcp.container.GetClusterResult) -> bool:
    addons = [addon for config in cluster.addons_configs or [] for addon in config.network_policy_configs or []]
    asked = any(policy.enabled for policy in cluster.network_policies or [])
    return asked and not any(addon.disabled for addon in addons)


def _gcs_fuse(cluster: gcp.container.GetClusterResult) -> bool:
    return any(
        driver.enabled for addons in cluster.addons_configs or [] for driver in addons.gcs_fuse_csi_driver_configs or []
    )


def _dns_name(cluster: gcp.container.GetClusterResult) -> str:
    """Name of the DNS endpoint, or "" if the cluster has none that accepts external traffic."""
    for endpoints in cluster.control_plane_endpoints_configs or []:
        for dns in endpoints.dns_endpoint_configs or []:
            if dns.allow_external_traffic and dns.endpoint:
                return dns.endpoint
    return ""


def _address(cluster: gcp.container.GetClusterResult) -> str:
    """The IP address that the control plane answers at: the private one if it has no other."""
    for config in cluster.private_cluster_configs or []:
        if config.enable_private_endpoint and config.private_endpoint:
            return config.private_endpoint
    return cluster.endpoint


def _addresses(cluster: gcp.container.GetClusterResult) -> Sequence[str]:
    """The private and the public address: which of them `kubernetes.default` has depends on the nodes."""
    private = [config.private_endpoint for config in cluster.private_cluster_configs or []]
    return [address for address in dict.fromkeys((*private, cluster.endpoint)) if address]


def _node_pools(cluster: gcp.container.GetClusterResult) -> Mapping[str, PoolFacts]:
    pools: dict[str, PoolFacts] = {}
    for pool in cluster.node_pools or []:
        zones = list(pool.node_locations or cluster.node_locations or [])
        pools[pool.name] = PoolFacts(
            machine_type=pool.node_configs[0].machine_type if pool.node_configs else "",
            zones=zones,
            # GKE's node_count is per zone.
            nodes=int(pool.node_count or 0) * max(1, len(zones)),
            additional_networks=sum(len(n.additional_node_network_configs or []) for n in pool.network_configs or []),
        )
    return pools

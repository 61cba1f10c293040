"""The cluster, its NVLink domains and the model bucket: adopted or created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import gcp, platform
from program.networks import cluster_network, firewall_rules, named_interfaces
from reference import gke
from reference.dynamo import PROFILES
from settings import Settings
from settings.model import AdoptDomain, AdoptModelBucket, CreateCluster


@dataclass(frozen=True)
class Infrastructure:
    """What the platform runs on."""

    project: pulumi.Input[str]
    """Id of the project; of a cluster that is created, known once its APIs are on."""
    cluster: gcp.Cluster
    domains: Mapping[str, gcp.Domain]
    bucket: pulumi.Output[str]
    """Name of the bucket with the weights."""
    pools: Sequence[pulumi.Resource]
    """Domains whose nodes the program creates."""
    system_nodes: Sequence[pulumi.Resource] = ()
    """Nodes for pods without tolerations for A4X, if the program creates them."""
    firewall_rules: Sequence[Mapping[str, Any]] = ()
    """Rules of the cluster's networks that somebody else writes."""


def build_infrastructure(settings: Settings) -> Infrastructure:
    """Create or adopt the cluster, its domains and the bucket."""
    bucket = _bucket(settings)
    if isinstance(settings.cluster, CreateCluster):
        foundation = _foundation(settings, settings.cluster)
        networks = None
        if foundation.interfaces and settings.cluster.rdma == "multi-network":
            networks = platform.DeviceNetworks(
                "device-networks",
                {
                    "environment": settings.environment,
                    "interfaces": foundation.interfaces,
                    "provider": foundation.cluster.provider,
                },
            )
        pools = _pools(settings, foundation.cluster, foundation.interfaces, networks)
        system_nodes = [foundation.cluster.system_pool]
        return Infrastructure(
            foundation.project,
            foundation.cluster,
            pools,
            bucket,
            list(pools.values()),
            system_nodes,
            firewall_rules(settings, settings.cluster),
        )
    cluster = gcp.AdoptedCluster(
        "cluster",
        {
            "project": settings.project,
            "location": settings.location,
            "cluster": settings.cluster.name,
            "rdma": settings.cluster.rdma,
            "window": gke.version_window(PROFILES[settings.dynamo.version]),
        },
    )
    pools = _pools(settings, cluster, named_interfaces(settings) or [], None)
    adopted = {
        domain.name: gcp.adopted_domain(
            cluster.node_pools, domain.name, zone=domain.zone, nodes=domain.nodes, rdma=settings.cluster.rdma
        )
        for domain in settings.domains
        if isinstance(domain, AdoptDomain)
    }
    return Infrastructure(settings.project, cluster, {**adopted, **pools}, bucket, list(pools.values()))


def _bucket(settings: Settings) -> pulumi.Output[str]:
    bucket = settings.model_bucket
    if isinstance(bucket, AdoptModelBucket):
        return gcp.adopted_bucket(bucket.name, settings.project, settings.region)
    created = gcp.ModelBucket(
        "model-bucket",
        {
            "environment": settings.environment,
            "bucket": bucket.name,
            "project": settings.project,
            "region": settings.region,
            "force_destroy": not settings.protect if bucket.force_destroy is None else bucket.force_destroy,
            "protect": settings.protect,
        },
    )
    return created.bucket_name


def _foundation(settings: Settings, cluster: CreateCluster) -> gcp.ClusterFoundation:
    return gcp.ClusterFoundation(
        "foundation",
        {
            "environment": settings.environment,
            "project": settings.project,
            "region": settings.region,
            "location": settings.location,
            "zone": settings.domains[0].zone,
            "cluster": cluster.name,
            "network": cluster_network(settings, cluster),
            "interfaces": named_interfaces(settings),
            "version": cluster.version,
            "channel": cluster.channel,
            "endpoint": cluster.endpoint,
            "authorized_networks": [{"cidr": cidr, "name": cidr} for cidr in cluster.authorized_networks],
            "rdma": cluster.rdma,
            "network_admin": _network_admin(settings, cluster),
            "protect": settings.protect,
        },
    )


def _network_admin(settings: Settings, cluster: CreateCluster) -> str | None:
    """The service agent with which GKE creates DRANET's networks, if the settings grant it the role."""
    if not cluster.dranet_network_admin or settings.project_number is None:
        return None
    return gke.service_agent(settings.project_number)


def _pools(
    settings: Settings,
    cluster: gcp.Cluster,
    interfaces: Sequence[gcp.DeviceInterface],
    networks: pulumi.Resource | None,
) -> Mapping[str, gcp.NvlinkDomain]:
    if not settings.created_domains:
        return {}
    service_account = _service_account(settings, cluster)
    return {
        domain.name: gcp.NvlinkDomain(
            f"domain-{domain.name}",
            {
                "environment": settings.environment,
                "domain": domain.name,
                "zone": domain.zone,
                "nodes": domain.nodes,
                "rdma": settings.cluster.rdma,
                "project": settings.project,
                "cluster": cluster.name,
                "region": settings.region,
                "location": cluster.location,
                "reservation": gke.parse_reservation(domain.reservation).path(settings.project),
                "interfaces": interfaces,
                "device_networks": networks,
                "service_account": service_account,
                "node_version": domain.node_version,
                "gpu_driver_version": settings.node_software.gpu_driver_version,
                "protect": settings.protect,
            },
        )
        for domain in settings.created_domains
    }


def _service_account(settings: Settings, cluster: gcp.Cluster) -> pulumi.Input[str]:
    """Service account of the nodes of created pools: the created cluster's, or one of their own."""
    if isinstance(cluster, gcp.GkeCluster):
        return cluster.service_account
    name = f"{settings.cluster.name}-{settings.environment}"
    return gcp.NodeAccount("node-account", {"project": settings.project, "cluster": name}).email

"""The cluster, its NVLink domains and the model bucket: adopted or created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import gcp, platform
from reference import addresses, gke
from reference.dynamo import PROFILES
from settings import Settings


@dataclass(frozen=True)
class Infrastructure:
    """What the platform stands on."""

    cluster: gcp.Cluster
    domains: Mapping[str, gcp.NvlinkDomain]
    bucket: gcp.ModelBucket
    system_nodes: Sequence[pulumi.Resource] = ()
    """Nodes of pods that do not tolerate A4X, where the program makes them; a cluster itself needs none."""


def build_infrastructure(settings: Settings) -> Infrastructure:
    """Make or adopt the cluster, its domains and the bucket."""
    bucket = gcp.ModelBucket(
        "model-bucket",
        {
            "environment": settings.environment,
            "mode": settings.model_bucket.mode,
            "bucket": settings.model_bucket.name,
            "project": settings.project,
            "region": settings.region,
            "force_destroy": _or_else(settings.model_bucket.force_destroy, not settings.protect),
            "protect": settings.protect,
        },
    )
    if settings.cluster.mode == "create":
        foundation = _foundation(settings)
        networks = None
        if foundation.interfaces:
            networks = platform.DeviceNetworks(
                "device-networks",
                {
                    "environment": settings.environment,
                    "interfaces": foundation.interfaces,
                    "provider": foundation.cluster.provider,
                },
            )
        domains = _domains(settings, foundation.cluster, foundation.interfaces, networks)
        return Infrastructure(foundation.cluster, domains, bucket, [foundation.cluster.system_pool])
    adopted = gcp.AdoptedCluster(
        "cluster",
        {
            "project": settings.project,
            "location": settings.region,
            "cluster": settings.cluster.name,
            "rdma": settings.cluster.rdma,
            "window": gke.version_window(PROFILES[settings.dynamo.version]),
        },
    )
    return Infrastructure(adopted, _domains(settings, adopted, _named_interfaces(settings), None), bucket)


def _or_else(value: bool | None, default: bool) -> bool:
    return default if value is None else value


def _foundation(settings: Settings) -> gcp.ClusterFoundation:
    cluster = settings.cluster
    return gcp.ClusterFoundation(
        "foundation",
        {
            "environment": settings.environment,
            "project": settings.project,
            "region": settings.region,
            "zone": settings.domains[0].zone,
            "cluster": cluster.name,
            "addresses": addresses.plan(cluster.address_range, addresses.MAX_A4X_NODES),
            "version": cluster.version,
            "channel": cluster.channel,
            "endpoint": "dns" if cluster.dns_endpoint else "ip",
            "authorized_networks": [{"cidr": cidr, "name": cidr} for cidr in cluster.authorized_networks],
            "rdma": cluster.rdma,
            "network_admin": _or_nobody(settings),
            "protect": settings.protect,
        },
    )


def _or_nobody(settings: Settings) -> str | None:
    """The account by which GKE makes DRANET's networks, where it is to be given the right."""
    wanted = settings.cluster.dranet_network_admin and settings.project_number
    return gke.service_agent(settings.project_number or "") if wanted else None


def _domains(
    settings: Settings,
    cluster: gcp.Cluster,
    interfaces: Sequence[gcp.DeviceInterface],
    networks: pulumi.Resource | None,
) -> Mapping[str, gcp.NvlinkDomain]:
    domains: dict[str, gcp.NvlinkDomain] = {}
    service_account = _service_account(settings, cluster)
    for domain in settings.domains:
        args: gcp.NvlinkDomainArgs = {
            "environment": settings.environment,
            "domain": domain.name,
            "mode": domain.mode,
            "zone": domain.zone,
            "nodes": domain.nodes,
            "rdma": settings.cluster.rdma,
            "protect": settings.protect,
        }
        if isinstance(cluster, gcp.AdoptedCluster):
            args["node_pools"] = cluster.node_pools
        if domain.mode == "create":
            args["project"] = settings.project
            args["cluster"] = cluster.name
            args["location"] = cluster.location
            args["reservation"] = gke.parse_reservation(domain.reservation or "").path(settings.project)
            args["interfaces"] = interfaces
            args["service_account"] = service_account
            args["node_version"] = domain.node_version
            args["gpu_driver_version"] = settings.node_software.gpu_driver_version
        if networks is not None:
            args["device_networks"] = networks
        domains[domain.name] = gcp.NvlinkDomain(f"domain-{domain.name}", args)
    return domains


def _service_account(settings: Settings, cluster: gcp.Cluster) -> pulumi.Input[str]:
    """Whom the nodes of created pools run as: the created cluster's account, or one made for them."""
    if isinstance(cluster, gcp.GkeCluster):
        return cluster.service_account
    if not settings.created_domains:
        return ""
    name = f"{settings.cluster.name}-{settings.environment}"
    return gcp.NodeAccount("node-account", {"project": settings.project, "cluster": name}).email


def _named_interfaces(settings: Settings) -> Sequence[gcp.DeviceInterface]:
    """NICs of a pool that is made in an adopted cluster, as the config names their networks."""
    named = settings.cluster.device_networks
    if named is None:
        return []
    networks = [(named.gvnic.network, named.gvnic.subnetwork)]
    networks += [(named.rdma_network, subnetwork) for subnetwork in named.rdma_subnetworks]
    return [
        {"name": name, "network": network, "subnetwork": subnetwork}
        for name, (network, subnetwork) in zip(gke.DEVICE_NETWORKS, networks, strict=True)
    ]

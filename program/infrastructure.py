"""The cluster, its NVLink domains and the model bucket: adopted or created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import gcp, platform
from program.encryption import key_use, usable_key
from program.networks import cluster_network, firewall_rules, named_interfaces
from reference import firewall, gke, maintenance, naming
from settings import Settings
from settings.maintenance import Maintenance
from settings.model import AdoptDomain, AdoptModelBucket, CreateCluster, CreateDomain
from settings.node_pools import kubelet_fields


@dataclass(frozen=True)
class Infrastructure:
    """What the platform runs on."""

    project: pulumi.Input[str]
    """Id of the project; of a cluster that is created, known once its APIs are on."""
    cluster: gcp.Cluster
    domains: Mapping[str, gcp.Domain]
    bucket: pulumi.Output[str]
    """Name of the bucket with the weights."""
    grants: gcp.Grants
    """Where roles are given."""
    disk_key: pulumi.Input[str] | None
    """Path of the key of boot disks, once Compute Engine may use it."""
    pools: Sequence[pulumi.Resource]
    """Domains whose nodes the program creates."""
    device_networks: Sequence[pulumi.Resource] = ()
    """What pods name to get an RDMA NIC, if the program creates it."""
    system_nodes: Sequence[pulumi.Resource] = ()
    """Nodes for pods without tolerations for A4X, if the program creates them."""
    firewall_rules: Sequence[Mapping[str, Any]] = ()
    """Rules of the cluster's networks that somebody else writes."""
    private_apis: pulumi.Input[str] = firewall.GOOGLE_APIS
    """Range of private.googleapis.com; where the program creates the zone that leads there, known with it."""


def build_infrastructure(settings: Settings) -> Infrastructure:
    """Create or adopt the cluster, its domains and the bucket."""
    grants = gcp.Grants(written=settings.identities.iam == "write")
    bucket = _bucket(settings, grants)
    _expect_node_roles(settings, grants)
    if isinstance(settings.cluster, CreateCluster):
        foundation = _foundation(settings, settings.cluster, grants)
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
        key = foundation.disk_key
        pools = _pools(settings, foundation.cluster, foundation.interfaces, networks, grants=grants, disk_key=key)
        return Infrastructure(
            project=foundation.project,
            cluster=foundation.cluster,
            domains=pools,
            bucket=bucket,
            grants=grants,
            disk_key=key,
            pools=list(pools.values()),
            device_networks=[networks] if networks else [],
            system_nodes=[foundation.cluster.system_pool],
            firewall_rules=firewall_rules(settings, settings.cluster),
            private_apis=foundation.private_apis or firewall.GOOGLE_APIS,
        )
    cluster = gcp.AdoptedCluster(
        "cluster",
        {
            "project": settings.project,
            "location": settings.location,
            "cluster": settings.cluster.name,
            "rdma": settings.cluster.rdma,
            "window": gke.version_window(settings.profile),
        },
    )
    key = usable_key("disks", settings, grants)
    pools = _pools(settings, cluster, named_interfaces(settings) or [], None, grants=grants, disk_key=key)
    adopted = {
        domain.name: gcp.adopted_domain(
            cluster.node_pools, domain.name, zone=domain.zone, nodes=domain.nodes, rdma=settings.cluster.rdma
        )
        for domain in settings.domains
        if isinstance(domain, AdoptDomain)
    }
    return Infrastructure(
        project=settings.project,
        cluster=cluster,
        domains={**adopted, **pools},
        bucket=bucket,
        grants=grants,
        disk_key=key,
        pools=list(pools.values()),
    )


def _expect_node_roles(settings: Settings, grants: gcp.Grants) -> None:
    """The roles of a given service account for nodes are its owner's to give."""
    email = settings.identities.node_service_account
    for role in () if email is None else gke.NODE_ROLES:
        member = f"serviceAccount:{email}"
        grants.expect({"on": "project", "target": settings.project, "role": role, "member": member})


def _bucket(settings: Settings, grants: gcp.Grants) -> pulumi.Output[str]:
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
            "key": usable_key("bucket", settings, grants),
        },
    )
    return created.bucket_name


def _foundation(settings: Settings, cluster: CreateCluster, grants: gcp.Grants) -> gcp.ClusterFoundation:
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
            "options": {
                "version": cluster.version,
                "channel": cluster.channel,
                "endpoint": cluster.endpoint,
                "authorized_networks": [{"cidr": cidr, "name": cidr} for cidr in cluster.authorized_networks],
                "network_admin": _network_admin(settings, cluster),
                "maintenance": _maintenance(cluster.maintenance),
                "ignored_labels": settings.metadata.ignored_node_labels,
                "service_account": settings.identities.node_service_account,
                "cost_allocation": cluster.cost_allocation,
                "fleet_project": cluster.fleet_project,
                "security_group": cluster.security_group,
                "binary_authorization": cluster.binary_authorization,
            },
            "rdma": cluster.rdma,
            "protect": settings.protect,
            "apis": settings.apis if settings.identities.enable_apis else (),
            "grants": grants,
            "disk_key": key_use("disks", settings),
            "secrets_key": key_use("secrets", settings),
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
    *,
    grants: gcp.Grants,
    disk_key: pulumi.Input[str] | None,
) -> Mapping[str, gcp.NvlinkDomain]:
    if not settings.created_domains:
        return {}
    service_account = _service_account(settings, cluster, grants)
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
                "disk_key": disk_key,
                "node_version": domain.node_version,
                "gpu_driver_version": settings.node_software.gpu_driver_version,
                "pool": _pool_options(domain, settings.metadata.ignored_node_labels),
                "protect": settings.protect,
            },
        )
        for domain in settings.created_domains
    }


def _pool_options(domain: CreateDomain, ignored_labels: Sequence[str]) -> gcp.PoolOptions:
    pool = domain.pool
    sizes = {"hugepage_size2m": pool.hugepages_2mi, "hugepage_size1g": pool.hugepages_1gi}
    return {
        "labels": pool.labels,
        "ignored_labels": ignored_labels,
        "taints": [
            {"key": taint.key, "value": taint.value, "effect": gke.TAINT_EFFECTS[taint.effect]}
            for taint in domain.taints
        ],
        "sysctls": pool.sysctls,
        "kubelet": kubelet_fields(pool.kubelet),
        "hugepages": {size: number for size, number in sizes.items() if number is not None},
        "boot_disk_gb": pool.boot_disk_gb,
        "maintenance_interval": pool.maintenance_interval,
        "max_unavailable": pool.upgrade.max_unavailable,
        "auto_upgrade": pool.upgrade.auto_upgrade,
        "auto_repair": pool.upgrade.auto_repair,
    }


def _maintenance(said: Maintenance) -> gcp.maintenance.Policy:
    listed: list[gcp.maintenance.Exclusion] = [
        {"name": exclusion.name, "start": exclusion.start, "end": exclusion.end, "scope": exclusion.scope}
        for exclusion in said.exclusions
    ]
    exclusions = [gcp.maintenance.HOLD, *listed] if said.hold_upgrades else listed
    if said.window is None:
        return gcp.maintenance.policy(said.daily_start or maintenance.DAILY_START, exclusions)
    window: gcp.maintenance.Window = {
        "start_time": said.window.start,
        "end_time": said.window.end,
        "recurrence": said.window.recurrence,
    }
    return gcp.maintenance.policy(window, exclusions)


def _service_account(settings: Settings, cluster: gcp.Cluster, grants: gcp.Grants) -> pulumi.Input[str]:
    """Service account of the nodes of created pools: the created cluster's, the given one, or one of their own."""
    if isinstance(cluster, gcp.GkeCluster):
        return cluster.service_account
    if settings.identities.node_service_account is not None:
        return settings.identities.node_service_account
    name = naming.pools_in(settings.cluster.name, settings.environment)
    return gcp.NodeAccount("node-account", {"project": settings.project, "cluster": name, "grants": grants}).email

"""What a platform team must have done before these settings can be deployed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reference import (
    buckets,
    cluster_options,
    encryption,
    identities,
    mirrors,
    namespaces,
    network_prerequisites,
    networks,
    platform_parts,
)
from reference.network_prerequisites import Team
from reference.prerequisites import Prerequisite
from settings.artifacts import image_patterns, used_mirrors
from settings.model import CreateCluster, CreateDynamo, Settings
from settings.network import AdoptNetwork

NUMBER: Final = "PROJECT_NUMBER"
"""Stands for a project number that the config does not say."""


def of(settings: Settings) -> Iterator[Prerequisite]:
    """Every object and grant that the program does not make itself, in the order in which they are made."""
    yield from _networks(settings)
    yield from _apis_zone(settings)
    given = settings.identities
    if not given.enable_apis:
        yield from identities.apis(settings.project, settings.apis)
    if given.node_service_account is not None:
        yield from identities.node_account(given.node_service_account, settings.project)
    bucket = settings.model_bucket.name
    for key, email, role in (
        ("identities.modelReader", given.model_reader, buckets.READER),
        ("identities.modelWriter", given.model_writer, buckets.WRITER),
    ):
        if email is not None:
            yield from identities.model_account(key, email, role, bucket)
    chosen = settings.encryption
    yield from encryption.prerequisites(chosen.keys, settings.project_number, granted=chosen.grant)
    yield from _cluster_options(settings)
    if settings.images.mirrors:
        account = given.node_service_account or "NODE_ACCOUNT"
        yield from mirrors.prerequisites(settings.mirrors, used_mirrors(settings), account)
    yield from namespaces.prerequisites(settings.foreign_namespaces)
    profile = settings.profile
    if isinstance(settings.dynamo, CreateDynamo):
        dynamo = settings.dynamo
        converter = f"{profile.webhook_service} in {dynamo.namespace}" if profile.crds_name_operator else None
        yield from platform_parts.prerequisites(
            dynamo.parts,
            profile.version,
            profile.grove_version,
            profile.crds,
            nats_user=dynamo.nats_user,
            converter=converter,
        )


def _cluster_options(settings: Settings) -> Iterator[Prerequisite]:
    cluster, project, number = settings.cluster, settings.project, settings.project_number or NUMBER
    if isinstance(cluster, CreateCluster):
        if cluster.fleet_project is not None:
            its = number if cluster.fleet_project == project else "FLEET_PROJECT_NUMBER"
            yield from cluster_options.fleet(project, cluster.fleet_project, its)
        if cluster.security_group is not None:
            yield cluster_options.security_group(cluster.security_group)
        if cluster.binary_authorization != cluster_options.BINARY_AUTHORIZATION_OFF:
            yield from cluster_options.binary_authorization(project, image_patterns(settings))
    yield from cluster_options.secure_tags(settings.metadata.secure_tags, project, number)


def _apis_zone(settings: Settings) -> Iterator[Prerequisite]:
    if settings.isolation.egress != "private-googleapis" or settings.creates_apis_zone:
        return
    cluster, name, owner = settings.cluster, "NETWORK_OF_THE_CLUSTER", None
    if isinstance(cluster, CreateCluster) and isinstance(cluster.network, AdoptNetwork):
        place = networks.network(cluster.network.network)
        name, owner = place.name, place.project
    yield from network_prerequisites.of_apis_zone(owner or settings.project, name)


def _networks(settings: Settings) -> Iterator[Prerequisite]:
    cluster, subnetworks = settings.cluster, list[str]()
    network = cluster.network if isinstance(cluster, CreateCluster) else None
    named = cluster.device_networks if settings.created_domains else None
    anchor = network.network if isinstance(network, AdoptNetwork) else named.rdma_network if named else None
    if anchor is None:
        return
    owner = networks.network(anchor).project or settings.project
    team = Team(owner, settings.region, settings.domains[0].zone)
    if isinstance(network, AdoptNetwork):
        ranges = (network.pods_range, network.services_range)
        yield from network_prerequisites.of_cluster(
            team, network.network, network.subnetwork, ranges, settings.a4x_nodes
        )
        subnetworks.append(networks.last_part(network.subnetwork))
    if named is not None:
        gvnic = (named.gvnic.network, named.gvnic.subnetwork)
        yield from network_prerequisites.of_devices(team, gvnic, named.rdma_network, named.rdma_subnetworks)
        subnetworks += [networks.last_part(subnetwork) for _, subnetwork in named.interfaces]
    if owner != settings.project:
        number = settings.project_number or NUMBER
        key = "cluster.network" if isinstance(network, AdoptNetwork) else "cluster.deviceNetworks"
        yield from network_prerequisites.of_host(key, owner, number, settings.region, subnetworks)

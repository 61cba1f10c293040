"""The checks, each a small function from the site to an outcome.

A check handles only the errors that it is about ("missing"); the runner turns every other `CloudError` into an outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from preflight.checks import (
    access,
    adopted_networks,
    capacity,
    cluster,
    dranet,
    encryption,
    identities,
    kai,
    mirrors,
    namespaces,
    network_policies,
    networks,
    nodes,
    organisation,
    platform_parts,
    pod_capacity,
    storage,
    vulnerabilities,
)
from preflight.checks import cluster_options as options
from preflight.results import Outcome
from preflight.site import Site
from reference import cluster as requirements
from reference import cluster_options, network_prerequisites, shared_vpc
from reference import platform_parts as requirements_of_platform
from reference.mirrors import check_name
from reference.namespaces import CHECK as NAMESPACES_CHECK
from settings.artifacts import used_mirrors
from settings.model import AdoptDomain, AdoptDynamo, CreateCluster, CreateDynamo, CreateModelBucket
from settings.network import AdoptNetwork


@dataclass(frozen=True)
class Check:
    """One check of one environment."""

    name: str
    look: Callable[[], Outcome]
    needs: str = ""
    """Permissions that it needs, for the message when they are missing."""
    gate: bool = False
    """Whether the checks after it make sense only if it does not fail."""


def plan(site: Site) -> list[Check]:
    """The checks for these settings, in the order in which they are printed."""
    checks = [
        Check("credentials", partial(access.credentials, site), gate=True),
        Check("project", partial(access.project, site), "resourcemanager.projects.get", gate=True),
        Check("permissions", partial(access.permissions, site)),
        Check("apis", partial(access.apis, site), "serviceusage.services.get"),
        Check("organisation policies", partial(organisation.policies, site), "orgpolicy.policy.get"),
        Check("vulnerabilities", partial(vulnerabilities.known, site)),
        *_company_checks(site),
    ]
    created = site.settings.created_domains
    for domain in created:
        owner = f" on project {site.reservation(domain)[1]}"
        checks += [
            Check(
                f"reservation {domain.name}",
                partial(capacity.reservation, site, domain),
                f"compute.reservations.get{owner}",
            ),
            Check(
                f"sub-block {domain.name}",
                partial(capacity.sub_block, site, domain),
                "compute.reservationBlocks.list, compute.reservationSubBlocks.get and "
                f"compute.reservationSubBlocks.list{owner}",
            ),
        ]
    own = site.settings.created_network
    if own is not None:
        checks.append(Check("quota networks", partial(capacity.network_quota, site, own), "compute.projects.get"))
    if site.creates_cluster:
        checks.append(
            Check(
                "quota system pool",
                partial(capacity.system_quota, site),
                "compute.regions.get and compute.projects.get",
            )
        )
    if own is not None and own.nat == "own":
        checks.append(Check("quota nat", partial(capacity.nat_quota, site), "compute.regions.get"))
    if created:
        checks.append(Check("quota hyperdisk", partial(capacity.hyperdisk_quota, site), "compute.regions.get"))
    if own is not None:
        checks.append(Check("networks", partial(networks.names, site), "compute.networks.list"))
    return (
        checks
        + _adopted_network_checks(site)
        + _nic_checks(site)
        + _cluster_checks(site)
        + _storage_checks(site)
        + _image_checks(site)
    )


def _adopted_network_checks(site: Site) -> list[Check]:
    """Checks of networks that others made: the cluster's own, and what a Shared VPC's host project grants."""
    cluster, host, checks = site.settings.cluster, site.host, list[Check]()
    if isinstance(cluster, CreateCluster) and isinstance(cluster.network, AdoptNetwork):
        look = partial(adopted_networks.cluster_network, site, cluster.network)
        checks.append(Check(network_prerequisites.CLUSTER_CHECK, look, _READ_NETWORKS))
    if host is not None:
        owner = f" on project {host}"
        checks += [
            Check(
                shared_vpc.API_CHECK,
                partial(adopted_networks.host_api, site, host),
                f"serviceusage.services.get{owner}",
            ),
            Check(
                shared_vpc.CHECK,
                partial(adopted_networks.agents, site, host),
                f"resourcemanager.projects.getIamPolicy and compute.subnetworks.getIamPolicy{owner}",
            ),
        ]
    return checks


_ENFORCED = "Dataplane V2, which always enforces NetworkPolicies"
_READ_NETWORKS = "compute.networks.list and compute.subnetworks.get"


def _company_checks(site: Site) -> list[Check]:
    """Checks of what somebody else provides: accounts and keys."""
    given, needs = site.settings.identities, "iam.serviceAccounts.get"
    checks: list[Check] = []
    if given.node_service_account:
        look = partial(identities.node_account, site, given.node_service_account)
        checks.append(Check("node account", look, f"{needs} and resourcemanager.projects.getIamPolicy"))
    for name, email, write in (
        ("model reader", given.model_reader, False),
        ("model writer", given.model_writer, True),
    ):
        if email:
            look = partial(identities.model_account, site, email, write=write)
            checks.append(Check(name, look, f"{needs}, storage.buckets.getIamPolicy"))
    checks += [
        Check(
            f"key {use}",
            partial(encryption.key, site, use),
            "cloudkms.cryptoKeys.get, cloudkms.cryptoKeys.getIamPolicy and cloudkms.keyRings.getIamPolicy",
        )
        for use in site.settings.encryption.keys
    ]
    cluster = site.settings.cluster
    if isinstance(cluster, CreateCluster):
        needs = "serviceusage.services.get"
        if cluster.binary_authorization != cluster_options.BINARY_AUTHORIZATION_OFF:
            look = partial(options.binary_authorization, site)
            checks.append(Check(cluster_options.BINARY_AUTHORIZATION_CHECK, look, needs))
        if cluster.fleet_project is not None:
            look = partial(options.fleet, site, cluster.fleet_project)
            theirs = f"{needs} and resourcemanager.projects.get on project {cluster.fleet_project}"
            more = f"{theirs}, resourcemanager.projects.getIamPolicy"
            checks.append(Check(cluster_options.FLEET_CHECK, look, more))
    return checks


def _nic_checks(site: Site) -> list[Check]:
    """Checks of the networks for the RDMA NICs of created pools."""
    created, named = site.settings.created_domains, site.settings.cluster.device_networks
    if named is not None:
        look = partial(adopted_networks.devices, site, named)
        return [Check(network_prerequisites.DEVICES_CHECK, look, _READ_NETWORKS)] if created else []
    checks: list[Check] = []
    if site.creates_cluster or site.dranet:
        zones = sorted({domain.zone for domain in created})
        checks += [
            Check(f"rdma profile {zone}", partial(networks.rdma_profile, site, zone), "compute.networkProfiles.get")
            for zone in zones
        ]
    if site.dranet and created:
        checks.append(Check("dranet agent", partial(dranet.agent, site), "resourcemanager.projects.getIamPolicy"))
    return checks


_KAI = (
    "container.deployments.list, container.namespaces.list, container.thirdPartyObjects.list, "
    "container.mutatingWebhookConfigurations.list and container.runtimeClasses.list"
)


def _cluster_checks(site: Site) -> list[Check]:
    get = "container.clusters.get"
    wanted = site.settings.cluster
    if isinstance(wanted, CreateCluster):
        checks = [
            Check("gke version", partial(cluster.offered_version, site, wanted), "container.clusters.list"),
            Check("cluster", partial(cluster.name_free, site), get),
        ]
    else:
        checks = [
            Check("cluster", partial(cluster.exists, site), get),
            Check("gke version", partial(cluster.running_version, site), get),
            Check("dataplane", partial(cluster.lacks, site, requirements.dataplane, _ENFORCED), get),
            *(
                []
                if site.dranet
                else [Check("multi-networking", partial(cluster.lacks, site, requirements.multi_networking), get)]
            ),
            Check("workload identity", partial(cluster.lacks, site, requirements.workload_identity), get),
            Check("gcs fuse", partial(cluster.lacks, site, requirements.gcs_fuse), get),
            Check("system nodes", partial(nodes.system, site), "container.nodes.list and container.pods.list"),
        ]
    for domain in site.settings.domains:
        if isinstance(domain, AdoptDomain):
            checks.append(
                Check(
                    f"pool {domain.name}",
                    partial(cluster.pool, site, domain),
                    f"{get} and compute.instanceGroupManagers.get",
                )
            )
        checks.append(
            Check(
                f"free nodes {domain.name}",
                partial(cluster.free_nodes, site, domain),
                "container.nodes.list and container.pods.list",
            )
        )
    checks.append(Check("kai", partial(kai.scheduler, site), _KAI))
    checks += _platform_checks(site)
    if not site.creates_cluster and site.settings.stacks:
        checks.append(Check("frontends", partial(pod_capacity.frontends, site), "container.nodes.list"))
    return checks


def _platform_checks(site: Site) -> list[Check]:
    """Checks of parts of the platform that are somebody else's."""
    parts, checks = site.settings.dynamo.parts, list[Check]()
    kinds = "container.customResourceDefinitions.list"
    if not parts.grove:
        needs = f"container.deployments.list and {kinds}"
        checks.append(Check(requirements_of_platform.GROVE_CHECK, partial(platform_parts.grove, site), needs))
    if not parts.crds:
        checks.append(Check(requirements_of_platform.CRDS_CHECK, partial(platform_parts.crds, site), kinds))
    elif isinstance(site.settings.dynamo, CreateDynamo) and len(site.settings.profile.graph_versions) == 1:
        # Releases with both versions know every stored one.
        checks.append(Check("crds left", partial(platform_parts.left_crds, site), kinds))
    if site.settings.foreign_namespaces:
        needs = "container.namespaces.list, container.resourceQuotas.list and container.limitRanges.list"
        checks.append(Check(NAMESPACES_CHECK, partial(namespaces.foreign, site), needs))
    if site.settings.stacks and (site.settings.foreign_namespaces or isinstance(site.settings.dynamo, AdoptDynamo)):
        needs = (
            "container.networkPolicies.list, container.namespaces.list, container.pods.list and "
            "container.thirdPartyObjects.list"
        )
        checks.append(Check("network policies", partial(network_policies.existing, site), needs))
    return checks


def _storage_checks(site: Site) -> list[Check]:
    find = storage.created if isinstance(site.settings.model_bucket, CreateModelBucket) else storage.adopted
    checks = [Check("bucket", partial(find, site), "storage.buckets.get")]
    checks += [
        Check(f"model {model}", partial(storage.model, site, model), "storage.objects.list and storage.objects.get")
        for model in site.models()
    ]
    return checks


def _image_checks(site: Site) -> list[Check]:
    """One for each image, named by the last part of its reference if that is unique, and one for each mirror."""
    images = dict.fromkeys(use.image for use in nodes.uses(site))
    short = [image.rpartition("/")[2] for image in images]
    names = short if len(set(short)) == len(short) else list(images)
    checks = [
        Check(f"image {name}", partial(nodes.image, site, image)) for name, image in zip(names, images, strict=True)
    ]
    needs = "artifactregistry.repositories.downloadArtifacts and artifactregistry.repositories.getIamPolicy on it"
    checks += [
        Check(check_name(place), partial(mirrors.mirror, site, place), needs) for place in used_mirrors(site.settings)
    ]
    return checks

"""Networks that must exist, and names that must be free."""

from __future__ import annotations

from preflight.cloud import CloudError
from preflight.results import Outcome, failed, passed, warned
from preflight.site import Site
from reference import gke


def rdma_profile(site: Site, zone: str) -> Outcome:
    """The zone has the network profile that lets a VPC hold CX-7 NICs."""
    settings = site.settings
    name = gke.rdma_profile(zone)
    try:
        found = site.cloud.network_profile_zone(settings.project, name)
    except CloudError as error:
        if error.trouble != "missing":
            raise
        return failed(
            f"{zone} has no network profile {name}, so no RDMA network can be made there",
            "choose a zone with A4X: gcloud compute network-profiles list",
        )
    if found != zone:
        return failed(f"{name} belongs to {found or 'no zone'}, not to {zone}", "choose the zone of the reservation")
    return passed(f"{name}")


def names(site: Site) -> Outcome:
    """The names of the networks to be created are free."""
    settings = site.settings
    wanted, existing = site.own_networks(), site.networks()
    taken = [existing[name] for name in wanted if name in existing]
    if not taken:
        return passed(f"free: {', '.join(wanted)}")
    foreign = [network.name for network in taken if not site.is_own_network(network)]
    if foreign:
        return failed(
            f"taken by other networks: {', '.join(foreign)}",
            "choose another cluster.name (networks are named after it), or delete them",
        )
    listed = ", ".join(network.name for network in taken)
    cluster = site.cluster()
    if cluster is not None and site.is_own(cluster.labels):
        return passed(f"this environment's own: {listed}")
    return warned(
        f"made by this program, but there is no cluster of this environment: {listed}",
        f"left by an earlier run? `pulumi refresh --stack {settings.environment}` shows whether the state knows them; "
        "delete those it does not",
    )

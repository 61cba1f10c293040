"""Reserved racks, and the quotas that a reservation does not include."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from preflight.cloud import CloudError, Quota, Reservation, SubBlock
from preflight.results import Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import system_pool
from reference.machines import A4X
from settings.model import CreateDomain
from settings.network import CreateNetwork

ENDS_SOON: Final = timedelta(days=7)
"""Warn of a reservation that ends within this time."""

ZONES_OF_A_CLUSTER: Final = 3
"""Zones that GKE chooses for a regional cluster; the system pool starts with one node in each."""

SUBNETS: Final = {"net-0": 1, "net-1": 1, "rdma": 4}
FIREWALLS: Final = {"net-0": 2, "net-1": 1, "rdma": 0}
ROUTERS: Final = {"net-0": 1, "net-1": 0, "rdma": 0}
"""What the program creates in each of its networks."""


@dataclass(frozen=True)
class Need:
    """How much of a quota the program needs."""

    metric: str
    now: float
    """At creation."""
    later: float
    """At maximum size."""


def reservation(site: Site, domain: CreateDomain) -> Outcome:
    """The reservation exists in the domain's zone, is for A4X machines, and is shared with the project.

    Its totals never fail: other racks may be in use, and capacity is checked by sub-block.
    """
    wanted, owner = site.reservation(domain)
    name = f"{owner}/{wanted.name}"
    try:
        found = site.cloud.reservation(owner, domain.zone, wanted.name)
    except CloudError as error:
        if error.trouble != "missing":
            raise
        return failed(
            f"there is no reservation {name} in {domain.zone}",
            f"gcloud compute reservations list --project {owner}; correct domains.{domain.name}.reservation or .zone",
        )
    if not found.machine_type.startswith(A4X.machine_type):
        return failed(
            f"{name} is of {found.machine_type or 'no machine type'}, not {A4X.machine_type}",
            "name a reservation of A4X machines",
        )
    if not found.specific:
        return failed(
            f"{name} is open to every matching machine; a node pool cannot name it",
            "reserve with --require-specific-reservation (it cannot be changed afterwards)",
        )
    if found.status not in {"READY", "UPDATING"}:
        return failed(f"{name} is {found.status or 'in an unknown state'}", "wait until it is READY")
    return (
        _closed(site, domain, found) or _ending(name, found.ends) or _counted(name, found.count, found.in_use, domain)
    )


def _closed(site: Site, domain: CreateDomain, found: Reservation) -> Outcome | None:
    """A failure if another project's reservation is not shared with this one."""
    wanted, owner = site.reservation(domain)
    consumer, name = site.settings.project, f"{owner}/{wanted.name}"
    if owner == consumer:
        return None
    share = f"gcloud compute reservations update {wanted.name} --project {owner} --zone {domain.zone}"
    if found.share == "LOCAL":
        return failed(
            f"{name} is not shared: only {owner} may use it",
            f"have its owner share it: {share} --share-setting=projects --share-with={consumer}",
        )
    if found.share == "SPECIFIC_PROJECTS" and not found.shared_with & {consumer, site.project().number}:
        return failed(
            f"{name} is shared with other projects, not with {consumer}", f"{share} --add-share-with={consumer}"
        )
    return None


def _ending(name: str, ends: str) -> Outcome | None:
    if not ends:
        return None
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    if left <= timedelta():
        return failed(f"{name} ended at {ends}", "name a reservation that lasts")
    if left < ENDS_SOON:
        return warned(f"{name} ends at {ends}; its machines stop then", "extend it, or plan the move")
    return None


def _counted(name: str, count: int, in_use: int, domain: CreateDomain) -> Outcome:
    finding = f"{name}: {count} machines, {in_use} in use"
    if count - in_use < domain.nodes:
        return warned(
            f"{finding}; the domain takes {domain.nodes}",
            "see the sub-block's own line: the total also counts racks that are this environment's",
        )
    return passed(finding)


def sub_block(site: Site, domain: CreateDomain) -> Outcome:
    """The rack exists, has the domain's nodes free, and is healthy."""
    wanted, owner = site.reservation(domain)
    if wanted.block is None or wanted.sub_block is None:
        return _any_sub_block(site, domain)
    try:
        found = site.cloud.sub_block(owner, domain.zone, wanted.name, wanted.block, wanted.sub_block)
    except CloudError as error:
        if error.trouble != "missing":
            raise
        return failed(f"there is no {wanted.block}/{wanted.sub_block}", _names(site, domain))
    return _judged(site, domain, found)


def _names(site: Site, domain: CreateDomain) -> str:
    """A fix that lists the existing blocks, or the sub-blocks of the block."""
    wanted, owner = site.reservation(domain)
    key = f"domains.{domain.name}.reservation"
    blocks = site.cloud.blocks(owner, domain.zone, wanted.name)
    if wanted.block not in blocks:
        return f"correct {key}; its blocks are: {', '.join(blocks) or 'none'}"
    found = site.cloud.sub_blocks(owner, domain.zone, wanted.name, wanted.block or "")
    return f"correct {key}; sub-blocks of {wanted.block}: {', '.join(item.name for item in found) or 'none'}"


def _judged(site: Site, domain: CreateDomain, rack: SubBlock) -> Outcome:
    finding = f"{rack.name}: {rack.count} hosts, {rack.in_use} in use"
    finding += f", {rack.health.lower()}" if rack.health else ", health not stated"
    if rack.count < domain.nodes:
        return failed(
            f"{finding}; the domain takes {domain.nodes}",
            f"set domains.{domain.name}.nodes to {rack.count} or fewer, or name another sub-block",
        )
    if site.pool(domain.name) is not None:
        finding += f"; held by this cluster's pool {domain.name}"
    elif rack.count - rack.in_use < domain.nodes:
        return failed(
            f"{finding}; the domain takes {domain.nodes}",
            "another pool or VM holds the rest: free them (gcloud compute instances list shows them), or name "
            "another sub-block",
        )
    if rack.health == "DEGRADED" or rack.degraded_hosts or rack.degraded_infra:
        return warned(
            f"{finding}; degraded: hosts {rack.degraded_hosts}, other parts of the rack {rack.degraded_infra}",
            "ask Google's support for repair, name another sub-block, or plan with fewer nodes",
        )
    return passed(finding)


def _any_sub_block(site: Site, domain: CreateDomain) -> Outcome:
    """If the config leaves the choice of a rack to GKE, one must be free."""
    wanted, owner = site.reservation(domain)
    if site.pool(domain.name) is not None:
        return passed(f"the config names none; this cluster's pool {domain.name} has its rack already")
    blocks = [wanted.block] if wanted.block else site.cloud.blocks(owner, domain.zone, wanted.name)
    racks = [rack for block in blocks for rack in site.cloud.sub_blocks(owner, domain.zone, wanted.name, block)]
    fitting = [rack for rack in racks if rack.count - rack.in_use >= domain.nodes]
    if not fitting:
        return failed(
            f"none of {len(racks)} sub-blocks has {domain.nodes} hosts free",
            f"free one, or set domains.{domain.name}.nodes lower: a domain never spans two racks",
        )
    healthy = [rack.name for rack in fitting if rack.health != "DEGRADED"]
    if not healthy:
        return warned(f"every sub-block with {domain.nodes} free hosts is degraded", "ask Google's support for repair")
    return passed(f"the config names none; free and not degraded: {', '.join(healthy)}")


def network_quota(site: Site, network: CreateNetwork) -> Outcome:
    """Networks, subnets, firewall rules and routers to be created fit into the project's quotas."""
    existing = {name for name, network in site.networks().items() if site.is_own_network(network)}
    coming = [part for name, part in site.own_networks().items() if name not in existing]
    if not coming:
        return passed("the networks exist already")
    counts = {
        "NETWORKS": len(coming),
        "SUBNETWORKS": sum(SUBNETS[part] for part in coming),
        "FIREWALLS": sum(FIREWALLS[part] for part in coming) if network.firewall == "own" else 0,
        "ROUTERS": sum(ROUTERS[part] for part in coming) if network.nat == "own" else 0,
    }
    needs = [Need(metric, count, count) for metric, count in counts.items()]
    return _fits(site.cloud.project_quotas(site.settings.project), needs, "project")


def system_quota(site: Site) -> Outcome:
    """The system pool's first nodes fit into the quotas; a warning if its maximum would not."""
    if site.pool(system_pool.NAME) is not None:
        return passed("the system pool exists already")
    settings = site.settings
    zones = 1 if settings.location != settings.region else ZONES_OF_A_CLUSTER
    vcpus = Need("CPUS", zones * system_pool.CPUS, system_pool.NODES_MAX * system_pool.CPUS)
    disks = Need("SSD_TOTAL_GB", zones * system_pool.DISK_GB, system_pool.NODES_MAX * system_pool.DISK_GB)
    region = _fits(site.cloud.region_quotas(settings.project, settings.region), [vcpus, disks], settings.region)
    everywhere = Need("CPUS_ALL_REGIONS", vcpus.now, vcpus.later)
    whole = _fits(site.cloud.project_quotas(settings.project), [everywhere], "project")
    return _worse(region, whole)


def nat_quota(site: Site) -> Outcome:
    """One address for Cloud NAT. Never fails: whether allocated addresses count is up to Google."""
    settings = site.settings
    network = site.networks().get(next(iter(site.own_networks())))
    if network is not None and site.is_own_network(network):
        return passed("the cluster's network exists already")
    quota = site.cloud.region_quotas(settings.project, settings.region).get("STATIC_ADDRESSES")
    if quota is None:
        return skipped(f"{settings.region} states no STATIC_ADDRESSES")
    if quota.free < 1:
        return warned(f"STATIC_ADDRESSES: {_share(quota)}", _more("STATIC_ADDRESSES", settings.region))
    return passed(f"STATIC_ADDRESSES: {_share(quota)}, 1 needed")


def hyperdisk_quota(site: Site) -> Outcome:
    """Boot disks of the A4X nodes fit. GPUs, CPUs and local SSDs of reserved machines need no quota."""
    settings = site.settings
    coming = [domain for domain in settings.created_domains if site.pool(domain.name) is None]
    if not coming:
        return passed("the node pools exist already")
    disks = sum(domain.nodes * domain.pool.boot_disk_gb for domain in coming)
    need = Need("HDB_TOTAL_GB", disks, disks)
    return _fits(site.cloud.region_quotas(settings.project, settings.region), [need], settings.region)


def _fits(quotas: Mapping[str, Quota], needs: Sequence[Need], where: str) -> Outcome:
    judged = [(need, quotas[need.metric]) for need in needs if need.metric in quotas and need.later]
    if not judged:
        return skipped(f"{where} states no {', '.join(need.metric for need in needs)}")
    short = [(need, quota) for need, quota in judged if quota.free < need.now]
    tight = [(need, quota) for need, quota in judged if quota.free < need.later]
    if short:
        words = "; ".join(f"{need.metric}: {_share(quota)}, {need.now:g} needed" for need, quota in short)
        return failed(words, _more(", ".join(need.metric for need, _ in short), where))
    if tight:
        words = "; ".join(
            f"{need.metric}: {_share(quota)}, {need.now:g} needed at first, {need.later:g} at most"
            for need, quota in tight
        )
        return warned(words, _more(", ".join(need.metric for need, _ in tight), where))
    return passed(", ".join(f"{need.metric} {need.later:g} of {quota.free:g} free" for need, quota in judged))


def _share(quota: Quota) -> str:
    return f"{quota.free:g} of {quota.limit:g} free"


def _more(metrics: str, where: str) -> str:
    place = "for the project" if where == "project" else f"in {where}"
    return f"ask for more of {metrics} {place}: https://console.cloud.google.com/iam-admin/quotas"


def _worse(one: Outcome, other: Outcome) -> Outcome:
    """Both findings under the worse status; a skipped one does not count."""
    order = ("skip", "pass", "warn", "fail")
    first, second = sorted((one, other), key=lambda outcome: order.index(outcome.status), reverse=True)
    if first.status == second.status and first.status != "skip":
        fixes = [fix for fix in (first.fix, second.fix) if fix]
        return Outcome(first.status, f"{first.finding}; {second.finding}", "; ".join(fixes))
    return first

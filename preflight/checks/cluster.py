"""The GKE cluster, its pools and their nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from preflight.cloud import Cluster, Node
from preflight.results import NO_CLUSTER, Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import cluster as requirements
from reference import gke, machines
from reference.cluster import ClusterFacts, Lack, PoolFacts, pool_lacks
from reference.machines import A4X
from settings.model import CreateCluster, CreateDomain, Domain
from validation.problems import RuleError

TERMINATION_TAINT: Final = "cloud.google.com/impending-node-termination"
"""GKE before 1.34.1-gke.2037001 does not remove it from GPU nodes after host maintenance."""
LISTED_MAX: Final = 3
"""Nodes that are listed in one line."""

_NOT_RUN: Final = f"1.{gke.RUN_MINOR} is the last that was"


def offered_version(site: Site, cluster: CreateCluster) -> Outcome:
    """The channel offers the version, and the Dynamo release supports the build that it resolves to."""
    settings = site.settings
    wanted, channel = gke.alias(cluster.version), cluster.channel
    if site.own_cluster() is not None:
        return running_version(site)
    offer = site.cloud.versions(settings.project, settings.location, channel)
    where = f"{channel} in {settings.location}"
    builds = [build for build in offer.valid if build == wanted or build.startswith((f"{wanted}.", f"{wanted}-"))]
    if not builds:
        return failed(
            f"{where} offers no {wanted}; it offers {_minors(offer.valid)} (default {offer.default or 'none'})",
            "set cluster.version or cluster.channel to one that is offered, inside the Dynamo release's window",
        )
    newest = max(builds, key=_order)
    window = gke.version_window(settings.profile)
    try:
        window.check(newest)
    except RuleError as error:
        return failed(f"{wanted} stands for {newest} in {where}: {error.rule}", error.fix)
    if window.warning(newest):
        return warned(f"{where} offers {newest} for {wanted}, which was not run", _NOT_RUN)
    return passed(f"{where} offers {newest} for {wanted}")


def running_version(site: Site) -> Outcome:
    """The Dynamo release supports the cluster's version."""
    cluster = site.cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    window = gke.version_window(site.settings.profile)
    lack = requirements.version(_facts(site, cluster), window)
    if lack is not None:
        return failed(lack.finding, lack.fix)
    if window.warning(cluster.version):
        return warned(f"the cluster runs {cluster.version}, which was not run", _NOT_RUN)
    return passed(f"the cluster runs {cluster.version}")


def name_free(site: Site) -> Outcome:
    """No other cluster has the name of the one to create."""
    cluster = site.cluster()
    if cluster is None:
        return passed(f"the name {site.settings.cluster.name} is free")
    if site.is_own(cluster.labels):
        return passed(f"{cluster.name} exists and is this environment's own ({cluster.status})")
    return failed(
        f"{cluster.name} exists in {cluster.location}, and this environment did not make it",
        "choose another cluster.name, or set cluster.mode: adopt",
    )


def exists(site: Site) -> Outcome:
    """The cluster to adopt exists and runs."""
    cluster, settings = site.cluster(), site.settings
    if cluster is None:
        known = site.cloud.cluster_names(settings.project)
        return failed(
            f"there is no cluster {settings.cluster.name} in {settings.location}",
            f"correct cluster.name, cluster.location or gcp:region; the project has: {', '.join(known) or 'none'}",
        )
    if cluster.status != "RUNNING":
        return failed(f"{cluster.name} is {cluster.status}", "wait until it is RUNNING, or repair it")
    return passed(f"{cluster.name} in {cluster.location} is running")


def lacks(site: Site, requirement: Callable[[ClusterFacts], Lack | None], met: str = "requirement met") -> Outcome:
    """A requirement of `reference.cluster` is met by the cluster to adopt."""
    cluster = site.cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    lack = requirement(_facts(site, cluster))
    return passed(met) if lack is None else failed(lack.finding, lack.fix)


def _facts(site: Site, cluster: Cluster) -> ClusterFacts:
    return ClusterFacts(
        name=cluster.name,
        location=cluster.location,
        project=site.settings.project,
        datapath=cluster.datapath,
        calico=cluster.calico,
        multi_networking=cluster.multi_networking,
        workload_pool=cluster.workload_pool,
        gcs_fuse=cluster.gcs_fuse,
        version=cluster.version,
    )


def pool(site: Site, domain: Domain) -> Outcome:
    """The node pool to adopt is an A4X domain of the configured zone and size, with all its NICs."""
    cluster, found = site.cluster(), site.pool(domain.name)
    if cluster is None:
        return skipped(NO_CLUSTER)
    if found is None:
        known = ", ".join(sorted(cluster.pools)) or "none"
        return failed(
            f"the cluster has no node pool {domain.name}",
            f"name the domain after its pool ({known}), or set domains.{domain.name}.mode: create",
        )
    size = sum(site.cloud.group_size(group) for group in found.groups)
    facts = PoolFacts(
        found.machine_type,
        found.zones,
        size,
        found.additional_networks,
        found.accelerator_profile,
        found.accelerator_profile == "auto" or found.labels.get(gke.DRANET_LABEL) == "true",
    )
    rdma = site.settings.cluster.rdma
    wrong = list(pool_lacks(facts, domain.name, zone=domain.zone, nodes=domain.nodes, rdma=rdma))
    if wrong:
        return failed("; ".join(lack.finding for lack in wrong), "; ".join(lack.fix for lack in wrong))
    finding = f"{size} nodes of {found.machine_type} in {domain.zone}"
    if found.status != "RUNNING":
        return warned(f"{finding}, and it is {found.status}", "wait until it is RUNNING")
    return passed(finding)


def free_nodes(site: Site, domain: Domain) -> Outcome:
    """Enough of the domain's nodes are ready and free for its fabric test and stacks: a layout needs all its nodes."""
    wanted = site.worker_nodes(domain)
    cluster = site.own_cluster()
    if cluster is None or site.pool(domain.name) is None:
        return skipped("the pool does not exist yet" if isinstance(domain, CreateDomain) else NO_CLUSTER)
    if not wanted:
        return skipped("no stack is placed here")
    nodes = site.nodes(cluster, domain.name)
    own = {stack.space for stack in site.settings.stacks}
    held = Counter(pod.node for pod in site.pods(cluster) if pod.gpus and pod.namespace not in own)
    reasons = {node.name: reason for node in nodes if (reason := _unusable(node, held[node.name]))}
    free = len(nodes) - len(reasons)
    finding = f"{free} of {len(nodes)} nodes are free, the stacks take {wanted}"
    if domain.tested_nodes > wanted:
        wanted = domain.tested_nodes
        finding += f", the fabric test {wanted}"
    why = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())[:LISTED_MAX])
    if len(reasons) > LISTED_MAX:
        why += f"; and {len(reasons) - LISTED_MAX} more"
    if free < wanted:
        return failed(
            f"{finding} ({why or 'the pool is too small'})", f"free or repair them: kubectl get nodes {_select(domain)}"
        )
    if why:
        return warned(f"{finding} ({why})", f"kubectl get nodes {_select(domain)}")
    return passed(finding)


def _unusable(node: Node, pods: int) -> str:
    if not node.ready:
        return "not ready"
    if not node.schedulable:
        return "cordoned"
    if TERMINATION_TAINT in node.taints:
        return "tainted for termination"
    if node.gpus < A4X.gpus:
        return f"{node.gpus} of {A4X.gpus} GPUs"
    return "GPUs held by other pods" if pods else ""


def _select(domain: Domain) -> str:
    return f"-l {machines.NODE_POOL_KEY}={domain.name}"


def _order(build: str) -> tuple[int, ...]:
    return tuple(int(part) for part in build.replace("-gke", "").split(".") if part.isdigit())


def _minors(builds: Iterable[str]) -> str:
    found = {".".join(build.split(".")[:2]) for build in builds}
    return ", ".join(sorted(found, key=_order)) or "nothing"

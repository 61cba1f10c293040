"""Nodes for pods without a GPU, and images for all pods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from preflight.cloud import CloudError, Cluster, Node, Pod
from preflight.results import NO_CLUSTER, Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference.capacity import MODEL_DOWNLOAD, Size
from reference.footprint import READINESS_CHECK
from reference.machines import Toleration
from reference.registry import PYTHON_IMAGE
from settings import artifacts

AMD64: Final = "amd64"
LISTED_MAX: Final = 3


@dataclass(frozen=True)
class Guest:
    """A pod of the program itself: on amd64 nodes without taints, or on any with `dynamo.systemTolerations`."""

    name: str
    size: Size
    """Its requests."""


CHECK: Final = Guest("the readiness check", READINESS_CHECK)
"""`pulumi up` waits for it and does not show why it cannot be scheduled."""
DOWNLOAD: Final = Guest("the download", MODEL_DOWNLOAD)


def system(site: Site) -> Outcome:
    """A node has room for the readiness check and the downloads."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    guests = [CHECK, *([DOWNLOAD] if site.settings.model_bucket.download else [])]
    found = [_place(site, cluster, guest) for guest in guests]
    worst = next((o for status in ("fail", "warn", "skip") for o in found if o.status == status), None)
    return worst or passed("; ".join(outcome.finding for outcome in found))


def _place(site: Site, cluster: Cluster, guest: Guest) -> Outcome:
    tolerant = site.settings.dynamo.system_tolerations
    tolerations = site.settings.system_tolerations
    nodes = site.labelled(cluster, "") if tolerant else site.x86_nodes(cluster)
    kind = "nodes" if tolerant else "amd64 nodes"
    open_ = [node for node in nodes if node.ready and node.schedulable and tolerated(node, tolerations)]
    if not open_ and tolerant and any(site.pool(domain.name) is None for domain in site.settings.created_domains):
        return skipped("it runs on the domain's nodes, which do not exist yet")
    if not open_:
        closed = ", ".join(f"{node.name} ({_why(node)})" for node in nodes[:LISTED_MAX])
        return failed(
            f"none of {len(nodes)} {kind} takes {guest.name}{f': {closed}' if closed else ''}",
            "add a node pool of x86 machines without taints, or tolerate theirs with pods.systemTolerations"
            + ("" if tolerant else ", or those of A4X with dynamo.systemTolerations: true"),
        )
    pods = site.pods(cluster)
    roomy = [node for node in open_ if _has_room(node, guest, [pod for pod in pods if pod.node == node.name])]
    if not roomy:
        return warned(
            f"{len(open_)} of {len(nodes)} {kind} are schedulable, but none has {guest.size} free for {guest.name}",
            "free capacity, or let the cluster autoscaler add a node",
        )
    return passed(f"{len(roomy)} of {len(nodes)} {kind} have room for {guest.name}")


def tolerated(node: Node, tolerations: Iterable[Toleration]) -> bool:
    """Whether pods with these tolerations may run on the node, whatever the taints' values and effects."""
    keys = {toleration.get("key", "") for toleration in tolerations}
    return "" in keys or not node.taints - keys


def _why(node: Node) -> str:
    if not node.ready:
        return "not ready"
    return "tainted: " + ", ".join(sorted(node.taints)) if node.schedulable else "cordoned"


def _has_room(node: Node, guest: Guest, pods: list[Pod]) -> bool:
    cpu, memory = sum(pod.cpu for pod in pods), sum(pod.memory for pod in pods)
    return node.cpu - cpu >= guest.size.cpu and node.memory - memory >= guest.size.memory and len(pods) < node.pods


@dataclass(frozen=True)
class Use:
    """An image, and the architecture of its nodes."""

    image: str
    architecture: str
    key: str
    """Config key to choose another one; empty if there is none."""


def uses(site: Site) -> list[Use]:
    """Every image of the stacks and the program's own Jobs that comes from no mirror."""
    mirrors = site.settings.mirrors
    return [
        Use(image.source, architecture, image.key)
        for image in artifacts.images_of(site.settings)
        # With two architectures it is one of any nodes; images of charts and of Google are known to be there.
        if (image.key or image.source == PYTHON_IMAGE) and not mirrors.covers(image.source)
        for architecture in image.architectures[:1]
    ]


def image(site: Site, name: str) -> Outcome:
    """The image exists in its registry, for the architecture of its nodes."""
    wanted = [use for use in uses(site) if use.image == name]
    try:
        found = site.cloud.image(name)
    except CloudError as error:
        if error.trouble == "missing":
            return failed(f"there is no such image: {error}", _fix(wanted))
        return skipped(f"not seen from here: {error}")
    if not found.architectures:
        return passed("there; its registry does not list its architectures")
    missing = [use for use in wanted if use.architecture not in found.architectures]
    if missing:
        listed = ", ".join(sorted(found.architectures))
        return failed(f"it is built for {listed}, and it would run on {missing[0].architecture}", _fix(missing))
    return passed(f"there, for {', '.join(sorted(found.architectures))}")


def _fix(wanted: list[Use]) -> str:
    keys = ", ".join(use.key for use in wanted if use.key)
    return f"name another in {keys}" if keys else "report this line to the project"

"""Whether frontends fit on the nodes of an adopted cluster, by the nodes' allocatable resources."""

from __future__ import annotations

from collections import Counter

from preflight.checks.cluster import NO_CLUSTER
from preflight.checks.nodes import tolerated
from preflight.cloud import Node
from preflight.results import Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import capacity
from reference.capacity import Size
from reference.footprint import FRONTEND, SIDECAR
from reference.machines import A4X
from serving_rules import layout


def frontends(site: Site) -> Outcome:
    """The stacks' frontends fit on their A4X or x86 nodes; other pods are not counted.

    Readiness of A4X nodes is checked by "free nodes". Too few x86 nodes are a warning: their pools may grow.
    """
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    wanted = _wanted(site)
    tolerations = [*A4X.tolerations(), *site.settings.said_tolerations]
    said: list[str] = []
    short: list[str] = []
    for place, count in sorted(wanted.items()):
        if place and site.pool(place) is None:
            continue
        nodes = site.nodes(cluster, place) if place else site.x86_nodes(cluster)
        room = sum(_holds(node) for node in nodes if place or tolerated(node, tolerations))
        finding = f"{room} fit on {len(nodes)} {'nodes of ' + place if place else 'x86 nodes'}, the stacks take {count}"
        said.append(finding)
        short += [place] if room < count else []
    if not said:
        return skipped("their node pool does not exist yet")
    finding = "; ".join(said)
    fix = "set frontend.replicas lower, or frontend.placement to nodes with more room"
    if any(short):
        return failed(finding, fix)
    return warned(finding, f"{fix}; or let the x86 node pools grow") if short else passed(finding)


def _wanted(site: Site) -> Counter[str]:
    """Frontends by node pool; the empty name means the x86 nodes."""
    found: Counter[str] = Counter()
    for stack in site.settings.stacks:
        place = stack.domain if stack.frontend.placement == "a4x" else ""
        found[place] += stack.frontend.replicas or layout.load(stack.layout).file.frontend.replicas
    return found


def _holds(node: Node) -> int:
    kind = capacity.Node(Size(node.cpu, node.memory), node.pods)
    return kind.holds(FRONTEND + SIDECAR)

"""Whether the pods without a GPU fit on the nodes, by CPU, memory and number: frontends, benchmark clients, and the
readiness checks, which always run on the system nodes.

Only what no scheduler could place is a problem. What the program cannot know is left to preflight: the nodes of an
adopted cluster, and other pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reference import capacity, system_pool
from reference.capacity import Node
from reference.footprint import BENCHMARK, FRONTEND, READINESS_CHECK, SIDECAR
from serving_rules import layout
from settings.model import AdoptCluster, CreateDomain, Settings, Stack
from validation.problems import Problem


@dataclass(frozen=True)
class Place:
    """A set of identical nodes for pods without a GPU."""

    name: str
    """For messages."""
    kind: Node
    nodes: int
    more: str
    """What gives more room, for messages."""
    checks: int = 0
    """Readiness checks that run here."""


@dataclass(frozen=True)
class Wanted:
    """Pods without a GPU of some stacks."""

    frontends: int = 0
    clients: int = 0

    def __add__(self, other: Wanted) -> Wanted:
        return Wanted(self.frontends + other.frontends, self.clients + other.clients)

    def fits(self, place: Place) -> bool:
        """Whether they fit if nothing else runs there."""
        return capacity.fits(
            place.kind,
            place.nodes,
            [
                (FRONTEND + SIDECAR, self.frontends),
                (BENCHMARK + SIDECAR, self.clients),
                (READINESS_CHECK, place.checks),
            ],
        )


def check(settings: Settings) -> Iterator[Problem]:
    """Stacks whose pods do not fit into what the stacks before them leave."""
    taken: dict[str, Wanted] = {}
    for i, stack in enumerate(settings.stacks):
        place, wanted = _place(settings, stack), _wanted(stack)
        if place is None or wanted is None:
            continue
        before = taken.get(place.name, Wanted())
        if (before + wanted).fits(place):
            taken[place.name] = before + wanted
        else:
            yield _problem(f"stacks[{i}]", stack, place, before, wanted)


def _place(settings: Settings, stack: Stack) -> Place | None:
    """Where a stack's frontends go; None if the program does not know those nodes."""
    if stack.frontend.placement == "a4x":
        domain = settings.domain(stack.domain)
        if domain is None:
            return None
        pods = capacity.PODS_PER_NODE if isinstance(domain, CreateDomain) else capacity.PODS_PER_NODE_MAX
        kind = capacity.a4x_node(pods)
        # Every node of the domain may hold a worker, which requests only GPUs.
        kind = Node(kind.room, kind.pods - 1)
        return Place(f"domain {domain.name!r}", kind, domain.nodes, "a larger domain")
    if isinstance(settings.cluster, AdoptCluster):
        return None
    checks = sum(stack.wait for stack in settings.stacks)
    return Place("the system pool", system_pool.node(), system_pool.NODES_MAX, "frontend.placement: a4x", checks)


def _wanted(stack: Stack) -> Wanted | None:
    replicas = stack.frontend.replicas
    if replicas is None:
        try:
            replicas = layout.load(stack.layout).file.frontend.replicas
        except layout.LayoutError:
            return None
    return Wanted(replicas, int(stack.benchmark))


def _problem(key: str, stack: Stack, place: Place, before: Wanted, wanted: Wanted) -> Problem:
    own = stack.frontend.replicas is not None
    frontend, client = FRONTEND + SIDECAR, BENCHMARK + SIDECAR
    pods = [f"{wanted.frontends} frontends of {frontend}"]
    pods += [f"a benchmark client of {client}"] if wanted.clients else []
    pods += [f"{before.frontends} frontends and {before.clients} clients of other stacks"] if before.frontends else []
    most = _most(place, before, wanted.clients)
    fewer = f"set frontend.replicas to {most} or fewer" if most else "place this stack's frontends elsewhere"
    return Problem(
        f"{key}.frontend.replicas" if own else f"{key}.layout",
        stack.frontend.replicas if own else stack.layout,
        f"{', '.join(pods)} (gcsfuse sidecars counted) do not fit: {place.name} has {place.nodes} "
        f"node{'s' if place.nodes > 1 else ''} with {place.kind.room} for pods, so up to "
        f"{place.kind.holds(frontend)} frontend{'s' if place.kind.holds(frontend) > 1 else ''} on each",
        f"{fewer}, or choose {place.more}",
    )


def _most(place: Place, before: Wanted, clients: int) -> int:
    """The most frontends of one stack that still fit."""
    low, high = 0, place.nodes * place.kind.holds(FRONTEND + SIDECAR)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if (before + Wanted(middle, clients)).fits(place) else (low, middle - 1)
    return low

"""Which graph has which nodes: running pods keep theirs, others get free ones, in order of creation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rehearsal.simulator.gcp.rules import MACHINE_A4X, NODE_POOL, short
from rehearsal.simulator.kubernetes import pods
from rehearsal.simulator.state import CloudResource, CloudState, Key, Seats
from rehearsal.simulator.values import Props, items, text
from rehearsal.simulator.workloads import kai, rolls, serving
from rehearsal.simulator.workloads.serving import Role

TAINTS = (("kubernetes.io/arch", "arm64"), ("nvidia.com/gpu", "present"))
"""Taints of every A4X node, effect NoSchedule."""


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """What prevents pods of a graph from getting a node."""
    what = serving.display_name(graph)
    for role in serving.roles(graph):
        yield from _placed(state, cluster, role, f"{what}, {role.name}")
    yield from shortages(state, cluster, graph)


def shortages(
    state: CloudState, cluster: str, graph: Props, replicas: Mapping[str, int] | None = None
) -> Iterator[str]:
    """The pools with fewer free nodes than a graph wants, or would want with `replicas` of its roles."""
    what = serving.display_name(graph)
    seats = _seats(state, cluster)
    has = seats.get(serving.key_of(graph, cluster), {})
    wanted = _wanted(state, cluster, graph, replicas or {})
    for name in dict.fromkeys(pool for pool, _ in wanted):
        pool = _pool(state, cluster, name)
        mine = {seat: count for seat, count in wanted.items() if seat[0] == name}
        if pool is None or all(has.get(seat, 0) >= count for seat, count in mine.items()):
            continue
        size, total = serving.pool_size(pool), sum(mine.values())
        others = sum(sum(_of_pool(its, name)) for key, its in seats.items() if key != serving.key_of(graph, cluster))
        free = max(sum(_of_pool(has, name)), size - others - state.cordoned.get(pool.id, 0))
        if _at_once(state, cluster) and not any(_of_pool(has, name)):
            # M3, N4
            gang = sum(_of_pool(_base(state, cluster, graph), name))
            yield (
                f"{what} stays pending: nothing starts: its gang has to get {gang} GPU nodes of node pool {name} at "
                f"once, {free} of {size} are free"
            )
        else:
            yield f"{what} stays pending: {total} GPU nodes wanted in node pool {name}, {free} of {size} are free"


def in_use(state: CloudState, cluster: str, pool: str) -> int:
    """Nodes of a pool that are used by pods of graphs."""
    return sum(sum(_of_pool(seats, pool)) for seats in _seats(state, cluster).values())


def running(state: CloudState, graph: CloudResource) -> dict[str, int]:
    """Whole replicas of each GPU role of a graph that have their nodes."""
    seats = _seats(state, graph.scope).get(graph.key, {})
    found: dict[str, int] = {}
    for role in serving.roles(graph.outputs):
        if role.gpus:
            nodes = sum(count for (_, name), count in seats.items() if name == role.name)
            found[role.name] = nodes // role.nodes_of_replica
    return found


def rolled(state: CloudState, graph: CloudResource, before: Props) -> None:
    """Release the nodes of those GPU pods of a graph that a change recreates: cordoned nodes take no new ones."""
    gone = rolls.rolled(state, graph.scope, before, graph.outputs)
    seats = state.seats.get(graph.key, {})
    state.seats[graph.key] = {seat: count for seat, count in seats.items() if seat[1] not in gone}


def _placed(state: CloudState, cluster: str, role: Role, where: str) -> Iterator[str]:
    """Problems with the placement of a role's pods."""
    chosen = pods.pools_of(role.pod)
    if role.gpus and not chosen:
        yield (
            f"{where}: GPU pods without {pods.POOL_LABEL} may be spread over two NVLink domains, which answers with "
            "empty contents and no error"
        )
    if role.gpus > serving.GPUS_PER_NODE:
        yield f"{where}: {role.gpus} GPUs a pod, a node has {serving.GPUS_PER_NODE}"
    found = [pool for pool in (_pool(state, cluster, name) for name in chosen) if pool is not None]
    if chosen and not found:
        yield f"{where}: no node pool {', '.join(chosen)} in the cluster: pods stay Pending"
    for pool in found:
        yield from untolerated(pool, role.pod, where)


def pool_of(state: CloudState, cluster: str, pod: Props) -> CloudResource | None:
    """The first node pool in the cluster that a pod is bound to."""
    found = (_pool(state, cluster, name) for name in pods.pools_of(pod))
    return next((pool for pool in found if pool is not None), None)


def untolerated(pool: CloudResource, pod: Props, where: str) -> Iterator[str]:
    """Taints of an A4X pool that a pod does not tolerate."""
    if not text(pool.outputs, "nodeConfig.machineType").startswith(MACHINE_A4X):
        return
    tolerations = items(pod, "tolerations")
    for key, value in TAINTS:
        if not any(_matches(toleration, key, value) for toleration in tolerations):
            yield (
                f"{where}: 0/{serving.pool_size(pool)} nodes are available: untolerated taint "
                f"{{{key}: {value}}} of node pool {text(pool.outputs, 'name')}"
            )


def _matches(toleration: Props, key: str, value: str) -> bool:
    if text(toleration, "effect") not in ("", "NoSchedule"):
        return False
    if text(toleration, "operator") == "Exists":
        return text(toleration, "key") in ("", key)
    return text(toleration, "key") == key and text(toleration, "value") == value


def _wanted(state: CloudState, cluster: str, graph: Props, replicas: Mapping[str, int]) -> Seats:
    """GPU nodes that a graph needs for all its pods; `replicas` instead of its own, by role.

    Pods that name no pool, as the recipe's, may go to any A4X pool (read: NodeAffinity of kube-scheduler); here all of
    them go to the oldest.
    """
    wanted: Seats = {}
    for role in serving.roles(graph):
        chosen = pods.pools_of(role.pod)
        pools = [name for name in chosen if _pool(state, cluster, name) is not None]
        if not chosen:
            pools = _a4x_pools(state, cluster)
        if role.gpus and pools:
            wanted[pools[0], role.name] = replace(role, replicas=replicas.get(role.name, role.replicas)).nodes
    return wanted


def _base(state: CloudState, cluster: str, graph: Props) -> Seats:
    """GPU nodes of the replicas that come first: as many of each role as it says, or one.

    The pods of later replicas stay gated until these run (V19, M3, N3, N4).
    """
    least = {role.name: min(role.replicas, role.min_available or 1) for role in serving.roles(graph)}
    return _wanted(state, cluster, graph, least)


def _at_once(state: CloudState, cluster: str) -> bool:
    """Whether KAI starts all pods of the first replicas together or none, and each later replica whole.

    From 1.1 on (M3, N3). Before, a gang holds one pod of each clique (R12), and with KAI 0.9 one pod (V8).
    """
    platform, release = serving.platform(state, cluster), serving.operator(state, cluster)
    if platform is None or release is None or not platform.whole_cliques or kai.installed(state, cluster) is None:
        return False
    return kai.operator_uses(state, cluster, serving.version_of(release), release.inputs)


def _seats(state: CloudState, cluster: str) -> dict[Key, Seats]:
    """Nodes of each graph: one round of the scheduler, which remembers the assignment."""
    graphs = {graph.key: graph.outputs for graph in serving.graphs(state, cluster)}
    living = {key: _wanted(state, cluster, graph, {}) for key, graph in graphs.items()}
    seats: dict[Key, Seats] = {key: {} for key in living}
    whole = _at_once(state, cluster)
    for name in {pool for wanted in living.values() for pool, _ in wanted}:
        pool = _pool(state, cluster, name)
        free = serving.pool_size(pool) if pool is not None else 0
        for key, wanted in living.items():
            for seat in (seat for seat in wanted if seat[0] == name):
                seats[key][seat] = min(state.seats.get(key, {}).get(seat, 0), wanted[seat], free)
                free -= seats[key][seat]
        # Running pods stay on a cordoned node, new ones do not get it.
        free -= state.cordoned.get(pool.id, 0) if pool is not None else 0
        for key, wanted in living.items():
            first = {seat: count for seat, count in _base(state, cluster, graphs[key]).items() if seat[0] == name}
            missing = {seat: max(0, count - seats[key][seat]) for seat, count in first.items()}
            if whole and sum(missing.values()) > max(free, 0):
                continue
            for seat, count in missing.items():
                more = max(0, min(count, free))
                seats[key][seat] += more
                free -= more
            for seat in (seat for seat in wanted if seat[0] == name):
                each = _replica(graphs[key], seat[1]) if whole else 1
                more = max(0, min(wanted[seat] - seats[key][seat], free)) // each * each
                seats[key][seat] += more
                free -= more
    state.seats = {**{key: value for key, value in state.seats.items() if key[1] != cluster}, **seats}
    return seats


def _replica(graph: Props, name: str) -> int:
    return next(role.nodes_of_replica for role in serving.roles(graph) if role.name == name)


def _of_pool(seats: Seats, pool: str) -> list[int]:
    return [count for (name, _), count in seats.items() if name == pool]


def _a4x_pools(state: CloudState, cluster: str) -> list[str]:
    pools = state.find(NODE_POOL, where=lambda pool: pool.id.startswith(f"{cluster}/"))
    machine = "nodeConfig.machineType"
    return [text(pool.outputs, "name") for pool in pools if text(pool.outputs, machine).startswith(MACHINE_A4X)]


def _pool(state: CloudState, cluster: str, name: str) -> CloudResource | None:
    path = cluster.split("/")
    for pool in state.find(NODE_POOL, where=lambda t: text(t.outputs, "name") == name):
        if short(text(pool.outputs, "cluster")) == path[-1] and pool.id.startswith(f"{cluster}/"):
            return pool
    return None

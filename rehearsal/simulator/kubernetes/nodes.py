"""Which graph has which nodes: running pods keep theirs, others get free ones, in order of creation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rehearsal.simulator.gcp.rules import MACHINE_A4X, NODE_POOL, short
from rehearsal.simulator.kubernetes import pods
from rehearsal.simulator.state import CloudResource, CloudState, Key
from rehearsal.simulator.values import Props, items, text
from rehearsal.simulator.workloads import serving
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
    has = _seats(state, cluster).get(serving.key_of(graph, cluster), {})
    for name, nodes in _wanted(state, cluster, graph, replicas or {}).items():
        pool = _pool(state, cluster, name)
        if pool is not None and has.get(name, 0) < nodes:
            yield (
                f"{what} stays pending: {nodes} GPU nodes wanted in node pool {name}, {has.get(name, 0)} of "
                f"{serving.pool_size(pool)} are free"
            )


def in_use(state: CloudState, cluster: str, pool: str) -> int:
    """Nodes of a pool that are used by pods of graphs."""
    return sum(seats.get(pool, 0) for seats in _seats(state, cluster).values())


def rolled(state: CloudState, graph: CloudResource, before: Props) -> None:
    """Release the nodes of a graph whose GPU pods a change recreates: cordoned nodes take no new ones."""
    olds, news = _templates(before), _templates(graph.outputs)
    if any(olds.get(name) != template for name, template in news.items()):
        state.seats.pop(graph.key, None)


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


def _wanted(state: CloudState, cluster: str, graph: Props, replicas: Mapping[str, int]) -> dict[str, int]:
    """GPU nodes that a graph needs for all its pods, by node pool; `replicas` instead of its own, by role.

    Pods that name no pool, as the recipe's, may go to any A4X pool (read: NodeAffinity of kube-scheduler); here all of
    them go to the oldest.
    """
    wanted: dict[str, int] = {}
    for role in serving.roles(graph):
        chosen = pods.pools_of(role.pod)
        pools = [name for name in chosen if _pool(state, cluster, name) is not None]
        if not chosen:
            pools = _a4x_pools(state, cluster)
        if role.gpus and pools:
            count = replace(role, replicas=replicas.get(role.name, role.replicas)).nodes
            wanted[pools[0]] = wanted.get(pools[0], 0) + count
    return wanted


def _seats(state: CloudState, cluster: str) -> dict[Key, dict[str, int]]:
    """Nodes of each graph by pool: one round of the scheduler, which remembers the assignment."""
    living = {graph.key: _wanted(state, cluster, graph.outputs, {}) for graph in serving.graphs(state, cluster)}
    seats: dict[Key, dict[str, int]] = {key: {} for key in living}
    for name in {pool for wanted in living.values() for pool in wanted}:
        pool = _pool(state, cluster, name)
        free = serving.pool_size(pool) if pool is not None else 0
        for key, wanted in living.items():
            seats[key][name] = min(state.seats.get(key, {}).get(name, 0), wanted.get(name, 0), free)
            free -= seats[key][name]
        # Running pods stay on a cordoned node, new ones do not get it.
        free -= state.cordoned.get(pool.id, 0) if pool is not None else 0
        for key, wanted in living.items():
            more = max(0, min(wanted.get(name, 0) - seats[key][name], free))
            seats[key][name] += more
            free -= more
    state.seats = {**{key: value for key, value in state.seats.items() if key[1] != cluster}, **seats}
    return seats


def _templates(graph: Props) -> dict[str, Any]:
    """Pod templates of the GPU roles."""
    return {role.name: role.template for role in serving.roles(graph) if role.gpus}


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

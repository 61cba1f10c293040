"""Whether the scheduler can place the pods of a graph: what Grove rejects, and nodes that are too small.

Rows R11 and M17 of what was seen on real operators (docs/explanation/what-was-run.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rehearsal.simulator.gcp.rules import MACHINE_A4X, NODE_POOL
from rehearsal.simulator.kubernetes import pods
from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import Props, items, mapping, text
from rehearsal.simulator.workloads import serving

MACHINES: Final = {MACHINE_A4X: (140.0, 884.0)}
"""CPUs and GiB of a machine, before any reservation: an upper bound."""
PODS: Final = 110
"""Pods per node, unless its pool says otherwise."""

_UNITS: Final = {"": 1.0, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "K": 1e3, "M": 1e6, "G": 1e9}


def refused(graph: Props) -> Iterator[str]:
    """What Grove's webhook denies, so that the graph's state is `failed` and no pod is created."""
    for role in serving.roles(graph):
        if items(role.pod, "topologySpreadConstraints"):
            # Seen on Grove alpha.8 and later (M17).
            yield (
                f"{role.name}: state failed: Grove's webhook denied the request: topologySpreadConstraints are not "
                "allowed in the pod spec of a clique"
            )


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """What prevents pods of a graph from ever getting a node."""
    for role in serving.roles(graph):
        yield from _too_many(state, cluster, role)


def _too_many(state: CloudState, cluster: str, role: serving.Role) -> Iterator[str]:
    """A role with more pods than its node pool has room for."""
    for pool in state.find(NODE_POOL, where=lambda resource: resource.id.startswith(f"{cluster}/")):
        name, nodes = text(pool.outputs, "name"), serving.pool_size(pool)
        wanted = role.replicas * role.nodes_each
        room = nodes * _each(text(pool.outputs, "nodeConfig.machineType"), role)
        if name in pods.pools_of(role.pod) and wanted > room:
            yield (
                f"{role.name}: 0/{nodes} nodes are available: Insufficient cpu or memory: {wanted} pods wanted, "
                f"{room} fit on node pool {name}"
            )


def _each(machine: str, role: serving.Role) -> int:
    """How many pods of a role fit on a machine."""
    size = next((size for prefix, size in MACHINES.items() if machine.startswith(prefix)), None)
    if size is None:
        return PODS
    cpus, memory = size
    asked = mapping(role.main, "resources.requests")
    each = [float(PODS)]
    if quantity(asked.get("cpu")):
        each.append(cpus / quantity(asked.get("cpu")))
    if quantity(asked.get("memory")):
        each.append(memory * 2**30 / quantity(asked.get("memory")))
    return int(min(each))


def quantity(value: object) -> float:
    """The number that a Kubernetes quantity stands for; 0 if there is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(\w*)", str(value))
    return float(found[1]) * _UNITS.get(found[2], 0.0) if found else 0.0

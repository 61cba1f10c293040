"""Allocatable CPU and memory of nodes, and whether a set of pods fits on them.

The arithmetic is GKE's ("Plan GKE Standard node sizes"): its reservations of CPU and memory, and the eviction
threshold. A real node has a little less: firmware and kernel take memory before GKE counts it, and DaemonSets request
some. So a "no" from here is certain, and a "yes" is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reference.machines import A4X

MIB: Final = 2**20
GIB: Final = 2**30

EVICTION_MARGIN: Final = 100 * MIB
"""Memory that the kubelet keeps free by evicting pods; not allocatable."""

PODS_PER_NODE: Final = 110
"""GKE's default on Standard clusters, which this program's pools use."""
PODS_PER_NODE_MAX: Final = 256
"""The most that a node pool can be created with; an adopted pool may have been."""

_MEMORY_STEPS: Final = ((4, 0.25), (4, 0.20), (8, 0.10), (112, 0.06), (math.inf, 0.02))
"""Share of each successive step of memory (GiB) that GKE reserves."""
_CPU_STEPS: Final = ((1, 0.06), (1, 0.01), (2, 0.005), (math.inf, 0.0025))
"""Share of each successive step of CPUs that GKE reserves."""


_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")
_UNITS: Final = {
    "": 1,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2**10,
    "Mi": MIB,
    "Gi": GIB,
    "Ti": 2**40,
    "Pi": 2**50,
    "Ei": 2**60,
}


def quantity(text: str) -> float:
    """The number that a Kubernetes quantity (`139580m`, `870Gi`) stands for."""
    found = _QUANTITY.fullmatch(text)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"no quantity of Kubernetes: {text!r}")
    return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class Size:
    """Requests of a pod, or allocatable resources of a node."""

    cpu: int
    """Thousandths of a CPU."""
    memory: int
    """Bytes."""

    def __add__(self, other: Size) -> Size:
        return Size(self.cpu + other.cpu, self.memory + other.memory)

    def requests(self) -> dict[str, str]:
        """As Kubernetes writes it: whole CPUs, memory in GiB where it is whole, else in MiB."""
        cpu = str(self.cpu // 1000) if self.cpu % 1000 == 0 else f"{self.cpu}m"
        whole = self.memory % GIB == 0
        return {"cpu": cpu, "memory": f"{self.memory // GIB}Gi" if whole else f"{self.memory // MIB}Mi"}

    def __str__(self) -> str:
        return f"{self.cpu / 1000:g} CPUs and {self.memory / GIB:.4g} GiB"


@dataclass(frozen=True)
class Node:
    """One node: allocatable resources and the maximum number of pods."""

    room: Size
    pods: int = PODS_PER_NODE

    def holds(self, pod: Size) -> int:
        """How many pods of one size an empty node holds."""
        return min(self.room.cpu // pod.cpu, self.room.memory // pod.memory, self.pods)


def node(cpus: int, memory_gib: float, pods: int = PODS_PER_NODE) -> Node:
    """A GKE node on a machine with `cpus` virtual CPUs and `memory_gib` GiB."""
    cpu = cpus - _reserved(cpus, _CPU_STEPS)
    memory = (memory_gib - _reserved(memory_gib, _MEMORY_STEPS)) * GIB - EVICTION_MARGIN
    return Node(Size(int(cpu * 1000), int(memory)), pods)


def _reserved(amount: float, steps: Sequence[tuple[float, float]]) -> float:
    reserved = 0.0
    for width, share in steps:
        reserved += min(amount, width) * share
        amount = max(0.0, amount - width)
    return reserved


def a4x_node(pods: int = PODS_PER_NODE) -> Node:
    """An A4X node. Google's "884 GB" is read as GiB, the larger of the two meanings."""
    return node(A4X.cpus, A4X.memory_gb, pods)


MODEL_DOWNLOAD: Final = Size(4000, 8 * GIB)
"""Requests of the model download Job: many files at a time, each verified by its hash."""


def fits(kind: Node, nodes: int, wanted: Sequence[tuple[Size, int]]) -> bool:
    """Whether the `wanted` pods (up to three sizes, with a count of each) fit on `nodes` empty nodes of one kind.

    Exact: pods of one size are interchangeable, so only their number on each node matters. The last size goes wherever
    there is room; all distributions of the others are tried, node by node.
    """
    ordered = [(size, count) for size, count in sorted(wanted, key=lambda w: -w[0].memory) if count > 0]
    if not ordered:
        return True
    if any(count > nodes * kind.holds(size) for size, count in ordered):
        return False
    *others, (last, last_count) = ordered
    sizes = [size for size, _ in others]
    # How many of the others are placed -> the most pods of the last size that fit beside them.
    best: dict[tuple[int, ...], int] = {tuple(0 for _ in others): 0}
    goal = tuple(count for _, count in others)
    for _ in range(nodes):
        following: dict[tuple[int, ...], int] = {}
        for placed, count in best.items():
            left = [whole - have for whole, have in zip(goal, placed, strict=True)]
            for chosen, room in _shares(kind, sizes, left):
                state = tuple(have + more for have, more in zip(placed, chosen, strict=True))
                total = count + room.holds(last)
                following[state] = max(following.get(state, 0), total)
        best = following
    return best.get(goal, -1) >= last_count


def _shares(kind: Node, sizes: Sequence[Size], left: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Every choice of pods for one node, with the node's remaining room."""
    if not sizes:
        yield (), kind
        return
    size, rest = sizes[0], sizes[1:]
    for count in range(min(left[0], kind.holds(size)) + 1):
        room = Size(kind.room.cpu - count * size.cpu, kind.room.memory - count * size.memory)
        for chosen, after in _shares(Node(room, kind.pods - count), rest, left[1:]):
            yield (count, *chosen), after

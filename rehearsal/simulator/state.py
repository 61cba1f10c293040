"""The state of the embedded cloud.

Every object has an origin. Only objects that the program created count as leftovers; those that existed before (`seed`)
and those that a service created itself (`service`: system namespaces, what a chart keeps on purpose) do not. The
journal records every call in order, so that tests can verify the order.
"""

from __future__ import annotations

import copy
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from rehearsal.simulator.values import Props

Origin = Literal["program", "seed", "service"]
Key = tuple[str, str, str]
"""kind (type token), scope (a Kubernetes cluster, or empty for Google Cloud), id."""
Seats = dict[tuple[str, str], int]
"""Nodes by node pool and role."""


class ApiError(Exception):
    """An error of the embedded cloud. The text is worded like the real service's, if it is known."""


@dataclass
class CloudResource:
    """One object in the embedded cloud."""

    kind: str
    scope: str
    id: str
    inputs: Props
    outputs: Props
    origin: Origin = "program"
    urn: str = ""
    owner: Key | None = None
    """The owner, with which this object is deleted."""
    applied: dict[str, dict[tuple[str, ...], Any]] = field(default_factory=dict[str, dict[tuple[str, ...], Any]])
    """Kubernetes: fields that are not owned by the creator, by field manager (`patches.py`)."""
    fixed: Props = field(default_factory=dict[str, Any])
    """Kubernetes: what its controllers do not change after its creation (`graph_admission.py`)."""
    dying: bool = False
    """Kubernetes: its deletion was requested, and a finalizer blocks it (`finalizers.py`)."""
    born: int = 0
    """Position in the order of creation."""
    written: float = field(default_factory=time.monotonic)
    """When it was created, or a release last installed, in seconds of `now`; minus infinity for seeds."""

    @property
    def key(self) -> Key:
        """The identity in the state."""
        return (self.kind, self.scope, self.id)

    def __str__(self) -> str:
        return f"{self.kind.rsplit(':', 1)[-1]} {self.id}"


@dataclass(frozen=True)
class Entry:
    """One line of the journal; times are seconds of the monotonic clock."""

    op: str
    kind: str
    name: str
    urn: str
    id: str
    preview: bool
    started: float
    ended: float
    refused: str = ""
    """The error message of a failed call."""


@dataclass(frozen=True)
class Checkpoint:
    """What existed at one moment."""

    resources: dict[Key, CloudResource]
    seats: dict[Key, Seats]
    made: Counter[Key]


@dataclass
class CloudState:
    """Everything that exists, and the journal. Thread-safe."""

    seed: int | None = None
    """Seed of the random names and keys; None: a different one for each state."""
    durations: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds that creating an object of a kind takes (on the scaled clock); other kinds take none."""
    time_scale: float = 0.0
    """Real seconds per second of `durations`; 0: no delay."""
    unreachable: set[str] = field(default_factory=set[str])
    """Ids of clusters whose control plane does not answer."""
    cordoned: dict[str, int] = field(default_factory=dict[str, int])
    """Number of cordoned nodes (`kubectl cordon`) by node pool id."""
    stopped: set[str] = field(default_factory=set[str])
    """Ids of Helm releases whose pods do not run (`kubectl scale --replicas=0`)."""
    fabric: dict[str, float] = field(default_factory=dict[str, float])
    """GB/s of NVLink by node pool id, if it is not that of a healthy one."""
    seats: dict[Key, Seats] = field(default_factory=dict["Key", "Seats"], repr=False)
    """Nodes of each graph's pods."""
    shown: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """The last warning event on a Job, by id: what Pulumi shows of one that succeeds (P4)."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    journal: list[Entry] = field(default_factory=list[Entry], repr=False)
    _resources: dict[Key, CloudResource] = field(default_factory=dict[Key, CloudResource], repr=False)
    _made: Counter[Key] = field(default_factory=Counter[Key], repr=False)
    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def __post_init__(self) -> None:
        # For names and keys of a simulation only.
        self.random = random.Random(self.seed)  # noqa: S311

    def add(self, resource: CloudResource) -> CloudResource:
        """Add an object; raises `ApiError` for a second one of the same identity."""
        with self.lock:
            if resource.key in self._resources:
                raise ApiError(f"{resource} already exists")
            resource.born = next(self._count)
            self._resources[resource.key] = resource
            self._made[resource.key] += 1
            return resource

    def get(self, kind: str, id_: str, scope: str = "") -> CloudResource | None:
        """The object of that identity, if it exists."""
        with self.lock:
            return self._resources.get((kind, scope, id_))

    def find(
        self,
        kind: str | None = None,
        scope: str | None = None,
        where: Callable[[CloudResource], bool] | None = None,
    ) -> list[CloudResource]:
        """Objects by kind, scope and condition, oldest first."""
        with self.lock:
            return [
                resource
                for resource in self._resources.values()
                if (kind is None or resource.kind == kind)
                and (scope is None or resource.scope == scope)
                and (where is None or where(resource))
            ]

    def remove(self, key: Key) -> list[CloudResource]:
        """Remove an object and all that it owns. Returns what was removed; nothing if it was already gone."""
        with self.lock:
            resource = self._resources.pop(key, None)
            if resource is None:
                return []
            gone = [resource]
            for owned in [other for other in self._resources.values() if other.owner == key]:
                gone.extend(self.remove(owned.key))
            return gone

    def times_made(self, key: Key) -> int:
        """How often an object of this identity was created."""
        with self.lock:
            return self._made[key]

    def __iter__(self) -> Iterator[CloudResource]:
        with self.lock:
            return iter(list(self._resources.values()))

    def __len__(self) -> int:
        return len(self._resources)

    def leftovers(self) -> list[CloudResource]:
        """What the program created and has not deleted."""
        return self.find(where=lambda resource: resource.origin == "program")

    def kept(self) -> list[CloudResource]:
        """What is left behind by design: objects that a chart never deletes, and what they own."""
        return self.find(where=self._left_behind)

    def _left_behind(self, resource: CloudResource) -> bool:
        owner = self._resources.get(resource.owner) if resource.owner else None
        return resource.origin == "service" and (owner is None or self._left_behind(owner))

    def snapshot(self) -> dict[Key, Props]:
        """A copy of every object's outputs, to compare two moments."""
        with self.lock:
            return {key: copy.deepcopy(resource.outputs) for key, resource in self._resources.items()}

    def checkpoint(self) -> Checkpoint:
        """A copy of everything that exists, to go back to."""
        with self.lock:
            return Checkpoint(copy.deepcopy(self._resources), copy.deepcopy(self.seats), Counter(self._made))

    def restore(self, to: Checkpoint) -> None:
        """Let exist what existed then."""
        with self.lock:
            self._resources = copy.deepcopy(to.resources)
            self.seats = copy.deepcopy(to.seats)
            self._made = Counter(to.made)

    def record(self, entry: Entry) -> None:
        """Append to the journal."""
        with self.lock:
            self.journal.append(entry)

    def text(self, length: int, alphabet: str = "0123456789abcdef") -> str:
        """A random text, for names and keys."""
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def wait_for(self, kind: str) -> float:
        """Real seconds that creating an object of this kind takes."""
        return self.durations.get(kind, 0.0) * self.time_scale


def now() -> float:
    """Seconds of the journal's clock."""
    return time.monotonic()

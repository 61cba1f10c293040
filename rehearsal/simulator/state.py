"""What exists: the memory of the embedded cloud.

Every object carries where it came from. Only objects that the program made count as leftovers; what stood there
before (`seed`) and what a service made on its own account (`service`: system namespaces, what a chart keeps on
purpose) do not. The journal keeps every call in order, so that order can be proven afterwards.
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


class ApiError(Exception):
    """The embedded cloud says no. The text is the message, worded like the real service's where it is known."""


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
    """The object that this one goes with: it is removed together with its owner."""
    applied: dict[str, dict[tuple[str, ...], Any]] = field(default_factory=dict[str, dict[tuple[str, ...], Any]])
    """Kubernetes: the fields that others than the maker own, by field manager (`patches.py`)."""
    dying: bool = False
    """Kubernetes: its deletion was asked for, and a finalizer holds it (`finalizers.py`)."""
    born: int = 0
    """Position in the order of creation."""
    written: float = field(default_factory=time.monotonic)
    """When it was made, or a release was last installed, in seconds of `now`; minus infinity for what stood before."""

    @property
    def key(self) -> Key:
        """The identity in the world."""
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
    """The message, where the call was refused."""


@dataclass
class CloudState:
    """Everything that exists, and what happened. Safe to use from several threads."""

    seed: int | None = None
    """Seeds the random names and keys; None draws another seed for each world."""
    durations: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds that making an object of a kind takes (on the scaled clock); kinds that are not named take none."""
    time_scale: float = 0.0
    """Real seconds per second of `durations`; 0 answers at once."""
    unreachable: set[str] = field(default_factory=set[str])
    """Ids of clusters whose control plane answers nobody any more."""
    cordoned: dict[str, int] = field(default_factory=dict[str, int])
    """Ids of node pools to the number of their nodes that take no new pods (`kubectl cordon`)."""
    fabric: dict[str, float] = field(default_factory=dict[str, float])
    """Ids of node pools to the GB/s of their NVLink, where it is not that of a healthy one."""
    seats: dict[Key, dict[str, int]] = field(default_factory=dict["Key", "dict[str, int]"], repr=False)
    """Graphs to the nodes that their pods run on, by node pool."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    journal: list[Entry] = field(default_factory=list[Entry], repr=False)
    _resources: dict[Key, CloudResource] = field(default_factory=dict[Key, CloudResource], repr=False)
    _made: Counter[Key] = field(default_factory=Counter[Key], repr=False)
    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def __post_init__(self) -> None:
        # Names and made-up keys of a world that is thrown away.
        self.random = random.Random(self.seed)  # noqa: S311

    def add(self, resource: CloudResource) -> CloudResource:
        """Put an object into the world; refuses a second one of the same identity."""
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
        """Take an object out, and with it all that it owns. Returns what went; nothing when it was gone."""
        with self.lock:
            resource = self._resources.pop(key, None)
            if resource is None:
                return []
            gone = [resource]
            for owned in [other for other in self._resources.values() if other.owner == key]:
                gone.extend(self.remove(owned.key))
            return gone

    def times_made(self, key: Key) -> int:
        """How often an object of this identity came into being."""
        with self.lock:
            return self._made[key]

    def __iter__(self) -> Iterator[CloudResource]:
        with self.lock:
            return iter(list(self._resources.values()))

    def __len__(self) -> int:
        return len(self._resources)

    def leftovers(self) -> list[CloudResource]:
        """What the program made and has not taken away again."""
        return self.find(where=lambda resource: resource.origin == "program")

    def kept(self) -> list[CloudResource]:
        """What services of the program left behind on purpose: objects that a chart never deletes, and theirs."""
        return self.find(where=self._left_behind)

    def _left_behind(self, resource: CloudResource) -> bool:
        owner = self._resources.get(resource.owner) if resource.owner else None
        return resource.origin == "service" and (owner is None or self._left_behind(owner))

    def snapshot(self) -> dict[Key, Props]:
        """A copy of every object's outputs, to compare two moments."""
        with self.lock:
            return {key: copy.deepcopy(resource.outputs) for key, resource in self._resources.items()}

    def record(self, entry: Entry) -> None:
        """Append to the journal."""
        with self.lock:
            self.journal.append(entry)

    def text(self, length: int, alphabet: str = "0123456789abcdef") -> str:
        """A random text, for names and keys."""
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def wait_for(self, kind: str) -> float:
        """Real seconds that making an object of this kind takes."""
        return self.durations.get(kind, 0.0) * self.time_scale


def now() -> float:
    """Seconds of the clock that the journal uses."""
    return time.monotonic()

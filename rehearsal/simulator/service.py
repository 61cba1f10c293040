"""Interface of one service of the embedded cloud (Google Cloud, Kubernetes, random).

A service never talks to the engine: `provider.py` mediates between the two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from rehearsal.simulator.faults import Call
from rehearsal.simulator.state import ApiError, CloudState
from rehearsal.simulator.values import Change, Props, changes


@dataclass(frozen=True)
class Failure:
    """A rejected input: the property and the reason."""

    property: str
    reason: str


@dataclass
class Difference:
    """How new inputs differ from the recorded ones, and which changes require a replacement."""

    changes: list[Change] = field(default_factory=list[Change])
    replaces: list[Change] = field(default_factory=list[Change])
    delete_first: bool = False
    """Whether the old object must be deleted before the new one is created (both would have the same name)."""

    def without(self, ignored: Sequence[str]) -> Difference:
        """The same without ignored changes, which plugins omit from their answer."""

        def counts(change: Change) -> bool:
            return not any(change.within(path) for path in ignored)

        replaces = [change for change in self.replaces if counts(change)]
        return Difference([c for c in self.changes if counts(c)], replaces, self.delete_first and bool(replaces))


class Service(ABC):
    """Base of the services: remembers the configuration of every provider instance by its connection."""

    package = ""

    def __init__(self, state: CloudState) -> None:
        self.state = state
        self.clients: dict[str, Props] = {}

    def check_config(self, call: Call, props: Props) -> list[Failure]:
        """Validate the configuration of a provider resource."""
        return []

    def configure(self, client: str, props: Props) -> None:
        """Store the configuration of one provider instance; `client` is its connection."""
        self.clients[client] = props

    def config_differs(self, old: Props, new: Props) -> list[str]:
        """Changed fields of the configuration that replace the provider and all its objects."""
        return []

    def config_of(self, call: Call) -> Props:
        """The configuration of the provider instance that makes this call."""
        return self.clients.get(call.client, {})

    def check(self, call: Call, olds: Props, news: Props) -> tuple[Props, list[Failure]]:
        """Complete and validate the inputs of an object."""
        raise ApiError(self.unmodelled(call.kind))

    def diff(self, call: Call, id_: str, olds: Props, news: Props) -> Difference:
        """Compare the recorded inputs with the new ones."""
        return Difference(list(changes(olds, news)))

    @abstractmethod
    def preview(self, call: Call, inputs: Props) -> Props:
        """The outputs that are known before the object exists."""

    @abstractmethod
    def create(self, call: Call, inputs: Props) -> tuple[str, Props]:
        """Create the object; returns its id and outputs."""

    @abstractmethod
    def update(self, call: Call, id_: str, inputs: Props) -> Props:
        """Update the object; returns its new outputs. With `call.preview` only validate."""

    @abstractmethod
    def delete(self, call: Call, id_: str) -> None:
        """Delete the object; does nothing if it is already gone, like the real providers."""

    @abstractmethod
    def read(self, call: Call, id_: str) -> tuple[Props, Props] | None:
        """Inputs and outputs of an existing object, else None."""

    def invoke(self, call: Call, args: Props) -> Props:
        """The result of a function call."""
        raise ApiError(f"the embedded cloud has no answer for the function {call.kind}")

    def unmodelled(self, kind: str) -> str:
        """The message for a kind that the embedded cloud does not model."""
        return f"the embedded cloud has no {kind}"

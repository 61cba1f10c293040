"""Fault injection into calls of the embedded cloud.

A hook gets every call before it is executed and again afterwards, and may raise, wait, or do anything else. A call that
fails *after* it was executed is worse: the object exists and the engine does not know it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import Props


class LostConnectionError(ApiError):
    """No answer: the plugin's process or the network is gone, and the engine cannot know which."""


class NotReadyError(ApiError):
    """The object was created and did not become ready in time.

    Plugins return the object with this error, so that the engine records both.
    """

    id: str = ""
    outputs: Props | None = None


@dataclass(frozen=True)
class Call:
    """One call of the engine."""

    op: str
    """check, diff, create, read, update, delete, invoke, check_config or configure."""
    urn: str = ""
    kind: str = ""
    """Type token, such as `gcp:storage/bucket:Bucket`; for an invoke, the function's token."""
    name: str = ""
    """Logical name in the program."""
    client: str = ""
    """The connection of the call, which identifies the provider instance."""
    preview: bool = False
    id: str = ""
    inputs_before: dict[str, object] | None = None
    """The inputs in the engine's state (diff and read)."""
    outputs_before: dict[str, object] | None = None
    """The outputs in the engine's state (read, update and delete)."""


Hook = Callable[[Call], Awaitable[None] | None]
Match = Callable[[Call], bool]


@dataclass
class Faults:
    """The hooks around every call."""

    before: list[Hook] = field(default_factory=list[Hook])
    after: list[Hook] = field(default_factory=list[Hook])

    def fail(self, match: Match, message: str, *, times: int = 1, carried_out: bool = False) -> None:
        """Make the next `times` matching calls fail; with `carried_out`, only after they were executed."""
        left = [times]

        def hook(call: Call) -> None:
            if left[0] > 0 and match(call):
                left[0] -= 1
                raise ApiError(message)

        (self.after if carried_out else self.before).append(hook)

    def delay(self, match: Match, seconds: float) -> None:
        """Delay matching calls by `seconds`."""

        async def hook(call: Call) -> None:
            if match(call):
                await asyncio.sleep(seconds)

        self.before.append(hook)

    def clear(self) -> None:
        """Remove all hooks."""
        self.before.clear()
        self.after.clear()

    @staticmethod
    async def run(hooks: list[Hook], call: Call) -> None:
        """Run the hooks in order; the first one that raises ends the call."""
        for hook in list(hooks):
            outcome = hook(call)
            if outcome is not None:
                await outcome

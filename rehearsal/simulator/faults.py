"""Faults: what can go wrong at a call of the embedded cloud, on purpose.

A hook sees every call before it is answered and again after it was carried out, and may raise, wait, or do
anything else. A call that fails *after* it was carried out is the nastier one: the object exists and the engine
does not know it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import Props


class LostConnectionError(ApiError):
    """Nobody answers any more: the plugin's process or the network is gone, and the engine cannot know why."""


class NotReadyError(ApiError):
    """The object was made and did not become ready in time.

    Plugins answer this with the object, so that the engine writes it down together with the error.
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
    """Which provider instance calls: the connection it came over."""
    preview: bool = False
    id: str = ""
    inputs_before: dict[str, object] | None = None
    """The inputs that the engine has on record (diff and read)."""
    outputs_before: dict[str, object] | None = None
    """The outputs that the engine has on record (read, update and delete)."""


Hook = Callable[[Call], Awaitable[None] | None]
Match = Callable[[Call], bool]


@dataclass
class Faults:
    """The hooks that stand around every call. Without hooks every call passes."""

    before: list[Hook] = field(default_factory=list[Hook])
    after: list[Hook] = field(default_factory=list[Hook])

    def fail(self, match: Match, message: str, *, times: int = 1, carried_out: bool = False) -> None:
        """Let the next `times` matching calls fail; with `carried_out`, only after their work was done."""
        left = [times]

        def hook(call: Call) -> None:
            if left[0] > 0 and match(call):
                left[0] -= 1
                raise ApiError(message)

        (self.after if carried_out else self.before).append(hook)

    def delay(self, match: Match, seconds: float) -> None:
        """Let matching calls be answered `seconds` later."""

        async def hook(call: Call) -> None:
            if match(call):
                await asyncio.sleep(seconds)

        self.before.append(hook)

    def clear(self) -> None:
        """Forget every hook."""
        self.before.clear()
        self.after.clear()

    @staticmethod
    async def run(hooks: list[Hook], call: Call) -> None:
        """Run the hooks in order; the first one that raises ends the call."""
        for hook in list(hooks):
            outcome = hook(call)
            if outcome is not None:
                await outcome

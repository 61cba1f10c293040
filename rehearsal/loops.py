"""The event loops that the Automation API runs the program in, and the end of each."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import cast

_SECONDS = 2.0
"""How long `close` waits for runs that the SDK's own threads are still ending."""
_LOOK_SECONDS, _LOOKS = 0.01, 5
"""The SDK runs a loop again to cancel the program's tasks; one that is idle in so many looks it has left alone."""


class EventLoops:
    """The loops of a rehearsal's runs.

    The SDK closes the loop of a run in a thread of its own, and leaves it open when the engine aborts the run. Two
    threads must never be in `close` at once: asyncio checks whether a loop is closed before it closes the loop's
    sockets, and the second thread fails on sockets that are gone.
    """

    def __init__(self) -> None:
        self._loops: list[asyncio.AbstractEventLoop] = []

    def add(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close `loop` with the others, and let only one thread at a time close it."""
        close, lock = loop.close, threading.Lock()

        def close_alone() -> None:
            with lock:
                try:
                    close()
                except AttributeError:
                    # A close that the SDK's run came into has closed the sockets, and nothing else.
                    asyncio.BaseEventLoop.close(cast("asyncio.BaseEventLoop", loop))

        vars(loop)["close"] = close_alone
        self._loops.append(loop)

    def close(self) -> None:
        """Close what the SDK has not closed. Idempotent."""
        deadline = time.monotonic() + _SECONDS
        for loop in self._loops:
            idle = 0
            while not loop.is_closed() and time.monotonic() < deadline:
                idle = 0 if loop.is_running() else idle + 1
                if idle < _LOOKS:
                    time.sleep(_LOOK_SECONDS)
                    continue
                with contextlib.suppress(RuntimeError):
                    loop.close()
        self._loops.clear()

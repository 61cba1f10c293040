"""The event loops of a rehearsal's runs are closed once, whoever closes them, and none is left open."""

from __future__ import annotations

import asyncio
import threading
import time

from rehearsal.loops import EventLoops

WAIT = 5.0


class SlowLoop(asyncio.SelectorEventLoop):
    """Takes its time between the check whether it is closed and the closing, and counts the threads in there."""

    entered = 0
    together = 0

    def close(self) -> None:
        if self.is_closed():
            return
        self.entered += 1
        self.together = max(self.together, self.entered)
        time.sleep(0.1)
        super().close()
        self.entered -= 1


class InterruptedLoop(asyncio.SelectorEventLoop):
    """Is run by another thread when its first `close` has closed its sockets, and nothing else."""

    begun = False

    def close(self) -> None:
        if not self.begun:
            self.begun = True
            getattr(self, "_close_self_pipe")()  # noqa: B009 - asyncio's own
            raise RuntimeError("Cannot close a running event loop")
        super().close()


def test_a_loop_that_the_sdk_closes_at_the_same_moment_is_closed_by_one_thread_at_a_time() -> None:
    loop, loops = SlowLoop(), EventLoops()
    loops.add(loop)
    sdk = threading.Thread(target=loop.close)
    sdk.start()
    loops.close()
    sdk.join(WAIT)
    assert loop.is_closed()
    assert loop.together == 1


def test_the_loop_of_an_aborted_run_is_closed_and_one_that_still_ends_is_waited_for() -> None:
    aborted, ending, loops = asyncio.new_event_loop(), asyncio.new_event_loop(), EventLoops()
    loops.add(aborted)
    loops.add(ending)
    running = threading.Event()

    async def end() -> None:
        running.set()
        await asyncio.sleep(0.2)

    sdk = threading.Thread(target=lambda: ending.run_until_complete(end()))
    sdk.start()
    assert running.wait(WAIT)
    loops.close()
    sdk.join(WAIT)
    assert aborted.is_closed()
    assert ending.is_closed()
    loops.close()


def test_a_loop_whose_closing_was_interrupted_is_closed_in_the_end() -> None:
    loop, loops = InterruptedLoop(), EventLoops()
    loops.add(loop)
    loops.close()
    assert loop.is_closed()

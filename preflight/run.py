"""Runs checks concurrently and yields their results in order."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from preflight.checks import Check
from preflight.cloud import CloudError
from preflight.results import Outcome, Result, failed, skipped, warned

WORKERS: Final = 6
"""Concurrent checks: they wait for the network, and request quotas are per minute."""


def run(checks: Sequence[Check], *, limit: float, started: Callable[[Check], None] | None = None) -> Iterator[Result]:
    """The results of `checks` in order, each as soon as it and those before it are known.

    Gates run first, one by one; if one fails, the rest is skipped. A check that takes longer than `limit` seconds
    fails, and its thread is abandoned (it does not keep the process alive).
    """
    tell = started or _tell_nobody
    rest = list(checks)
    while rest and rest[0].gate:
        gate = rest.pop(0)
        result = next(_side_by_side([gate], limit, tell))
        yield result
        if result.outcome.status == "fail":
            yield from (Result(check.name, skipped(f"not checked: {gate.name} failed"), 0.0) for check in rest)
            return
    yield from _side_by_side(rest, limit, tell)


def _tell_nobody(_: Check) -> None:
    pass


class _Waiting:
    """A check whose result is pending."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.begun = threading.Event()
        self.done = threading.Event()
        self.result: Result | None = None

    def work(self) -> None:
        self.begun.set()
        begin = time.monotonic()
        outcome = judge(self.check)
        self.result = Result(self.check.name, outcome, time.monotonic() - begin)
        self.done.set()

    def wait(self, limit: float, replace_worker: Callable[[], None]) -> Result:
        self.begun.wait()
        if not self.done.wait(limit) or self.result is None:
            replace_worker()
            late = failed(f"no answer within {limit:g} s", "try again, or give it longer: --limit SECONDS")
            return Result(self.check.name, late, limit)
        return self.result


def _side_by_side(checks: Sequence[Check], limit: float, tell: Callable[[Check], None]) -> Iterator[Result]:
    waiting = [_Waiting(check) for check in checks]
    work: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
    for item in waiting:
        work.put(item)

    def drain() -> None:
        while True:
            try:
                item = work.get_nowait()
            except queue.Empty:
                return
            tell(item.check)
            item.work()

    def start_worker() -> None:
        threading.Thread(target=drain, daemon=True).start()

    for _ in range(min(WORKERS, len(waiting))):
        start_worker()
    for item in waiting:
        # A hanging worker is replaced by a new one, so that the remaining checks run.
        yield item.wait(limit, start_worker)


def judge(check: Check) -> Outcome:
    """The outcome of the check; errors of the cloud and bugs in the check become outcomes too."""
    try:
        return check.look()
    except CloudError as error:
        return explain(error, check.needs)
    except Exception as error:  # noqa: BLE001 - a bug in one check must not hide the findings of the others
        return failed(f"the check itself broke: {type(error).__name__}: {error}", "report this line to the project")


def explain(error: CloudError, needs: str) -> Outcome:
    """The outcome for a failed request."""
    permissions = f"have {needs} granted" if needs else "have access granted"
    match error.trouble:
        case "denied":
            return warned(f"no permission to check: {error}", permissions)
        case "off":
            return skipped(f"its API is off: {error}")
        case "login":
            return failed(f"the credentials are not accepted: {error}", "gcloud auth application-default login")
        case "no answer":
            return failed(f"no answer: {error}", "check network and proxy, and https://status.cloud.google.com")
        case "missing":
            return failed(f"not found: {error}", "correct the name in the config")
        case "refused":
            return failed(f"refused: {error}", "read the message; it is Google's own")

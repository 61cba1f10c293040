"""Output of the results: a table on a terminal, plain lines in a log, JSON for machines."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.status import Status as Spinner
from rich.table import Table

from preflight.checks import Check
from preflight.results import STATUSES, Result, Status, exit_code

STYLES: Final[dict[Status, str]] = {"pass": "green", "warn": "yellow", "fail": "red", "skip": "dim"}


class Lines:
    """One line for each result as it becomes known, with its fix below."""

    def __init__(self, console: Console, total: int, width: int) -> None:
        self._console = console
        self._total = total
        self._width = width
        self._done = 0

    def started(self, check: Check) -> None:
        """A check starts; nothing is printed."""

    def result(self, result: Result) -> None:
        """A result is known."""
        self._done += 1
        outcome = result.outcome
        place = f"[{self._done:>{len(str(self._total))}}/{self._total}]"
        self._say(f"{place} {outcome.status}  {result.name:<{self._width}}  {outcome.finding}")
        if outcome.fix:
            self._say(f"{' ' * len(place)}       {'':<{self._width}}  fix: {outcome.fix}")

    def close(self, results: Sequence[Result]) -> None:
        """All are known."""
        self._say(total(results))

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class Board:
    """A progress line while checks run, and a table at the end."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._lock = threading.Lock()
        self._running: list[str] = []
        self._done = 0
        self._spinner: Spinner = console.status(f"0 of {total} checks")
        self._spinner.start()

    def started(self, check: Check) -> None:
        """A check starts, on any thread."""
        with self._lock:
            self._running.append(check.name)
            self._show()

    def result(self, result: Result) -> None:
        """A result is known."""
        with self._lock:
            self._done += 1
            if result.name in self._running:
                self._running.remove(result.name)
            self._show()

    def close(self, results: Sequence[Result]) -> None:
        """All are known."""
        self._spinner.stop()
        if results:
            self._console.print(table(results))
            self._console.print(total(results), highlight=False)

    def _show(self) -> None:
        names = ", ".join(self._running[:3])
        self._spinner.update(escape(f"{self._done} of {self._total} checks; waiting for {names}"))


class NoOutput:
    """For JSON: no output until the end."""

    def __init__(self, console: Console, stack: str) -> None:
        self._console = console
        self._stack = stack

    def started(self, check: Check) -> None:
        """A check starts."""

    def result(self, result: Result) -> None:
        """A result is known."""

    def close(self, results: Sequence[Result]) -> None:
        """All are known."""
        if results:
            self._console.print(as_json(self._stack, results), highlight=False, markup=False, soft_wrap=True)


def table(results: Sequence[Result]) -> Table:
    """All results, with the fix below each finding."""
    shown = Table(show_lines=False, pad_edge=False)
    shown.add_column("check", no_wrap=True)
    shown.add_column("")
    shown.add_column("finding and fix", overflow="fold")
    for result in results:
        outcome = result.outcome
        text = escape(outcome.finding) + (f"\n[bold]fix:[/bold] {escape(outcome.fix)}" if outcome.fix else "")
        shown.add_row(escape(result.name), outcome.status, text, style=STYLES[outcome.status])
    return shown


def total(results: Sequence[Result]) -> str:
    """Number of results of each status, in one line."""
    counts = Counter(result.outcome.status for result in results)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES)


def as_json(stack: str, results: Sequence[Result]) -> str:
    """The results as JSON."""
    return json.dumps(
        {
            "stack": stack,
            "exitCode": exit_code(results),
            "counts": dict(Counter(result.outcome.status for result in results)),
            "checks": [
                {
                    "name": result.name,
                    "status": result.outcome.status,
                    "finding": result.outcome.finding,
                    "fix": result.outcome.fix or None,
                    "seconds": round(result.seconds, 3),
                }
                for result in results
            ],
        },
        indent=2,
    )

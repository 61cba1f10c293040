"""What a check says: a status, one line of finding, and the fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Status = Literal["pass", "warn", "fail", "skip"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)


@dataclass(frozen=True)
class Outcome:
    """What one check found."""

    status: Status
    """`warn` does not stop an `up`; `skip` means that nothing was judged, and the finding says why."""
    finding: str
    """One line: what is there, with the numbers."""
    fix: str = ""
    """What to do; empty where nothing is to be done."""


@dataclass(frozen=True)
class Result:
    """An outcome under the name of its check."""

    name: str
    outcome: Outcome
    seconds: float
    """How long the check took."""


def passed(finding: str) -> Outcome:
    """All is well."""
    return Outcome("pass", finding)


def warned(finding: str, fix: str) -> Outcome:
    """It will work, or could not be seen; look at it."""
    return Outcome("warn", finding, fix)


def failed(finding: str, fix: str) -> Outcome:
    """`pulumi up` would fail, or serve nothing."""
    return Outcome("fail", finding, fix)


def skipped(finding: str) -> Outcome:
    """Nothing was judged."""
    return Outcome("skip", finding)


def exit_code(results: Iterable[Result]) -> int:
    """1 when any check failed, else 0."""
    return int(any(result.outcome.status == "fail" for result in results))

"""Result of a check: a status, a finding of one line, and a fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Status = Literal["pass", "warn", "fail", "skip"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)

NO_CLUSTER: Final = "there is no cluster to check yet"
"""Finding of a check that is skipped for that."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one check."""

    status: Status
    """`warn` does not stop an `up`; `skip` means that nothing was checked, for the reason in the finding."""
    finding: str
    """One line: what was found, with numbers."""
    fix: str = ""
    """What to do; empty if nothing."""


@dataclass(frozen=True)
class Result:
    """An outcome with the name of its check."""

    name: str
    outcome: Outcome
    seconds: float
    """How long the check took."""


def passed(finding: str) -> Outcome:
    """No problem was found."""
    return Outcome("pass", finding)


def warned(finding: str, fix: str) -> Outcome:
    """It may work, or could not be checked; look at it."""
    return Outcome("warn", finding, fix)


def failed(finding: str, fix: str) -> Outcome:
    """`pulumi up` would fail, or the stack would not serve."""
    return Outcome("fail", finding, fix)


def skipped(finding: str) -> Outcome:
    """Nothing was checked."""
    return Outcome("skip", finding)


def exit_code(results: Iterable[Result]) -> int:
    """1 if any check failed, else 0."""
    return int(any(result.outcome.status == "fail" for result in results))

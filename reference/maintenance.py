"""Limits of GKE's maintenance windows and exclusions.

Source: GKE's pages "Maintenance windows and exclusions" and "Configure maintenance windows and exclusions" (2026). That
NO_UPGRADES may last 90 days since June 2026 was read in two digests of the release notes; before it was 30.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from validation.problems import RuleError

DAILY_START: Final = "09:00"
EXCLUSION_START: Final = "2026-01-01T00:00:00Z"
"""Start of the exclusion without an end date: any time in the past."""
HOLD: Final = "no-minor-or-node-upgrades-indefinite"
"""Name of the program's own exclusion."""
EXCLUSIONS_MAX: Final = 20
NO_UPGRADES_SURE: Final = timedelta(days=30)
NO_UPGRADES_MAX: Final = timedelta(days=90)
ROLLING: Final = timedelta(days=92)
WINDOWS_MIN: Final = timedelta(hours=48)
"""Time in windows that any `ROLLING` days must have."""
PIECE_MIN: Final = timedelta(hours=4)
"""Shorter windows do not count."""

_RECURS: Final = frozenset({"DAILY", "WEEKLY", "MONTHLY"})
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def check_clock(text: str, key: str) -> None:
    """Raise `RuleError` unless `text` is a time of day."""
    if not _CLOCK.fullmatch(text):
        raise RuleError(key, text, "the daily window starts at a time of day, HH:MM in UTC", "write it like 09:00")


def instant(text: str, key: str) -> datetime:
    """The time that an RFC 3339 text names; raises `RuleError` if it names none or no time zone."""
    wrong = RuleError(
        key,
        text,
        "GKE takes a date and time with a time zone (RFC 3339)",
        "write it like 2026-12-15T00:00:00Z",
    )
    if not _RFC3339.fullmatch(text):
        raise wrong
    try:
        found = datetime.fromisoformat(text).astimezone(UTC)
        # Room for the arithmetic with it.
        _ = found - ROLLING, found + ROLLING
    except (ValueError, OverflowError):
        raise wrong from None
    return found


def check_window(start: str, end: str, recurrence: str, key: str) -> None:
    """Raise `RuleError` unless the windows leave GKE the time that it requires."""
    # Only for this rule: most environments have no such window.
    from dateutil import rrule  # noqa: PLC0415

    first, last = instant(start, f"{key}.start"), instant(end, f"{key}.end")
    length = last - first
    if length < PIECE_MIN:
        rule = "a window lasts at least 4 hours: GKE does not count shorter ones"
        raise RuleError(f"{key}.end", end, rule, "choose a later end")
    named = (part.partition("=") for part in recurrence.removeprefix("RRULE:").upper().split(";"))
    parts = {name: value for name, _, value in named}
    if "FREQ" in parts and (parts["FREQ"] not in _RECURS or parts.keys() & {"COUNT", "UNTIL"}):
        rule = "windows come daily, weekly or monthly, and do not end"
        fix = "write it like FREQ=WEEKLY;BYDAY=SA,SU, without COUNT and UNTIL"
        raise RuleError(f"{key}.recurrence", recurrence, rule, fix)
    try:
        found = rrule.rrulestr(recurrence.removeprefix("RRULE:"), dtstart=first)
        # More than one a day do not count twice.
        times = list(itertools.islice(_until(found.xafter(first, inc=True), first + ROLLING), ROLLING.days + 1))
    except (ValueError, TypeError, OverflowError):
        rule = "the recurrence is a rule of RFC 5545"
        raise RuleError(f"{key}.recurrence", recurrence, rule, "write it like FREQ=WEEKLY;BYDAY=SA,SU") from None
    total = len(times) * length
    if total < WINDOWS_MIN:
        hours = int(total.total_seconds() // 3600)
        rule = f"any 92 days have at least 48 hours of windows, and these have {hours}"
        raise RuleError(key, f"{start} to {end}, {recurrence}", rule, "make the windows longer or more frequent")


def _until(times: Iterator[datetime], end: datetime) -> Iterator[datetime]:
    for time in times:
        if time >= end:
            return
        yield time

"""`states.json` holds what real clusters answered, and leaves out nothing that a verdict depends on."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from readiness import verdict
from tests.readiness import recordings, states
from tests.readiness.time_passes import hold

HOUR = 3600.0
HARMLESS = re.compile(
    "PodGrouperWarning|RollingUpdateNotSupported|AllScheduledReplicasLost|UpdatePodCliqueSet|has been modified"
)
"""Warnings of healthy starts, which the states do not keep."""


def _named(found: verdict.Verdict) -> verdict.Verdict:
    """The verdict without what else is known: the states keep the last warning of a kind only."""
    return replace(found, words="") if isinstance(found, verdict.Failed) else found


@pytest.mark.skipif(bool(recordings.MISSING), reason=recordings.MISSING)
def test_the_states_are_what_was_recorded_and_come_to_the_same_verdicts() -> None:
    assert recordings.all_distilled() == states.FILE.read_text(encoding="utf-8"), (
        "run: python -m tests.readiness.recordings"
    )
    for release in states.RELEASES:
        for name in recordings.names(release):
            config, reduced = states.wanted(release, name), states.seen(release, name)
            whole = recordings.seen(release, name)
            started = recordings.started_at(release, name)
            assert states.canonical(whole, started) == reduced, (release, name)
            told, kept = hold(config, whole, HOUR, started_at=started), hold(config, reduced, HOUR)
            assert (_named(told.verdict), told.at) == (_named(kept.verdict), kept.at), (release, name)
            if isinstance(told.verdict, verdict.Failed):
                assert not HARMLESS.search(told.verdict.cause + told.verdict.words), (release, name)

"""The message of a failure, which the kubelet cuts at 4096 bytes."""

from __future__ import annotations

import pytest

from readiness import message

NEXT = "kubectl -n serving describe pod r1-0-decode-x"


def test_cause_first_and_next_command_last() -> None:
    lines = message.compose("no node for pod d2", "pods ready: decode 0 of 2", "d2: FailedMount", NEXT).splitlines()
    assert lines == ["no node for pod d2", "pods ready: decode 0 of 2", "d2: FailedMount", f"Next: {NEXT}"]


def test_the_first_line_is_complete_by_itself() -> None:
    assert message.compose("a cause\nin two lines", "", "", NEXT).splitlines()[0] == "a cause in two lines"


@pytest.mark.parametrize("letter", ["x", "ä", "語", "🧨"])
@pytest.mark.parametrize("size", [1, 1000, 5000, 100000])
def test_it_fits_and_is_whole_utf8(letter: str, size: int) -> None:
    long = letter * size
    composed = message.compose(long, long, long, long)
    assert len(composed.encode()) <= 4096
    assert "\ufffd" not in composed
    assert composed.splitlines()[-1].startswith("Next: ")


def test_of_long_last_words_the_end_stays() -> None:
    words = "\n".join(f"line {number}" for number in range(2000)) + "\nRuntimeError: the reason"
    composed = message.compose("cause", "state", words, NEXT)
    assert 4000 < len(composed.encode()) <= 4096
    assert composed.splitlines()[-2] == "RuntimeError: the reason"
    assert composed.splitlines()[-1] == f"Next: {NEXT}"

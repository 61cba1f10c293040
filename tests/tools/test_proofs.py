"""A proof repeats a run only when engine and program lost each other, says so, and not without end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from proofs import life
from rehearsal import RehearsalError

LOST = RehearsalError("up", ["Resource monitor has terminated, shutting down"])
BLAMED = RehearsalError(
    "up", ["Resource monitor has terminated, shutting down", "kubernetes:core/v1:Secret s: refused"]
)


@pytest.fixture(autouse=True)
def none_repeated() -> Iterator[None]:
    life.repeated.clear()
    yield
    life.repeated.clear()


def _ending_with(*errors: RehearsalError) -> Iterator[RehearsalError | None]:
    yield from errors
    while True:
        yield None


def _action(*errors: RehearsalError) -> Callable[[], str]:
    outcomes = _ending_with(*errors)

    def act() -> str:
        error = next(outcomes)
        if error is not None:
            raise error
        return "done"

    return act


def test_a_run_that_was_broken_off_is_repeated_and_counted() -> None:
    assert life.steadily(_action(LOST)) == "done"
    assert len(life.repeated) == 1


def test_a_run_that_blames_a_resource_is_never_repeated() -> None:
    with pytest.raises(RehearsalError, match="and 1 more"):
        life.steadily(_action(BLAMED))
    assert life.repeated == []


def test_runs_are_not_repeated_without_end() -> None:
    for _ in range(3):
        life.steadily(_action(LOST))
    with pytest.raises(life.ProofError, match="4 runs were broken off"):
        life.steadily(_action(LOST))

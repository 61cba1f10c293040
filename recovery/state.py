"""Export of a Pulumi stack's state, with a backup, and import of the changed state."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Run = Callable[[Sequence[str], str | None], str]
"""Runs `pulumi` with arguments and an input, and returns its output."""


class StateError(Exception):
    """The state cannot be read or written. The text says why, as `pulumi` does: it may have several lines."""


def export_with_backup(stack: str, backup: Path, run: Run) -> dict[str, Any]:
    """The exported state of `stack`, after writing it to `backup`.

    Raises:
        StateError: `backup` exists or cannot be written, or the output of `pulumi` is not a state.
    """
    if backup.exists():
        raise StateError(f"{backup} exists; name another file for the old state with --backup")
    text, state = _exported(stack, run)
    try:
        backup.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StateError(f"the old state cannot be written to {backup} (--backup): {error.strerror}") from None
    return state


def read(stack: str, run: Run) -> dict[str, Any]:
    """The exported state of `stack`.

    Raises:
        StateError: the output of `pulumi` is not a state.
    """
    return _exported(stack, run)[1]


def _exported(stack: str, run: Run) -> tuple[str, dict[str, Any]]:
    text = run(["stack", "export", "--stack", stack], None)
    try:
        return text, json.loads(text)
    except json.JSONDecodeError:
        raise StateError(f"`pulumi stack export` printed no state: {text[:120]!r}") from None


def import_state(stack: str, state: Mapping[str, Any], run: Run) -> None:
    """Import `state` as the state of `stack`."""
    run(["stack", "import", "--stack", stack], json.dumps(state))


def pulumi(arguments: Sequence[str], text: str | None) -> str:
    """Run the `pulumi` on PATH in the current folder.

    Raises:
        StateError: there is none, or it fails.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user's own CLI, with arguments of this module
            ["pulumi", *arguments],  # noqa: S607
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise StateError("there is no `pulumi` on PATH; install the Pulumi CLI") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or "failed without a message"
        raise StateError(f"pulumi {' '.join(arguments[:2])}: {said}")
    return done.stdout

"""The state of a Pulumi stack, taken out with a copy kept, and put back changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Run = Callable[[Sequence[str], str | None], str]
"""Runs `pulumi` with arguments and an input, and returns what it prints."""


class StateError(Exception):
    """The state cannot be read or written. The text says why, in one line."""


def taken_out(stack: str, backup: Path, run: Run) -> dict[str, Any]:
    """The exported state of `stack`; it is written to `backup` before it is returned.

    Raises:
        StateError: `backup` exists, or what `pulumi` prints is no state.
    """
    if backup.exists():
        raise StateError(f"{backup} exists; name another file for the old state with --backup")
    text = run(["stack", "export", "--stack", stack], None)
    try:
        state: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        raise StateError(f"`pulumi stack export` printed no state: {text[:120]!r}") from None
    backup.write_text(text, encoding="utf-8")
    return state


def put_back(stack: str, state: Mapping[str, Any], run: Run) -> None:
    """Import `state` in place of what `stack` has."""
    run(["stack", "import", "--stack", stack], json.dumps(state))


def pulumi(arguments: Sequence[str], text: str | None) -> str:
    """Run the `pulumi` on PATH in the current folder.

    Raises:
        StateError: there is none, or it failed.
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
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise StateError(f"pulumi {' '.join(arguments[:2])}: {lines[-1] if lines else 'failed without a message'}")
    return done.stdout

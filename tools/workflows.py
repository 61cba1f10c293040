"""Checks the GitHub workflows: `python -m tools.workflows` runs actionlint and zizmor.

actionlint's releases and its package for Python download from GitHub; its Go module comes through the module proxy. It
is built once into the project's cache, from the versions in `actionlint_build/go.mod`. zizmor is a wheel.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from rehearsal.engine import cache_folder

ROOT: Final = Path(__file__).resolve().parents[1]
BUILD: Final = Path(__file__).parent / "actionlint_build"
MODULE: Final = "github.com/rhysd/actionlint"
CONFIG: Final = ".github/zizmor.yml"


class WorkflowsError(Exception):
    """A checker is not available; the text has the reason and the fix."""


def version() -> str:
    """The version of actionlint that go.mod pins."""
    found = re.search(rf"{re.escape(MODULE)} (v[\d.]+)", (BUILD / "go.mod").read_text(encoding="utf-8"))
    if found is None:
        raise WorkflowsError(f"{BUILD / 'go.mod'} does not require {MODULE}")
    return found[1]


def actionlint() -> Path:
    """Path of actionlint, which is built if it is not in the cache. Raises `WorkflowsError`."""
    target = cache_folder() / "actionlint" / version() / "actionlint"
    if target.is_file():
        return target
    if shutil.which("go") is None:
        raise WorkflowsError(f"actionlint is not at {target}, and there is no Go to build it: install Go 1.25 or newer")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Moved to its name only when complete; an interrupted build leaves nothing behind.
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "actionlint"
        command = ["go", "build", "-mod=readonly", "-trimpath", "-o", str(made), f"{MODULE}/cmd/actionlint"]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
        built = subprocess.run(  # noqa: S603 - Go, on the module that go.mod pins
            command, cwd=BUILD, env=environment, capture_output=True, text=True, check=False
        )
        if built.returncode:
            lines = built.stderr.strip().splitlines()
            raise WorkflowsError(
                f"actionlint cannot be built (go build: {lines[-1] if lines else 'no output'}); it needs Go 1.25 or "
                "newer, and the Go module proxy"
            )
        made.replace(target)
    return target


def findings(root: Path = ROOT) -> str:
    """What the two say of the workflows below `root`; empty: nothing. Raises `WorkflowsError`."""
    zizmor = Path(sys.executable).parent / "zizmor"
    if not zizmor.is_file():
        raise WorkflowsError("zizmor is not installed; install requirements-dev.txt (`make venv`)")
    workflows = sorted(str(path) for path in (root / ".github" / "workflows").glob("*.yml"))
    # shellcheck and pyflakes only where they are installed would make the result depend on the machine.
    syntax = [str(actionlint()), "-no-color", "-shellcheck=", "-pyflakes=", *workflows]
    security = [
        str(zizmor),
        "--offline",
        "--persona=auditor",
        "--color=never",
        "--no-progress",
        "--quiet",
        f"--config={ROOT / CONFIG}",
        str(root / ".github"),
    ]
    said = [_said(command, root) for command in (syntax, security)]
    return "\n".join(text for text in said if text)


def _said(command: list[str], root: Path) -> str:
    ran = subprocess.run(  # noqa: S603 - the two checkers
        command, cwd=root, capture_output=True, text=True, check=False
    )
    if ran.returncode == 0:
        return ""
    return "\n".join(part.strip() for part in (ran.stdout, ran.stderr) if part.strip()) or f"{command[0]} failed"


def main() -> int:
    """Entry point; returns the exit code."""
    try:
        found = findings()
    except WorkflowsError as error:
        print(f"workflows: {error}", file=sys.stderr)
        return 2
    if found:
        print(found)
        return 1
    print(f"actionlint {version()} and zizmor find nothing to say of .github/")
    return 0


if __name__ == "__main__":
    sys.exit(main())

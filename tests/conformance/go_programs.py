"""Go programs that judge, built once outside the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rehearsal.engine import cache_folder

BUILD_SECONDS: Final = 900


class AbsentError(Exception):
    """There is no such program, and none can be built here; the text says why."""


def installed(name: str, package: str, version: str) -> Path:
    """The program `name` of a package at a version. Raises `AbsentError`."""
    with _target(name, version) as target:
        if not target.exists():
            _run(name, ["install", f"{package}@{version}"], {"GOBIN": str(target.parent)}, target.parent)
    return target


def built(folder: Path) -> Path:
    """The program in a folder with go.mod and go.sum, which are never changed. Raises `AbsentError`."""
    content = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    with _target(folder.name, hashlib.sha256(content).hexdigest()[:12]) as target:
        if not target.exists():
            partial = target.with_name(f"{target.name}.partial")
            _run(target.name, ["build", "-mod=readonly", "-trimpath", "-o", str(partial)], {}, folder)
            partial.replace(target)
    return target


@contextmanager
def _target(name: str, version: str) -> Generator[Path]:
    """Where the program is, for one process at a time."""
    folder = cache_folder() / name / version
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / name


def _run(name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise AbsentError(f"{name} needs Go to be built, and there is none on PATH")
    try:
        ran = subprocess.run(  # noqa: S603 - a pinned module
            [go, *command],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AbsentError(f"{name} was not built within {BUILD_SECONDS} s") from None
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise AbsentError(f"{name} could not be built: {last}")

"""What the tests of the proofs share: where they may run, and how their counts are printed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rehearsal import engine as engines
from rehearsal.run import ROOT

needs_engine = pytest.mark.skipif(
    engines.find() is None,
    reason=f"no Pulumi engine on PATH or at {engines.cached()}; `python -m rehearsal` gets one",
)


def silent(_: str) -> None:
    """A listener that hears nothing."""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own: the SDK closes neither its loop nor its stream after a kill."""
    return subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.resilience", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

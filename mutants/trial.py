"""Trials: a copy of the project, a fault in it, and the tests that are to fail.

The copy lies in a temporary folder, where neither the recipe nor the recordings are found: what only a machine with
these catches counts as not caught.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mutants.mutant import MisplacedError, Mutant

Verdict = Literal["caught", "elsewhere", "survived", "skipped", "broken"]
"""`elsewhere`: not by the test that the list names. `skipped`: the test does not run on this machine. `broken`: the
list or the project is wrong, so that nothing was tried."""

FALLBACK: Final = (("tests/unit", "tests/harness", "tests/tools", "tests/readiness"), ("tests/preflight",))
"""Who is asked when the test that the list names passes: runs of pytest, one after the other."""

_LEFT_OUT: Final = (
    *(".git", ".venv", ".pulumi", ".pytest_cache", ".ruff_cache", ".hypothesis", "__pycache__", "rehearsal-out"),
    # The list itself, which would be seen to be behind the program.
    *("mutants", "test_mutants.py"),
)
_OWN_VARIABLES: Final = ("DYNAMO_A4X_RECIPE", "DYNAMO_A4X_CRDS", "DYNAMO_A4X_RECORDINGS")
_PYTEST: Final = ("-x", "-q", "-p", "no:cacheprovider", "--tb=line", "--hypothesis-seed=0")
_LIMIT_SECONDS: Final = 900.0
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_PASSED: Final = re.compile(r"\b[0-9]+ passed\b")


class StoppedError(Exception):
    """The trials were stopped."""


@dataclass(frozen=True)
class Result:
    """What became of one fault."""

    mutant: Mutant
    verdict: Verdict
    said: str
    """The test that failed, or why none did; one line."""
    seconds: float


@dataclass(frozen=True)
class Run:
    """One run of pytest."""

    code: int
    output: str

    @property
    def failed(self) -> str:
        """The first test that failed; empty where none did."""
        found = _FAILED.search(self.output) if self.code == 1 else None
        return found[1] if found else ""

    @property
    def passed(self) -> bool:
        """Whether tests ran, and all of them passed or were skipped."""
        return self.code == 0 and _PASSED.search(self.output) is not None

    @property
    def last_line(self) -> str:
        """The last line that pytest printed."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else "pytest said nothing"


class Processes:
    """The runs of pytest that are under way, to be ended together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def pytest(self, tree: Path, *targets: str, planted: bool = True) -> Run:
        """Run tests of a copy. Raises `StoppedError` once `stop` was called."""
        environment = {key: value for key, value in os.environ.items() if key not in _OWN_VARIABLES}
        if planted:
            # Compiled files keep the time and size of what they were made from: none is to be made of a fault.
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        with self._lock:
            if self._stopped:
                raise StoppedError
            process = subprocess.Popen(  # noqa: S603 - our own tests
                [sys.executable, "-m", "pytest", *_PYTEST, *targets],
                cwd=tree,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                # A group of its own, with the engines that tests start: Ctrl-C reaches us alone.
                start_new_session=True,
            )
            self._running.add(process)
        try:
            output, _ = process.communicate(timeout=_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            output = f"no end within {_LIMIT_SECONDS:g} s"
        finally:
            _end(process)
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise StoppedError
        return Run(process.returncode, output)

    def stop(self) -> None:
        """End all runs, and let none begin."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def copy(root: Path, target: Path) -> Path:
    """A copy of the project at `root`, with the same `.venv`, of what its tests need."""
    shutil.copytree(root, target, ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True)
    environment = root / ".venv"
    if environment.exists():
        (target / ".venv").symlink_to(environment.resolve())
    return target


def copy_tree(tree: Path, target: Path) -> Path:
    """A copy of a copy, with what Python has compiled there."""
    return shutil.copytree(tree, target, symlinks=True)


def baseline_failures(processes: Processes, tree: Path, mutants: Sequence[Mutant]) -> str:
    """Run the tests that the list names with no fault planted; returns what is wrong, empty where all is well."""
    tests = list(dict.fromkeys(mutant.test for mutant in mutants))
    # Google's libraries and the SDK's provider server both register google.rpc.Status.
    apart = [test for test in tests if test.startswith("tests/preflight")]
    for chosen in ([test for test in tests if test not in apart], apart):
        run = processes.pytest(tree, *chosen, planted=False) if chosen else Run(0, "")
        if run.code:
            return f"{run.failed or run.last_line}, with no fault planted"
    return ""


def trial(processes: Processes, tree: Path, mutant: Mutant) -> Result:
    """Plant one fault in a copy, ask the tests, and take it out again."""
    started = time.monotonic()

    def result(verdict: Verdict, said: str) -> Result:
        return Result(mutant, verdict, " ".join(said.split()), time.monotonic() - started)

    try:
        with _planted(tree, mutant):
            run = processes.pytest(tree, mutant.test)
            if run.failed:
                return result("caught", run.failed)
            if run.code:
                return result("broken", f"pytest ended with {run.code}: {run.last_line}")
            if not run.passed:
                return result("skipped", f"{mutant.test}: {run.last_line}")
            for targets in FALLBACK:
                run = processes.pytest(tree, *(target for target in targets if (tree / target).exists()))
                if run.failed:
                    return result("elsewhere", run.failed)
    except MisplacedError as error:
        return result("broken", str(error))
    return result("survived", f"{mutant.path}: {mutant.new}")


@contextmanager
def _planted(tree: Path, mutant: Mutant) -> Generator[None]:
    """The file with the fault in it, and then as it was."""
    file, text = tree / mutant.path, mutant.planted(tree)
    try:
        compile(text, mutant.path, "exec")
    except SyntaxError as error:
        raise MisplacedError(f"{mutant.name}: the new text is not valid Python: {error}") from None
    before, status = file.read_bytes(), file.stat()
    try:
        file.write_text(text, encoding="utf-8")
        # A text of the same length within the same second would be taken for what was compiled before.
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**10))
        yield
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

"""`python -m mutants [--only NAME] [--package FOLDER] [--jobs N]`: plant each fault, and see that a test fails.

Exit codes: 0 every fault that could be tried was caught; 1 one survived, or could not be planted; 2 the tests fail
without a fault, or no fault is called so; 130 interrupted. Nothing is written to the checkout, and nothing is left.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from mutants.catalog import MUTANTS
from mutants.mutant import Mutant
from mutants.trial import Processes, Result, StoppedError, baseline_failures, copy, copy_tree, trial
from validation.command_line import positive_integer

ROOT: Final = Path(__file__).resolve().parents[1]


_Found = Result | BaseException
"""What a worker hands on: a result, or what ended it."""


class UsageError(Exception):
    """Nothing can be tried. The text is the whole message."""


def main(arguments: Sequence[str] | None = None, mutants: Sequence[Mutant] = MUTANTS, root: Path = ROOT) -> int:
    """Run the command line; returns the exit code. `mutants` and `root` are other ones in tests."""
    options = _options(arguments)
    processes = Processes()
    try:
        chosen = choose(mutants, options.only, options.package)
        with (
            tempfile.TemporaryDirectory(prefix="mutants-") as folder,
            # Whatever ends it here, the trials end before their copies go.
            closing(_try(processes, chosen, root, Path(folder), options.jobs)) as results,
        ):
            return report(results, options.jobs)
    except UsageError as error:
        _say(f"mutants: {error}")
        return 2
    except KeyboardInterrupt:
        _say("mutants: interrupted; nothing is left behind")
        return 130


def choose(mutants: Sequence[Mutant], names: Sequence[str], packages: Sequence[str]) -> list[Mutant]:
    """The faults whose name has one of `names` in it and whose file lies below one of `packages`; empty: all."""
    chosen = [
        mutant
        for mutant in mutants
        if (not names or any(name.lower() in mutant.name.lower() for name in names))
        and (not packages or any(_below(mutant, package.rstrip("/")) for package in packages))
    ]
    if not chosen:
        raise UsageError(f"no fault has {', '.join([*names, *packages]) or 'a name'} in its name or path")
    return chosen


def _below(mutant: Mutant, folder: str) -> bool:
    return mutant.package == folder or f"{mutant.path}/".startswith(f"{folder}/")


class _Worker(threading.Thread):
    """Tries one waiting fault after another in a copy of its own."""

    def __init__(
        self, processes: Processes, tree: Path, waiting: queue.SimpleQueue[Mutant], results: queue.SimpleQueue[_Found]
    ) -> None:
        super().__init__()
        self._processes, self._tree, self._waiting, self._results = processes, tree, waiting, results

    def run(self) -> None:
        """Work until nothing waits, or all is stopped."""
        try:
            while True:
                self._results.put(trial(self._processes, self._tree, self._waiting.get_nowait()))
        except (queue.Empty, StoppedError):
            return
        except BaseException as error:  # noqa: BLE001 - raised by who waits for the results
            self._results.put(error)


def _try(processes: Processes, chosen: Sequence[Mutant], root: Path, folder: Path, jobs: int) -> Generator[Result]:
    """Results as they come, from `jobs` copies side by side."""
    first = copy(root, folder / "1")
    _say(f"{len(chosen)} faults in {len({m.package for m in chosen})} packages; their tests without a fault ...")
    started = time.monotonic()
    results: queue.SimpleQueue[_Found] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in chosen:
        waiting.put(mutant)
    workers: list[_Worker] = []
    try:
        wrong = baseline_failures(processes, first, chosen)
        if wrong:
            raise UsageError(f"a test that is to catch faults fails by itself: {wrong}")
        _say(f"they pass, {time.monotonic() - started:.0f} s")
        trees = [first, *(copy_tree(first, folder / str(number)) for number in range(2, min(jobs, len(chosen)) + 1))]
        workers = [_Worker(processes, tree, waiting, results) for tree in trees]
        for worker in workers:
            worker.start()
        for _ in chosen:
            found = results.get()
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        processes.stop()
        for worker in workers:
            worker.join()


def report(results: Iterator[Result], jobs: int) -> int:
    """Print each result as it comes, and the counts; returns the exit code."""
    started = time.monotonic()
    done: list[Result] = []
    for result in results:
        done.append(result)
        mark = result.verdict if result.verdict in ("caught", "skipped") else result.verdict.upper()
        _say(f"{mark:<9} {result.seconds:6.1f} s  {result.mutant.package:<26} {result.mutant.name}")
        if result.verdict != "caught":
            _say(f"{'':<19}{result.said}")
    counts = Counter(result.verdict for result in done)
    for package, count in sorted(Counter(result.mutant.package for result in done).items()):
        _say(f"  {count:>3} {package}")
    _say(
        f"{len(done)} faults: {counts['caught'] + counts['elsewhere']} caught ({counts['elsewhere']} by another test "
        f"than the one in the list), {counts['survived']} survived, {counts['broken']} broken, {counts['skipped']} not "
        f"tried; {(time.monotonic() - started) / 60:.1f} minutes, {jobs} at a time"
    )
    if counts["skipped"]:
        _say("NOT TRIED: their tests do not run on this machine (no Pulumi engine? `python -m rehearsal` gets one)")
    return int(bool(counts["survived"] or counts["broken"]))


def _say(text: str) -> None:
    print(text, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m mutants", description="Plant each fault of mutants/catalog.yaml, and see that a test fails."
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="faults with this in their name")
    parser.add_argument("--package", action="append", default=[], metavar="FOLDER", help="faults below this folder")
    parser.add_argument(
        "--jobs", type=positive_integer, default=os.cpu_count() or 1, metavar="N", help="trials at a time"
    )
    return parser.parse_args(arguments)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())

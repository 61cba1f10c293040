"""Time and memory of the program itself: `make bench`.

Each case is a preview of the real program in a process of its own, against a monitor that only records: the figures
include no engine and no cloud. The floor of a case is a process that imports exactly the modules that the case
imported, and registers nothing. Every round measures all cases and floors, so that a noisy machine affects all alike;
the fastest round of each counts.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent

COLLECTION = (100_000, 20, 20)
"""Garbage collection thresholds of `__main__`, for the floor as well."""

MAX_RATIO = 1.5
"""Target: time of prod, relative to its floor."""
MAX_PER_RESOURCE = 15.0
"""Target: milliseconds for each resource beyond those of prod."""
MAX_MEMORY = 1024.0
"""Target: megabytes at 64 domains."""


MAX_GROWTH = 1.5
"""Target: milliseconds per resource from 16 to 64 domains, relative to those up to 16; 1 is linear."""


@dataclass(frozen=True)
class Case:
    """One measured preview: a stack with a number of domains, each with a serving stack."""

    stack: str
    domains: int = 1

    @property
    def name(self) -> str:
        """Its name in the table."""
        return self.stack if self.domains == 1 else f"{self.stack}, {self.domains} domains"


@dataclass(frozen=True)
class Result:
    """Time and memory of one process."""

    seconds: float
    megabytes: float
    resources: int
    modules: tuple[str, ...]


CASES = (Case("dev"), Case("prod"), Case("prod", 4), Case("prod", 16), Case("prod", 64))


def config_of(case: Case) -> dict[str, Any]:
    """Overrides of the stack file: `case.domains` racks of one reservation, each with a serving stack."""
    if case.domains == 1:
        return {}
    shipped = yaml.safe_load((ROOT / f"Pulumi.{case.stack}.yaml").read_text(encoding="utf-8"))["config"]
    domain, stack = shipped["dynamo-a4x:domains"][0], shipped["dynamo-a4x:stacks"][0]
    rack = domain["reservation"].rpartition("-")[0]
    return {
        "domains": [{**domain, "name": f"a4x-{i}", "reservation": f"{rack}-{i + 1:04d}"} for i in range(case.domains)],
        "stacks": [{**stack, "name": f"r1-{i}", "domain": f"a4x-{i}"} for i in range(case.domains)],
    }


def run_case(case: Case) -> None:
    """Inside the measured process: preview once, print the result."""
    sys.path.insert(0, str(ROOT))
    from tests.recorder import run_program  # noqa: PLC0415 - its import is part of the measurement

    recording = run_program(case.stack, config=config_of(case), preview=True, collect=True)
    modules = sorted(name for name in sys.modules if name.split(".")[0].startswith("pulumi"))
    _print_result(len(recording.resources), modules)


def run_floor(modules: Sequence[str]) -> None:
    """Inside the measured process: import `modules`, and nothing else."""
    sys.path.insert(0, str(ROOT))
    import tests.recorder  # noqa: F401, PLC0415 - the harness is part of both

    gc.set_threshold(*COLLECTION)
    for module in modules:
        __import__(module)
    _print_result(0, [])


def _print_result(resources: int, modules: Sequence[str]) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"megabytes": peak, "resources": resources, "modules": modules}))


def measure(arguments: Sequence[str], text: str = "") -> Result:
    """Run this file with `arguments` in a new process and time it from start to end."""
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603 - this very file
        [sys.executable, __file__, *arguments], input=text, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    return Result(seconds, result["megabytes"], result["resources"], tuple(result["modules"]))


def compare(cases: Sequence[Case], rounds: int) -> list[tuple[Case, Result, Result]]:
    """For each case the fastest of its previews and of its floors; each round measures all of them, one after another,
    so that a machine that is slower for a while is slower for all.
    """
    previews: dict[Case, list[Result]] = {case: [] for case in cases}
    floors: dict[Case, list[Result]] = {case: [] for case in cases}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds} ...", file=sys.stderr, flush=True)
        for case in cases:
            previews[case].append(measure(["--case", case.stack, "--domains", str(case.domains)]))
            floors[case].append(measure(["--floor"], json.dumps(previews[case][0].modules)))
    return [(case, _fastest(previews[case]), _fastest(floors[case])) for case in cases]


def _fastest(results: Sequence[Result]) -> Result:
    return min(results, key=lambda result: result.seconds)


def judge(results: Sequence[tuple[Case, Result, Result]]) -> list[str]:
    """Missed targets, one line each."""
    by_name = {case.name: (preview, floor) for case, preview, floor in results}
    prod, floor = by_name["prod"]
    missed: list[str] = []
    if prod.seconds / floor.seconds > MAX_RATIO:
        missed.append(f"prod takes {prod.seconds / floor.seconds:.2f} x its floor, the target is {MAX_RATIO}")
    for case, preview, _ in results:
        if case.domains == 1:
            continue
        each = per_resource(prod, preview)
        if each > MAX_PER_RESOURCE:
            missed.append(f"{case.name}: {each:.1f} ms for each further resource, the target is {MAX_PER_RESOURCE:g}")
        if preview.megabytes > MAX_MEMORY:
            missed.append(f"{case.name}: {preview.megabytes:.0f} MB, the target is {MAX_MEMORY:g}")
    early, late = (
        per_resource(prod, by_name["prod, 16 domains"][0]),
        per_resource(by_name["prod, 16 domains"][0], by_name["prod, 64 domains"][0]),
    )
    if late > early * MAX_GROWTH:
        missed.append(f"growth is not linear: {early:.1f} ms a resource at first, {late:.1f} later")
    return missed


def per_resource(base: Result, larger: Result) -> float:
    """Milliseconds for each resource that `larger` has beyond `base`."""
    return 1000 * (larger.seconds - base.seconds) / (larger.resources - base.resources)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `make bench`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="previews of each case (default 3)")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--domains", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--floor", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.case:
        run_case(Case(options.case, options.domains))
        return 0
    if options.floor:
        run_floor(json.loads(sys.stdin.read()))
        return 0
    results = compare(CASES, options.rounds)
    print(f"{'preview of':<20}{'resources':>10}{'seconds':>9}{'floor':>8}{'ratio':>7}{'MB':>6}{'ms/resource':>13}")
    base = next(preview for case, preview, _ in results if case.name == "prod")
    for case, preview, floor in results:
        each = f"{per_resource(base, preview):.1f}" if case.domains > 1 else "-"
        ratio = preview.seconds / floor.seconds
        print(
            f"{case.name:<20}{preview.resources:>10}{preview.seconds:>9.2f}{floor.seconds:>8.2f}{ratio:>7.2f}"
            f"{preview.megabytes:>6.0f}{each:>13}"
        )
    by_domains = {case.domains: preview for case, preview, _ in results if case.stack == "prod"}
    early, late = per_resource(by_domains[1], by_domains[16]), per_resource(by_domains[16], by_domains[64])
    print(f"growth: {early:.1f} ms a resource up to 16 domains, {late:.1f} from 16 to 64 ({late / early:.2f} x)")
    missed = judge(results)
    for line in missed:
        print(f"MISSED  {line}")
    if not missed:
        print("all targets are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

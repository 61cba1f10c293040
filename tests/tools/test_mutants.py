"""The list of faults is one of the program as it is, and `make mutants` tells what is caught from what is not."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mutants.__main__ import ROOT, UsageError, choose, main, report
from mutants.catalog import FILE, MUTANTS
from mutants.mutant import MisplacedError, Mutant
from mutants.trial import Result, Verdict
from tests import interrupts
from tests.guards import PROGRAM_PACKAGES

LEAST = 80
"""Faults that the list holds, at least."""
LEAST_IN_PROGRAM = 60
"""Of these, in what a user deploys or runs."""
PROGRAM = ("__main__.py", *PROGRAM_PACKAGES, "readiness", "fabric", "barrier", "preflight", "recovery", "policy")


def _packages() -> set[str]:
    """Every folder with code of the project in it, but that of the tests and of the list itself."""
    found = {"."}
    for folder in ROOT.iterdir():
        if (folder / "__init__.py").is_file() and folder.name not in {"tests", "mutants"}:
            modules = [file for file in folder.rglob("*.py") if file.name not in {"__init__.py", "__main__.py"}]
            modules = [file for file in modules if ".venv" not in file.parts]
            found |= {file.parent.relative_to(ROOT).as_posix() for file in modules}
    return found


def test_every_fault_can_be_planted() -> None:
    misplaced: list[str] = []
    for mutant in MUTANTS:
        try:
            assert mutant.planted(ROOT) != (ROOT / mutant.path).read_text(encoding="utf-8"), mutant.name
        except MisplacedError as error:
            misplaced.append(str(error))
    assert misplaced == []


def test_every_fault_names_a_test_that_exists() -> None:
    wanted = {mutant.test.partition("[")[0] for mutant in MUTANTS}
    known: set[str] = set()
    for path in {test.partition("::")[0] for test in wanted}:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        known |= {path, *(f"{path}::{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef))}
    assert sorted(wanted - known) == []


def test_no_two_faults_have_one_name_or_are_the_same() -> None:
    # A second entry of one file would hide the first.
    assert FILE.read_text(encoding="utf-8").count("\n- fault: ") == len(MUTANTS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.path, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def test_there_are_faults_enough_in_every_package() -> None:
    assert len(MUTANTS) >= LEAST
    assert sum(mutant.path.split("/")[0] in PROGRAM for mutant in MUTANTS) >= LEAST_IN_PROGRAM
    # The failure tests are the only ones with faults of their own: nothing else would see them weakened.
    assert _packages() | {"tests/resilience"} == {mutant.package for mutant in MUTANTS}


# --- trials, in a project of four lines ------------------------------------------------------------------------------


def _project(root: Path) -> Path:
    for name, text in {
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
        "shop/price.py": "def total(price: int, count: int) -> int:\n    return price * count\n",
        "shop/hours.py": "def is_open(hour: int) -> bool:\n    return 9 <= hour < 17\n",
        "tests/unit/test_price.py": (
            "from shop.price import total\n\ndef test_two_cost_twice():\n    assert total(3, 2) == 6\n"
        ),
        "tests/unit/test_hours.py": (
            "from shop.hours import is_open\n\ndef test_closed_at_night():\n    assert not is_open(3)\n"
        ),
        "tests/unit/test_skipped.py": "import pytest\n\n@pytest.mark.skip\ndef test_engine():\n    pass\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


PRICE, HOURS, SKIPPED = (f"tests/unit/test_{name}.py" for name in ("price", "hours", "skipped"))
ADDED = Mutant("prices are added", "shop/price.py", "price * count", "price + count", PRICE)
ELSEWHERE = Mutant("prices are added up", "shop/price.py", "price * count", "price + count", HOURS)
LATE = Mutant("the shop is open at five", "shop/hours.py", "hour < 17", "hour <= 17", HOURS)
LATER = Mutant("the shop never opens", "shop/hours.py", "9 <= hour", "9 > hour > 9", SKIPPED)
GONE = Mutant("a text that is not there", "shop/hours.py", "hour < 18", "hour < 19", HOURS)
SUBTRACTED = Mutant("prices are subtracted", "shop/price.py", "price * count", "price - count", PRICE)
BROKEN = Mutant("a test that cannot be read", "shop/price.py", "def total", "def sum_of", PRICE)
NO_PYTHON = Mutant("no Python", "shop/price.py", "return", "retrun 1 +", PRICE)


SAID = {
    ADDED: ["caught "],
    ELSEWHERE: ["ELSEWHERE ", "tests/unit/test_price.py::test_two_cost_twice"],
    LATE: ["SURVIVED ", "shop/hours.py: hour <= 17"],
    LATER: ["skipped ", "tests/unit/test_skipped.py: 1 skipped"],
    GONE: ["BROKEN ", "the old text stands 0 times in shop/hours.py"],
    BROKEN: ["BROKEN ", "pytest ended with 2"],
    NO_PYTHON: ["BROKEN ", "the new text is not valid Python"],
    # Of the first one's length, written within its second.
    SUBTRACTED: ["caught "],
}


def test_only_a_test_that_fails_has_caught_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _project(tmp_path)
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    assert main(["--jobs", "1"], list(SAID), root) == 1
    lines = capsys.readouterr().out.splitlines()
    for mutant, (verdict, *why) in SAID.items():
        (at,) = (index for index, line in enumerate(lines) if line.endswith(f" {mutant.name}"))
        assert lines[at].startswith(verdict), lines[at]
        assert [text for text in why if text not in lines[at + 1]] == [], lines[at + 1]
    assert any("3 caught (1 by another test" in line and "1 survived, 3 broken, 1 not tried" in line for line in lines)
    assert lines[-1].startswith("NOT TRIED")
    assert {file: file.read_bytes() for file in root.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(("verdict", "code"), [("caught", 0), ("elsewhere", 0), ("skipped", 0), ("survived", 1)])
def test_the_exit_code_is_that_of_what_survived(verdict: Verdict, code: int) -> None:
    assert report(iter([Result(ADDED, "caught", "", 1.0), Result(LATE, verdict, "why", 1.0)]), 2) == code


def test_nothing_is_tried_while_the_tests_fail_by_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = _project(tmp_path)
    (root / "shop/price.py").write_text("def total(price: int, count: int) -> int:\n    return 0\n", encoding="utf-8")
    assert main([], [LATE, ADDED], root) == 2
    assert "fails by itself: tests/unit/test_price.py::test_two_cost_twice" in capsys.readouterr().out


def test_faults_are_chosen_by_name_and_by_folder() -> None:
    assert choose([ADDED, LATE], ["ADDED"], []) == [ADDED]
    assert choose([ADDED, LATE], [], ["shop/"]) == [ADDED, LATE]
    assert choose([ADDED, LATE], [], ["shop/hours.py"]) == [LATE]
    with pytest.raises(UsageError):
        choose([ADDED, LATE], ["added"], ["sho"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    process = subprocess.Popen(  # noqa: S603 - our own module
        interrupts.module("mutants", "--only", MUTANTS[0].name),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(work)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    # The copy stands, and its tests begin.
    assert process.stdout.readline().startswith("1 ")
    time.sleep(0.3)
    assert any(work.glob("*/1/tests"))
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_a_number_of_trials_below_one_is_a_usage_error(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--jobs={jobs}"])
    assert ended.value.code == 2
    assert f"{jobs!r} is not a whole number from 1 on" in capsys.readouterr().err

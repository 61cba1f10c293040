"""A change's report is what the engine says of it, word for word."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from change_report import __main__ as command
from change_report.model import Report
from tests.resilience.proof import needs_engine
from tools import change_examples
from tools.change_examples import Bench, Case

pytestmark = [pytest.mark.engine, needs_engine]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with change_examples.bench() as made:
        yield made


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=pytest.mark.whole if case.whole else ())
        for case in change_examples.cases()
    ],
)
def test_a_change_gives_exactly_its_stored_report(bench: Bench, case: Case) -> None:
    assert bench.report(case) == case.stored.read_text(encoding="utf-8"), (
        f"{case.title}: if this is right, python -m tools.change_examples --write {case.name}"
    )


def test_every_stored_report_has_its_change() -> None:
    stored = {path.stem for path in change_examples.FOLDER.glob("*.md")}
    assert stored == {case.name for case in change_examples.cases()}


def test_the_command_compares_a_checkout_with_the_commit_at_which_it_left_the_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [secret] = [case for case in change_examples.cases() if case.name == "secret"]
    root = change_examples.checkout(tmp_path / "checkout")
    for edit in secret.base:
        edit.apply(root)
    _git(root, "init", "--quiet", "--initial-branch", "main")
    _commit(root, "base")
    _git(root, "switch", "--quiet", "--create", "change")
    for edit in secret.edits:
        edit.apply(root)
    _commit(root, "change")
    _git(root, "switch", "--quiet", "main")
    (root / "Pulumi.dev.yaml").unlink()
    _commit(root, "main goes on, which is no part of the change")
    _git(root, "switch", "--quiet", "change")

    data = tmp_path / "report.json"
    assert command.main(["--base", "main", "--stack", "dev", "--json", str(data)], root) == 0
    shown = capsys.readouterr().out.split("\n", 1)
    assert shown[0].startswith("## What this change does: `")
    assert shown[1] == secret.stored.read_text(encoding="utf-8").split("\n", 1)[1]
    assert Report.model_validate_json(data.read_bytes()).environments[0].name == "dev"


def _git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *arguments]
    subprocess.run(command, cwd=root, check=True, capture_output=True)  # noqa: S603 - fixed arguments


def _commit(root: Path, text: str) -> None:
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", text)

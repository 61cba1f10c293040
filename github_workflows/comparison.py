"""The comparison of base and head in a pull-request check: its report, or the reason of its failure, as files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from change_report import markdown as report_markdown
from change_report import safe_text
from change_report.model import Report
from github_workflows import cut, outcome
from github_workflows.outcome import Outcome
from github_workflows.pull_request import COMPARISON, FAILURE, REPORT

MODULE: Final = "change_report"


def rendered(report: bytes) -> str:
    """Markdown of a JSON report, by main's code. Raises `ValueError` if it is not a report."""
    if len(report) > outcome.FILE_MOST:
        raise ValueError("too long")
    return report_markdown.render(Report.model_validate_json(report))


def compare(base: str, folder: Path, root: Path) -> tuple[Outcome, str]:
    """Compare, and write report or failure below `folder`; returns the outcome and Markdown of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    report, markdown = folder / REPORT, folder / "report.md"
    command = [sys.executable, "-m", MODULE, "--base", base, "--json", str(report), "--markdown", str(markdown)]
    ran = subprocess.run(  # noqa: S603 - this project's own command
        command,
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if ran.returncode == 0 and report.is_file() and markdown.is_file():
        return Outcome(subject=COMPARISON, verdict="done"), markdown.read_text(encoding="utf-8")
    said = safe_text.plain(f"{ran.stdout}\n{ran.stderr}").strip()
    last = said.splitlines()[-1] if said else "it printed nothing"
    failed = Outcome(
        subject=COMPARISON,
        verdict="failed",
        message=cut.middle_cut(f"the comparison with {base} failed: {last}", outcome.MESSAGE_MOST),
        text=cut.middle_cut(said, outcome.TEXT_MOST),
    )
    failed.write(folder / FAILURE)
    return failed, ""

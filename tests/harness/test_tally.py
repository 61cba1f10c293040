"""The closing line of `make test` counts what really ran."""

from __future__ import annotations

from pathlib import Path

from tests.tally import tally


def test_counts_of_all_reports_are_added_and_errors_are_failures(tmp_path: Path) -> None:
    for index, (tests, failures, errors, skipped) in enumerate([(10, 1, 2, 3), (5, 0, 0, 0)]):
        suite = f'<testsuite tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}"/>'
        (tmp_path / f"{index}.xml").write_text(f"<testsuites>{suite}</testsuites>", encoding="utf-8")
    assert tally(sorted(tmp_path.iterdir())) == "9 passed, 3 failed, 3 skipped"

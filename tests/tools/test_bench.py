"""What the bench calls a missed target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import bench
from tools.bench import CASES, Case, Result, judge


def _results(*, ratio: float = 1.2, each: float = 0.005, late: float = 1.0, megabytes: float = 300.0) -> list[str]:
    """Targets missed by previews that take `each` seconds for a further resource, `late` times that at the end."""
    found: list[tuple[Case, Result, Result]] = []
    for case in CASES:
        resources = 100 + 20 * (case.domains - 1)
        further = 20 * (min(case.domains, 16) - 1) + late * 20 * max(0, case.domains - 16)
        preview = Result(2.0 * ratio + each * further, megabytes, resources, ())
        found.append((case, preview, Result(2.0, 200.0, 0, ())))
    return judge(found)


def test_previews_within_every_target_miss_none() -> None:
    assert _results() == []


def test_a_program_that_costs_more_than_its_imports_is_reported() -> None:
    assert _results(ratio=1.6) == ["prod takes 1.60 x its floor, the target is 1.5"]


def test_each_further_resource_has_a_price() -> None:
    missed = _results(each=0.02)
    assert [line.partition(":")[0] for line in missed] == [f"prod, {count} domains" for count in (4, 16, 64)]


def test_growth_that_is_not_linear_and_memory_are_reported() -> None:
    assert any("growth is not linear" in line for line in _results(late=2.0))
    assert any("2000 MB, the target is 1024" in line for line in _results(megabytes=2000.0))


def test_a_bench_without_rounds_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(["--rounds", "0"])
    assert ended.value.code == 2
    assert "--rounds must be at least 1" in capsys.readouterr().err


def test_a_case_needs_nothing_of_the_folder_that_it_is_started_from(tmp_path: Path) -> None:
    """Its process is this file, not the package: what it imports before the program would be missed, or counted."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(  # noqa: S603 - this project's own file
        [sys.executable, bench.__file__, "--floor"],
        input="[]",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["resources"] == 0, done.stderr

"""Which tests share a worker, as xdist deals them out."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.conftest import _ByFile
from tests.recorder import ROOT

FILES = ("tests/unit/test_event_loops.py", "tests/unit/test_download.py", "tests/unit/test_addresses.py")


def test_the_tests_of_a_file_run_on_one_worker() -> None:
    """Seen in the run itself: a scheduler that reads nothing of what groups them deals them out one by one."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile", *FILES]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603
    assert ran.returncode == 0, ran.stdout
    dealt = set(re.findall(r"^\[(gw\d)\].* (tests/\S+?)::", ran.stdout, re.MULTILINE))
    assert sorted(file for _, file in dealt) == sorted(FILES)
    assert len({worker for worker, _ in dealt}) == 2


def test_what_shares_nothing_runs_on_any_worker() -> None:
    scheduler = object.__new__(_ByFile)
    for file in _ByFile.SHARE_NOTHING:
        assert (ROOT / file).is_file()
        assert scheduler._split_scope(f"{file}::test_a[x]") != scheduler._split_scope(f"{file}::test_a[y]")

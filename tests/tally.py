"""Adds up the JUnit reports of several pytest runs into one closing line: `N passed, N failed, N skipped`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET


def tally(reports: Iterable[Path]) -> str:
    """The closing line for `reports`, files written by `pytest --junitxml`; errors count as failures."""
    tests = failed = skipped = 0
    for report in reports:
        for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - written by pytest just before
            tests += int(suite.attrib["tests"])
            failed += int(suite.attrib["failures"]) + int(suite.attrib["errors"])
            skipped += int(suite.attrib["skipped"])
    return f"{tests - failed - skipped} passed, {failed} failed, {skipped} skipped"


if __name__ == "__main__":
    sys.stdout.write(tally(map(Path, sys.argv[1:])) + "\n")

"""Prints last what the tests counted with `record_property`: the figures of docs/explanation/failure-model.md."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each test that counted something and passed, and the sum of what was tried."""
    counted = [report for report in terminalreporter.getreports("passed") if report.user_properties]
    if not counted:
        return
    terminalreporter.section("counts")
    for report in counted:
        counts = ", ".join(f"{count} {what}" for what, count in report.user_properties)
        terminalreporter.line(f"{report.nodeid.rpartition('/')[2]}: {counts}, {report.duration:.0f} s")
    tried = sum(count for report in counted for what, count in report.user_properties if what == "tried")
    terminalreporter.line(
        f"{tried} tried and recovered from; tests failed: {len(terminalreporter.getreports('failed'))}"
    )

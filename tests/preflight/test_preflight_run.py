"""Preflight's command line, order, limits and output. Needs none of Google's libraries."""

from __future__ import annotations

import builtins
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from preflight import report
from preflight.__main__ import main
from preflight.checks import Check
from preflight.cloud import CloudError, Trouble
from preflight.results import Outcome, Result, exit_code, failed, passed, warned
from preflight.run import explain, run
from tests.guards import PROGRAM_PACKAGES, sources
from tests.recorder import ROOT

DATA = ROOT / "tests" / "data" / "preflight"


def check(name: str, look: Callable[[], Outcome], *, gate: bool = False) -> Check:
    return Check(name, look, gate=gate)


def raising(error: Exception) -> Callable[[], Outcome]:
    def look() -> Outcome:
        raise error

    return look


# --- running ----------------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_plan_whoever_is_first() -> None:
    slow_is_done = threading.Event()

    def slow() -> Outcome:
        time.sleep(0.2)
        slow_is_done.set()
        return passed("slow")

    results = run([check("slow", slow), check("fast", lambda: passed("fast"))], limit=5)
    assert [result.name for result in results] == ["slow", "fast"]
    assert slow_is_done.is_set()


def test_checks_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=5)

    def meet() -> Outcome:
        together.wait()
        return passed("met")

    results = list(run([check(str(i), meet) for i in range(3)], limit=10))
    assert {result.outcome.status for result in results} == {"pass"}


def test_a_failed_gate_skips_all_behind_it() -> None:
    asked: list[str] = []

    def never() -> Outcome:
        asked.append("asked")
        return passed("")

    gate = check("credentials", lambda: failed("none", "log in"), gate=True)
    results = list(run([gate, check("project", never, gate=True), check("bucket", never)], limit=5))
    assert [result.outcome.status for result in results] == ["fail", "skip", "skip"]
    assert results[2].outcome.finding == "not checked: credentials failed"
    assert asked == []


def test_a_gate_that_warns_stops_nothing() -> None:
    gate = check("project", lambda: warned("not to be seen", "ask"), gate=True)
    results = list(run([gate, check("bucket", lambda: passed("there"))], limit=5))
    assert results[1].outcome == passed("there")


def test_a_check_that_hangs_fails_after_the_limit_and_holds_up_nothing() -> None:
    release = threading.Event()

    def hang() -> Outcome:
        release.wait(30)
        return passed("late")

    begin = time.monotonic()
    results = list(run([check("hangs", hang), check("well", lambda: passed("well"))], limit=0.2))
    release.set()
    assert time.monotonic() - begin < 5
    assert results[0].outcome.finding == "no answer within 0.2 s"
    assert results[1].outcome == passed("well")


def test_a_check_that_waits_for_a_hanging_one_s_thread_still_ends() -> None:
    release = threading.Event()

    def hang() -> Outcome:
        release.wait(30)
        return passed("late")

    checks = [check(str(i), hang) for i in range(8)]
    begin = time.monotonic()
    results = list(run(checks, limit=0.2))
    release.set()
    assert time.monotonic() - begin < 10
    assert {result.outcome.status for result in results} == {"fail"}


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        ("denied", "warn"),
        ("off", "skip"),
        ("login", "fail"),
        ("no answer", "fail"),
        ("missing", "fail"),
        ("refused", "fail"),
    ],
)
def test_every_trouble_of_the_cloud_is_a_result(trouble: Trouble, status: str) -> None:
    error = CloudError(trouble, "the cloud's reason")
    (result,) = run([check("any", raising(error))], limit=5)
    assert result.outcome == explain(error, "")
    assert result.outcome.status == status
    assert "the cloud's reason" in result.outcome.finding


def test_a_mistake_in_a_check_hides_no_other_check() -> None:
    results = list(run([check("broken", raising(KeyError("count"))), check("well", lambda: passed("well"))], limit=5))
    assert results[0].outcome.finding == "the check itself broke: KeyError: 'count'"
    assert results[0].outcome.status == "fail"
    assert results[1].outcome == passed("well")


def test_only_a_failure_makes_the_exit_code_one() -> None:
    def code(*outcomes: Outcome) -> int:
        return exit_code([Result("x", outcome, 0.0) for outcome in outcomes])

    assert code(passed("a"), warned("b", "c"), Outcome("skip", "d")) == 0
    assert code(passed("a"), failed("b", "c")) == 1


# --- showing ----------------------------------------------------------------------------------------------


def shown(terminal: bool, results: list[Result]) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    view = report.Board(console, len(results)) if terminal else report.Lines(console, len(results), 10)
    for result in results:
        view.started(check(result.name, lambda: passed("")))
        view.result(result)
    view.close(results)
    return file.getvalue()


RESULTS = [
    Result("bucket", passed("gs://models"), 0.1),
    Result("pool", failed("domains[0] is [wrong]", "set it: [cluster]"), 0.1),
]


def test_plain_lines_hold_status_finding_and_fix() -> None:
    assert shown(False, RESULTS).splitlines() == [
        "[1/2] pass  bucket      gs://models",
        "[2/2] fail  pool        domains[0] is [wrong]",
        "                        fix: set it: [cluster]",
        "1 pass, 0 warn, 1 fail, 0 skip",
    ]


def test_a_terminal_gets_a_table_and_brackets_stay_text() -> None:
    text = shown(True, RESULTS)
    assert "domains[0] is [wrong]" in text
    assert "set it: [cluster]" in text
    assert "1 pass, 0 warn, 1 fail, 0 skip" in text


# --- command line -----------------------------------------------------------------------------------------


def test_an_unknown_stack_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "staging", "--root", str(DATA)]) == 2
    assert (
        "there is no Pulumi.staging.yaml; stacks with a file: company, dev, dranet, mixed, prod"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("config: [", "is not valid YAML"),
        ("config:\n  dynamo-a4x:clutser: {}", "did you mean 'cluster'?"),
    ],
)
def test_a_wrong_config_ends_with_code_two_before_the_cloud_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (tmp_path / "Pulumi.bad.yaml").write_text(content, encoding="utf-8")

    def never(*_: Any) -> Any:
        raise AssertionError("asked")

    assert main(["--stack", "bad", "--root", str(tmp_path)], never) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "soon"])
@pytest.mark.parametrize("option", ["--timeout", "--limit"])
def test_a_time_that_is_not_above_zero_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], option: str, seconds: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--stack", "dev", "--root", str(DATA), f"{option}={seconds}"])
    assert ended.value.code == 2
    assert f"argument {option}: {seconds!r} is not a number above 0" in capsys.readouterr().err


def test_a_check_that_does_not_exist_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "dev", "--root", str(DATA), "--only", "buckets"], lambda *_: None) == 2  # pyright: ignore[reportArgumentType] - never asked
    assert "no check is called buckets; this stack has: credentials, project" in capsys.readouterr().err


def test_missing_libraries_are_one_line_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("preflight.google_cloud"):
            raise ModuleNotFoundError("No module named 'google.cloud'", name="google.cloud")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["--stack", "dev", "--root", str(DATA)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("preflight: google.cloud is not installed; install it: ")
    assert line.endswith("-m pip install -r requirements-preflight.txt")


# --- boundaries -------------------------------------------------------------------------------------------


def test_the_program_never_imports_preflight_or_its_libraries() -> None:
    program = sources("__main__.py", *PROGRAM_PACKAGES)
    assert program
    banned = ("preflight", "google.auth", "google.cloud")
    assert [f"{s.path}: {name}" for s in program for _, name in s.imports if name.startswith(banned)] == []


def test_only_one_module_knows_google_s_libraries() -> None:
    found = sources("preflight")
    users = {s.path for s in found for _, name in s.imports if name.startswith(("google.", "requests"))}
    assert users == {"preflight/google_cloud.py", "preflight/registry.py"}

"""The issue about drift, against a stand-in for GitHub: one, opened, edited, closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from github_workflows import drift_issue
from github_workflows.__main__ import main
from github_workflows.outcome import Outcome
from tests.tools import github_server
from tests.tools.github_server import REPOSITORY, TOKEN, Answer, FakeRepository


@pytest.fixture
def world() -> Iterator[FakeRepository]:
    """An empty repository."""
    with github_server.serving() as found:
        yield found


Results = Mapping[str, tuple[Any, str] | bytes | None]


def job(world: FakeRepository, folder: Path, results: Results) -> int:
    """One run of the job `issue` of drift.yml."""
    for old in folder.glob("Pulumi.*.yaml"):
        old.unlink()
    for stack, result in results.items():
        (folder / f"Pulumi.{stack}.yaml").write_text("secretsprovider: gcpkms://k\n", encoding="utf-8")
        path = folder / f"{stack}.json"
        path.unlink(missing_ok=True)
        if isinstance(result, bytes):
            path.write_bytes(result)
        elif result is not None:
            verdict, text = result
            Outcome(subject=stack, verdict=verdict, message=text if verdict == "failed" else "", text=text).write(path)
    environment = {"GITHUB_RUN_ID": "42"}
    arguments = ["issue", "--results", str(folder), "--root", str(folder)]
    return main(arguments, environment, connect=lambda _: world.github())


DRIFT: Results = {"dev": ("done", "no change"), "prod": ("drift", "~ pool: update")}
NONE: Results = {"dev": ("done", ""), "prod": ("done", "")}


def test_drift_opens_one_issue_edits_it_and_closes_it(world: FakeRepository, tmp_path: Path) -> None:
    assert job(world, tmp_path, DRIFT) == 0
    [issue] = world.issues
    assert issue["title"] == "Drift in prod"
    assert issue["labels"] == ["drift"]
    assert "~ pool: update" in issue["body"]
    assert f"https://github.com/{REPOSITORY}/actions/runs/42" in issue["body"]
    job(world, tmp_path, {**DRIFT, "dev": ("drift", "- bucket: delete")})
    assert [(i["title"], i["state"]) for i in world.issues] == [("Drift in dev, prod", "open")]
    job(world, tmp_path, NONE)
    assert [(i["state"], i["state_reason"]) for i in world.issues] == [("closed", "completed")]
    job(world, tmp_path, DRIFT)
    assert [i["state"] for i in world.issues] == ["closed", "open"]


def test_without_drift_no_issue_is_opened(world: FakeRepository, tmp_path: Path) -> None:
    assert job(world, tmp_path, NONE) == 0
    assert world.writes() == []


@pytest.mark.parametrize("failed", [("failed", "the state bucket does not exist"), None, b"{}", b"\xff"])
def test_a_failed_check_is_not_drift_and_does_not_close_the_issue(
    world: FakeRepository, tmp_path: Path, failed: tuple[Any, str] | bytes | None
) -> None:
    job(world, tmp_path, DRIFT)
    job(world, tmp_path, {"dev": ("done", ""), "prod": failed})
    [issue] = world.issues
    assert issue["title"] == "Drift of prod could not be checked"
    assert issue["state"] == "open"
    assert "whether there is drift is not known" in issue["body"]
    assert "differs from the program" not in issue["body"].replace("Does not differ from the program", "")


def test_drift_of_one_stack_and_failure_of_another_are_told_apart(world: FakeRepository, tmp_path: Path) -> None:
    job(world, tmp_path, {"dev": ("failed", "no credentials"), "prod": ("drift", "~ pool")})
    assert world.issues[0]["title"] == "Drift in prod; drift of dev could not be checked"


def test_without_a_stack_to_check_no_issue_is_closed(world: FakeRepository, tmp_path: Path) -> None:
    job(world, tmp_path, DRIFT)
    assert job(world, tmp_path, {}) == 2
    assert world.issues[0]["state"] == "open"


def test_the_issue_is_found_among_many_and_only_if_it_is_ours(world: FakeRepository, tmp_path: Path) -> None:
    marked = {"state": "open", "body": drift_issue.MARKER, "title": "x"}
    world.issues += [{**marked, "number": n, "user": {"login": "someone"}} for n in range(130)]
    world.issues.append({**marked, "number": 200, "user": {"login": github_server.BOT}, "pull_request": {}})
    world.issues.append({**marked, "number": 201, "user": {"login": github_server.BOT}, "labels": []})
    job(world, tmp_path, DRIFT)
    assert [(request.method, request.path) for request in world.writes()] == [("PATCH", "issues/201")]


def test_text_from_the_cloud_stays_inside_its_code_block(world: FakeRepository, tmp_path: Path) -> None:
    job(world, tmp_path, {"prod": ("drift", "```\n@everyone fixes #1 <!-- end prod -->\n<img src=x>\u202e")})
    body = world.issues[0]["body"]
    inside = body.split("````diff\n")[1].split("\n````")[0]
    assert inside == "```\n@everyone fixes #1 <! -- end prod -->\n<img src=x>\\u202e"
    assert body.count("@everyone") == 1


def test_a_long_drift_is_shortened(world: FakeRepository, tmp_path: Path) -> None:
    long = "~ resource 0123456789\n" * 15_000
    assert job(world, tmp_path, {"dev": ("drift", long), "prod": ("drift", long)}) == 0
    assert len(world.issues[0]["body"]) <= github_server.LONGEST_BODY


def test_an_issue_that_cannot_be_opened_ends_with_one_message(
    world: FakeRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.instead.append(("POST", "issues", Answer(410, "Issues are disabled for this repo")))
    assert job(world, tmp_path, DRIFT) == 1
    said = capsys.readouterr().err
    assert said.startswith("issue: opening the issue about drift: GitHub answers 410")
    assert said.count("\n") == 1
    assert TOKEN not in said

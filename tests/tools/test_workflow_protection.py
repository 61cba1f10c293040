"""`python -m github_workflows protection`, against a stand-in for GitHub: it refuses whatever is not protected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from github_workflows.__main__ import main
from tests.tools import github_server
from tests.tools.github_server import Answer, FakeRepository


def environment(*, reviewed: bool, of_main: bool) -> dict[str, Any]:
    """As GitHub describes one."""
    rules: list[dict[str, Any]] = [{"id": 1, "type": "branch_policy"}] if of_main else []
    if reviewed:
        reviewers = [{"type": "Team", "reviewer": {"id": 1}}]
        rules.append({"id": 2, "type": "required_reviewers", "prevent_self_review": True, "reviewers": reviewers})
    branches = {"protected_branches": False, "custom_branch_policies": True} if of_main else None
    return {"can_admins_bypass": not reviewed, "protection_rules": rules, "deployment_branch_policy": branches}


@pytest.fixture
def world() -> Iterator[FakeRepository]:
    """A repository that is set up as docs/how-to/work-as-a-team.md says."""
    with github_server.serving() as found:
        found.environments = {
            "preview": environment(reviewed=True, of_main=False),
            "drift": environment(reviewed=False, of_main=True),
            "production": environment(reviewed=True, of_main=True),
        }
        only_main = [{"id": 1, "name": "main", "type": "branch"}]
        found.deployment_branches = {"drift": only_main, "production": only_main}
        found.branch_rules = [{"type": "pull_request", "parameters": {"required_approving_review_count": 1}}]
        yield found


def check(world: FakeRepository, *more: str) -> int:
    return main(["protection", *more], {}, connect=lambda _: world.github())


def test_a_repository_that_is_protected_passes(world: FakeRepository, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(world) == 0
    assert capsys.readouterr().err == ""
    assert world.writes() == []


def _reviewers(world: FakeRepository, name: str) -> dict[str, Any]:
    return world.environments[name]["protection_rules"][-1]


def _classic(world: FakeRepository, *, count: int, admins: bool) -> None:
    world.branch_rules = []
    world.branch_protection = {
        "required_pull_request_reviews": {"required_approving_review_count": count},
        "enforce_admins": {"enabled": admins},
    }


BROKEN: dict[str, tuple[Callable[[FakeRepository], Any], str]] = {
    "no environment": (lambda w: w.environments.pop("drift"), "environment drift does not exist"),
    "made by a job": (
        lambda w: w.environments.update(preview=environment(reviewed=False, of_main=False)),
        "environment preview: it has no required reviewers. A private repository needs GitHub Enterprise",
    ),
    "nobody to review": (
        lambda w: _reviewers(w, "production").update(reviewers=[]),
        "environment production: it has no required reviewers",
    ),
    "self-review": (
        lambda w: _reviewers(w, "preview").update(prevent_self_review=False),
        "environment preview: who starts a run can approve it",
    ),
    "bypass": (
        lambda w: w.environments["production"].update(can_admins_bypass=True),
        "environment production: administrators can bypass its rules",
    ),
    "bypass that is not told": (
        lambda w: w.environments["preview"].pop("can_admins_bypass"),
        "environment preview: administrators can bypass its rules",
    ),
    "all branches": (
        lambda w: w.environments["drift"].update(deployment_branch_policy=None),
        "environment drift: other branches than main",
    ),
    "all protected branches": (
        lambda w: w.environments["production"]["deployment_branch_policy"].update(
            protected_branches=True, custom_branch_policies=False
        ),
        "environment production: other branches than main",
    ),
    "one more branch": (
        lambda w: w.deployment_branches.update(drift=[{"name": "main"}, {"name": "release/*"}]),
        "environment drift: other branches than main",
    ),
    "a tag": (
        lambda w: w.deployment_branches.update(production=[{"name": "main", "type": "tag"}]),
        "environment production: other branches than main",
    ),
    "main without rules": (lambda w: w.branch_rules.clear(), "main can be changed without an approved pull request"),
    "main without reviews": (
        lambda w: w.branch_rules[0]["parameters"].update(required_approving_review_count=0),
        "main can be changed without an approved pull request",
    ),
    "classic protection without reviews": (
        lambda w: _classic(w, count=0, admins=True),
        "main can be changed without an approved pull request",
    ),
    "classic protection with bypass": (
        lambda w: _classic(w, count=1, admins=False),
        "administrators can bypass the protection of main",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_not_protected_is_refused_and_named(
    world: FakeRepository, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = BROKEN[broken]
    change(world)
    assert check(world) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"protection: {said}")
    assert "Fix: step 1 of docs/how-to/work-as-a-team.md" in line


def test_a_classic_protection_is_as_good(world: FakeRepository) -> None:
    _classic(world, count=1, admins=True)
    assert check(world) == 0


def test_without_reviewers_the_branches_are_checked_all_the_same(
    world: FakeRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    world.environments = {name: environment(reviewed=False, of_main=True) for name in ("drift", "production")}
    assert check(world, "--without-reviewers") == 0
    world.deployment_branches["production"] = []
    assert check(world, "--without-reviewers") == 1
    assert "environment production: other branches than main" in capsys.readouterr().err


def test_a_plan_without_protection_of_branches_is_one_message(
    world: FakeRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "Upgrade to GitHub Pro or make this repository public to enable this feature."
    world.instead.append(("GET", "rules/branches/main", Answer(403, reason, times=9)))
    assert check(world) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1

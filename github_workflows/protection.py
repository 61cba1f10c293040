"""Whether GitHub protects what the identities rely on: the environments' reviewers and branches, and main itself.

GitHub makes an environment that a job names and that does not exist, without any rule; in private repositories required
reviewers need GitHub Enterprise (docs.github.com, "Managing environments for deployment"). So this asks, before there
is an identity. The fields are read in GitHub's REST reference ("Deployment environments", "Deployment branch policies",
"Rules", "Protected branches"), and not seen in an answer. Who may bypass a ruleset is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from github_workflows.api import GitHub

BRANCH: Final = "main"
REVIEWED: Final = ("preview", "production")
"""Environments with required reviewers."""
OF_BRANCH: Final = ("drift", "production")
"""Environments of main only."""
SET_UP: Final = "step 1 of docs/how-to/work-as-a-team.md"


class _Rule(BaseModel):
    type: str
    prevent_self_review: bool = False
    reviewers: list[Any] = []


class _Branches(BaseModel):
    protected_branches: bool
    custom_branch_policies: bool


class _Environment(BaseModel):
    can_admins_bypass: bool = True
    protection_rules: list[_Rule] = []
    deployment_branch_policy: _Branches | None = None


class _Policy(BaseModel):
    name: str
    type: str = "branch"


class _BranchRule(BaseModel):
    type: str
    parameters: dict[str, Any] = {}


class _Reviews(BaseModel):
    required_approving_review_count: int = 0


class _Enabled(BaseModel):
    enabled: bool = False


class _Protection(BaseModel):
    required_pull_request_reviews: _Reviews | None = None
    enforce_admins: _Enabled = _Enabled()


def missing(github: GitHub, *, reviewers: bool = True) -> list[str]:
    """What is not protected, each with its fix. Raises `GitHubError`.

    Without `reviewers`, for a plan that has none: only that of environments and branch which every plan has.
    """
    found = [*_environments(github, reviewers), *_branch(github)]
    return [f"{problem}. Fix: {SET_UP}" for problem in found]


def _environments(github: GitHub, reviewers: bool) -> Iterator[str]:
    names = sorted({*OF_BRANCH, *(REVIEWED if reviewers else ())})
    for name in names:
        environment = github.one(f"reading environment {name}", _Environment, f"environments/{name}")
        if environment is None:
            yield f"environment {name} does not exist (or is hidden from the token); a job would make it unprotected"
            continue
        if reviewers and name in REVIEWED:
            yield from (f"environment {name}: {problem}" for problem in _reviews(environment))
        if name in OF_BRANCH and not _of_branch_only(github, name, environment):
            yield f"environment {name}: other branches than {BRANCH} may deploy to it"


def _reviews(environment: _Environment) -> Iterator[str]:
    rules = [rule for rule in environment.protection_rules if rule.type == "required_reviewers" and rule.reviewers]
    if not rules:
        yield (
            "it has no required reviewers. A private repository needs GitHub Enterprise for them; without that, set "
            "`previews: false` in bootstrap/Pulumi.team.yaml and check with --without-reviewers"
        )
        return
    if not all(rule.prevent_self_review for rule in rules):
        yield "who starts a run can approve it (prevent_self_review is off)"
    if environment.can_admins_bypass:
        yield "administrators can bypass its rules (can_admins_bypass is on)"


def _of_branch_only(github: GitHub, name: str, environment: _Environment) -> bool:
    policy = environment.deployment_branch_policy
    if policy is None or not policy.custom_branch_policies:
        return False
    what, path = f"reading the branches of environment {name}", f"environments/{name}/deployment-branch-policies"
    return [(one.name, one.type) for one in github.pages(what, _Policy, path, "branch_policies")] == [
        (BRANCH, "branch")
    ]


def _branch(github: GitHub) -> Iterator[str]:
    what = f"reading the rules of {BRANCH}"
    for rule in github.pages(what, _BranchRule, f"rules/branches/{BRANCH}"):
        if rule.type == "pull_request" and rule.parameters.get("required_approving_review_count"):
            return
    classic = github.one(f"reading the protection of {BRANCH}", _Protection, f"branches/{BRANCH}/protection")
    reviews = classic.required_pull_request_reviews if classic else None
    if classic is None or reviews is None or not reviews.required_approving_review_count:
        yield f"{BRANCH} can be changed without an approved pull request"
    elif not classic.enforce_admins.enabled:
        yield f"administrators can bypass the protection of {BRANCH} (enforce_admins is off)"

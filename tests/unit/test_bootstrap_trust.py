"""Which job becomes which identity: GitHub's claims, through the expressions that Google would evaluate.

Evaluated by cel-python. Google's evaluator and GitHub's tokens cannot be had here; the claims are those of the OpenID
Connect reference in GitHub's documentation.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import pytest

from bootstrap import trust
from tests.recorder import ROOT, Recording, run_program

REPOSITORY_ID, OWNER_ID = "1234567890", "12345678"
MAIN: Final = "refs/heads/main"


def claims(file: str, event: str, ref: str = MAIN, **more: str) -> dict[str, str]:
    """Claims of a job of the repository; the workflow file is the one on `ref`. Without environment."""
    return {
        "iss": trust.ISSUER,
        "sub": "repo:my-org@12345678/dynamo-a4x@1234567890:ref:refs/heads/main",
        "repository": "my-org/dynamo-a4x",
        "repository_id": REPOSITORY_ID,
        "repository_owner": "my-org",
        "repository_owner_id": OWNER_ID,
        "run_id": "42",
        "ref": ref,
        "ref_type": "tag" if ref.startswith("refs/tags/") else "branch",
        "event_name": event,
        "workflow_ref": f"my-org/dynamo-a4x/.github/workflows/{file}@{ref}",
        **more,
    }


def _evaluated(expression: str, token: Mapping[str, str]) -> bool | str | None:
    cel: Any = importlib.import_module("celpy")
    environment = cel.Environment()
    compiled = environment.program(environment.compile(expression))
    try:
        value = compiled.evaluate({"assertion": cel.json_to_cel(dict(token))})
        return bool(value) if isinstance(value, cel.celtypes.BoolType) else str(value)
    except cel.CELEvalError:
        # Google answers an expression that cannot be evaluated, as of a claim that is missing, with an error.
        return None


@pytest.fixture(scope="module")
def program() -> Recording:
    return run_program("team", root=ROOT / "bootstrap", secrets={})


def identities(program: Recording, token: Mapping[str, str]) -> set[str]:
    """Accounts that the job with this token may use, by everything that the program registers."""
    provider = program.find("gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider").inputs
    if _evaluated(provider["attributeCondition"], token) is not True:
        return set()
    mapped = {name: _evaluated(cel, token) for name, cel in provider["attributeMapping"].items()}
    if None in mapped.values():
        return set()
    pool = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github/"
    sets = {f"{pool}{name}/{value}" for name, value in mapped.items() if name.startswith("attribute.")}
    return {
        str(r.inputs["serviceAccountId"]).rpartition("/")[2].partition("@")[0].removeprefix("dynamo-a4x-")
        for r in program.of_type("gcp:serviceaccount/iAMMember:IAMMember")
        if r.inputs["role"] == "roles/iam.workloadIdentityUser" and r.inputs["member"] in sets
    }


PULL = "refs/pull/7/merge"

ALLOWED: Final = {
    "previewer": [claims("preview.yml", "pull_request", PULL, environment="preview")],
    "drift": [
        claims("drift.yml", "schedule", environment="drift"),
        claims("drift.yml", "workflow_dispatch", environment="drift"),
        claims("deploy.yml", "workflow_dispatch", environment="drift"),
    ],
    "deployer": [claims("deploy.yml", "workflow_dispatch", environment="production")],
}

REFUSED: Final = {
    "a job without an environment": claims("deploy.yml", "workflow_dispatch"),
    "a job in another environment": claims("deploy.yml", "workflow_dispatch", environment="staging"),
    "an environment that is almost of that name": claims("deploy.yml", "workflow_dispatch", environment="Production"),
    "a branch in environment production": claims(
        "deploy.yml", "workflow_dispatch", "refs/heads/attack", environment="production"
    ),
    "a branch whose name ends in main": claims(
        "deploy.yml", "workflow_dispatch", "refs/heads/x/refs/heads/main", environment="production"
    ),
    "a tag called main": claims("deploy.yml", "workflow_dispatch", "refs/tags/main", environment="production"),
    "a pull request in environment production": claims("deploy.yml", "pull_request", PULL, environment="production"),
    "a pull request in environment drift": claims("drift.yml", "pull_request", PULL, environment="drift"),
    "a branch in environment drift": claims("drift.yml", "workflow_dispatch", "refs/heads/x", environment="drift"),
    "a push to main": claims("deploy.yml", "push", environment="production"),
    "code of a pull request beside main's workflow": claims(
        "deploy.yml", "pull_request_target", environment="production"
    ),
    "the same in environment preview": claims("preview.yml", "pull_request_target", environment="preview"),
    "a branch without a pull request in environment preview": claims(
        "preview.yml", "workflow_dispatch", "refs/heads/change", environment="preview"
    ),
    "a comment that starts main's workflow": claims("deploy.yml", "issue_comment", environment="production"),
    "a workflow that follows another": claims("drift.yml", "workflow_run", environment="drift"),
    "a schedule in environment production": claims("deploy.yml", "schedule", environment="production"),
    "another workflow of main in environment production": claims(
        "test.yml", "workflow_dispatch", environment="production"
    ),
    "the drift workflow in environment production": claims("drift.yml", "workflow_dispatch", environment="production"),
    "a branch's deploy workflow in environment drift": claims(
        "deploy.yml", "workflow_dispatch", "refs/heads/attack", environment="drift"
    ),
    "another workflow of main in environment drift": claims("test.yml", "workflow_dispatch", environment="drift"),
    "a workflow file of a branch in environment drift": claims("drift.yml", "workflow_dispatch", environment="drift")
    | {"workflow_ref": "my-org/dynamo-a4x/.github/workflows/drift.yml@refs/heads/attack"},
    "a workflow whose name ends in that of deploy": claims(
        "not-deploy.yml", "workflow_dispatch", environment="production"
    ),
    "a workflow file of a branch, dispatched for main": claims(
        "deploy.yml", "workflow_dispatch", environment="production"
    )
    | {"workflow_ref": "my-org/dynamo-a4x/.github/workflows/deploy.yml@refs/heads/attack"},
    "the workflow file of main on another ref": claims(
        "deploy.yml", "workflow_dispatch", "refs/heads/attack", environment="production"
    )
    | {"workflow_ref": f"my-org/dynamo-a4x/.github/workflows/deploy.yml@{MAIN}"},
    "a fork": claims("deploy.yml", "workflow_dispatch", environment="production", repository_id="666")
    | {"repository_owner_id": "666", "repository": "attacker/dynamo-a4x"},
    "another repository of the owner": claims(
        "deploy.yml", "workflow_dispatch", environment="production", repository_id="99"
    ),
    "the repository under another owner": claims(
        "deploy.yml", "workflow_dispatch", environment="production", repository_owner_id="99"
    ),
    "somebody who took the old names": claims(
        "preview.yml", "pull_request", PULL, environment="preview", repository_id="9", repository_owner_id="8"
    ),
}


@pytest.mark.parametrize(
    ("identity", "token"), [(identity, token) for identity, tokens in ALLOWED.items() for token in tokens]
)
def test_a_job_becomes_the_one_identity_of_its_workflow(
    program: Recording, identity: str, token: dict[str, str]
) -> None:
    assert identities(program, token) == {identity}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
def test_no_other_job_becomes_an_identity(program: Recording, token: dict[str, str]) -> None:
    assert identities(program, token) == set()


@pytest.mark.parametrize("tokens", ALLOWED.values(), ids=ALLOWED)
@pytest.mark.parametrize("claim", ["repository_id", "repository_owner_id", "environment", "event_name"])
def test_a_token_that_lacks_a_claim_is_refused(program: Recording, tokens: list[dict[str, str]], claim: str) -> None:
    for token in tokens:
        assert identities(program, {key: value for key, value in token.items() if key != claim}) == set()


def test_the_format_of_the_subject_does_not_matter(program: Recording) -> None:
    """GitHub changed it in 2026 (immutable subject claims), and a repository can choose its own."""
    [token] = ALLOWED["deployer"]
    for subject in ("repo:my-org/dynamo-a4x:environment:production", "anything", ""):
        assert identities(program, {**token, "sub": subject}) == {"deployer"}


def test_a_second_repository_that_the_condition_lets_in_gets_nothing(program: Recording) -> None:
    provider = program.find("gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider").inputs
    [token] = ALLOWED["deployer"]
    value = _evaluated(provider["attributeMapping"]["attribute.identity"], {**token, "repository_id": "99"})
    assert value == "99/deployer"


def test_without_previews_nobody_becomes_the_previewer_and_the_others_stay() -> None:
    program = run_program("team", root=ROOT / "bootstrap", secrets={}, config={"dynamo-a4x-bootstrap:previews": False})
    for name, tokens in ALLOWED.items():
        for token in tokens:
            assert identities(program, token) == ({name} - {trust.PREVIEWER})
    assert "PREVIEWER_ACCOUNT" not in program.outputs["variables"]
    assert not [r for r in program.resources if "previewer" in r.name]


def test_what_google_limits_is_within_its_limits() -> None:
    """4,096 characters of a condition, 2,048 of a mapping, 127 of a subject and of an attribute's value."""
    assert len(trust.condition("9" * 19, "9" * 19, tuple(trust.WORKFLOWS))) < 4096
    mapping = trust.mapping(tuple(trust.WORKFLOWS))
    assert all(len(expression) < 2048 for expression in mapping.values())
    [token] = ALLOWED["deployer"]
    longest = {**token, "repository_id": "9" * 19, "run_id": "9" * 19}
    assert all(len(str(_evaluated(expression, longest))) <= 127 for expression in mapping.values())

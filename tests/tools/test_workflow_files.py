"""Rules on `.github/workflows`, each with a workflow that breaks it; and actionlint and zizmor, which know more."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap import trust
from github_workflows import engine
from tests.recorder import ROOT
from tools import workflows

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))

COMMANDS: Mapping[str, str] = {
    "make test": "tests/harness/test_guards.py::test_ci_runs_what_a_developer_runs",
    "make venv": "Makefile::$(INSTALLED)",
    "make venv policy-venv": "Makefile::$(POLICY_INSTALLED)",
    "make preflight": "tests/preflight/test_preflight_run.py",
    ".venv/bin/python -m github_workflows compare": (
        "tests/tools/test_workflow_checks.py::test_a_comparison_leaves_a_report_for_the_comment_and_a_summary"
    ),
    ".venv/bin/python -m github_workflows variables": (
        "tests/tools/test_workflow_checks.py::test_variables_of_the_right_form_pass"
    ),
    ".venv/bin/python -m github_workflows preview": (
        "tests/engine/test_preview_errors.py::test_previews_and_the_drift_check_of_a_program_that_gives_a_secret_away"
    ),
    ".venv/bin/python -m github_workflows preview --policy": (
        "tests/tools/test_workflow_checks.py"
        "::test_a_preview_is_judged_by_the_policy_pack_with_the_config_of_the_project"
    ),
    ".venv/bin/python -m github_workflows drift": (
        "tests/engine/test_preview_errors.py::test_previews_and_the_drift_check_of_a_program_that_gives_a_secret_away"
    ),
    ".venv/bin/python -m github_workflows comment": (
        "tests/tools/test_workflow_comment.py::test_the_first_report_becomes_a_comment_and_the_second_edits_it"
    ),
    ".venv/bin/python -m github_workflows issue": (
        "tests/tools/test_workflow_drift.py::test_drift_opens_one_issue_edits_it_and_closes_it"
    ),
}
"""What a step may run, and the test that runs it."""
CLOUD = ("pulumi up --yes --non-interactive",)
"""What only the cloud can run."""
TRUSTED = re.compile(
    r"\$\{\{ (vars\.[A-Z_]+|inputs\.stack|github\.(sha|ref|token|repository)"
    r"|github\.event_name == 'pull_request') \}\}"
)
"""Expressions whose value nobody outside of the repository writes."""
WRITES: Mapping[str, frozenset[str]] = {
    "test.yml": frozenset(),
    "compare.yml": frozenset(),
    "comment.yml": frozenset({"pull-requests"}),
    "preview.yml": frozenset({"id-token"}),
    "drift.yml": frozenset({"id-token", "issues"}),
    "deploy.yml": frozenset({"id-token"}),
}
FORKS = ("test.yml", "compare.yml")
"""Workflows that run the code of forks."""


@dataclass(frozen=True)
class Workflow:
    """A workflow file."""

    name: str
    text: str

    @property
    def content(self) -> dict[str, Any]:
        # YAML 1.1 reads `on` as true.
        return {"on" if key is True else key: value for key, value in yaml.safe_load(self.text).items()}

    @property
    def triggers(self) -> set[str]:
        on = self.content["on"]
        return {on} if isinstance(on, str) else set(on)

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        return self.content["jobs"]

    def steps(self, **has: Any) -> Iterator[dict[str, Any]]:
        """Steps with these keys."""
        for job in self.jobs.values():
            yield from (step for step in job["steps"] if has.keys() <= step.keys())


WORKFLOWS = [Workflow(path.name, path.read_text(encoding="utf-8")) for path in FILES]
Rule = Callable[[Workflow], list[str]]


def nothing_is_allowed_at_the_top(workflow: Workflow) -> list[str]:
    return [] if workflow.content.get("permissions") == {} else ["permissions at the top are not {}"]


def jobs_may_only_what_they_need(workflow: Workflow) -> list[str]:
    granted = {
        permission
        for job in workflow.jobs.values()
        for permission, level in (job.get("permissions") or {"everything": "write"}).items()
        if level == "write"
    }
    return [f"{permission}: write" for permission in granted - WRITES[workflow.name]]


def who_has_an_identity_cannot_write(workflow: Workflow) -> list[str]:
    return [
        name
        for name, job in workflow.jobs.items()
        if "id-token" in job["permissions"] and list(job["permissions"].values()).count("write") > 1
    ]


def actions_are_pinned(workflow: Workflow) -> list[str]:
    lines = [line.strip().removeprefix("- ") for line in workflow.text.splitlines() if "uses:" in line]
    return [line for line in lines if not re.fullmatch(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+(; .*)?", line)]


def checkouts_keep_no_token(workflow: Workflow) -> list[str]:
    return [
        str(step)
        for step in workflow.steps(uses="")
        if step["uses"].startswith("actions/checkout@") and step.get("with", {}).get("persist-credentials") is not False
    ]


def runs_are_known(workflow: Workflow) -> list[str]:
    return [
        step["run"]
        for step in workflow.steps(run="")
        if not any(" ".join(step["run"].split()).startswith(known) for known in (*COMMANDS, *CLOUD))
        or re.search(r"[;&|`\n]|\$\(", step["run"].strip())
    ]


def no_text_of_others_in_a_run(workflow: Workflow) -> list[str]:
    return [step["run"] for step in workflow.steps(run="") if "${{" in step["run"]]


def expressions_are_trusted(workflow: Workflow) -> list[str]:
    """Outside of conditions, which only compare."""
    kept = "\n".join(line for line in workflow.text.splitlines() if not re.match(r"\s*(- )?if: ", line))
    if workflow.name == "comment.yml":  # names of a concurrency group, from the event; nothing runs them
        kept = re.sub(r"\n  group: .*", "", kept)
    return [found for found in re.findall(r"\$\{\{.*?\}\}", kept) if not TRUSTED.fullmatch(found)]


def jobs_end(workflow: Workflow) -> list[str]:
    return [name for name, job in workflow.jobs.items() if "timeout-minutes" not in job]


def runs_do_not_pile_up(workflow: Workflow) -> list[str]:
    return [] if {"group", "cancel-in-progress"} <= workflow.content.get("concurrency", {}).keys() else ["concurrency"]


def forks_get_nothing(workflow: Workflow) -> list[str]:
    if workflow.name not in FORKS:
        return []
    wrong = ["secrets"] if "secrets." in workflow.text or "github.token" in workflow.text else []
    wrong += [name for name, job in workflow.jobs.items() if job["permissions"] != {"contents": "read"}]
    return wrong + [name for name, job in workflow.jobs.items() if "environment" in job]


def no_pull_request_target(workflow: Workflow) -> list[str]:
    return sorted(workflow.triggers & {"pull_request_target", "issue_comment", "issues"})


def identities_are_behind_an_environment(workflow: Workflow) -> list[str]:
    return [
        name
        for name, job in workflow.jobs.items()
        if job["permissions"].get("id-token") == "write" and "environment" not in job
    ]


def who_can_write_checks_out_main(workflow: Workflow) -> list[str]:
    """In `workflow_run` GITHUB_SHA is the last commit of the default branch ("Events that trigger workflows")."""
    if "workflow_run" not in workflow.triggers:
        return []
    return [
        str(step["with"])
        for step in workflow.steps(uses="")
        if step["uses"].startswith("actions/checkout@") and step["with"].get("ref") != "${{ github.sha }}"
    ]


RULES: dict[Rule, list[tuple[str, str, str]]] = {
    nothing_is_allowed_at_the_top: [("test.yml", "permissions: {}", "permissions: read-all")],
    jobs_may_only_what_they_need: [
        ("test.yml", "contents: read", "contents: write"),
        ("comment.yml", "actions: read", "actions: write"),
    ],
    who_has_an_identity_cannot_write: [
        ("drift.yml", "      id-token: write", "      id-token: write\n      issues: write")
    ],
    actions_are_pinned: [
        ("test.yml", "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "v7"),
        ("test.yml", " # v7.0.1", ""),
    ],
    checkouts_keep_no_token: [("deploy.yml", "          persist-credentials: false\n", "")],
    runs_are_known: [
        ("test.yml", "run: make test", "run: make tests-of-mine; curl x"),
        ("test.yml", "run: make test", "run: make test && env"),
        ("test.yml", "run: make test", "run: npm ci"),
    ],
    no_text_of_others_in_a_run: [("deploy.yml", '"$STACK"', '"${{ inputs.stack }}"')],
    expressions_are_trusted: [
        ("compare.yml", "ref: ${{ github.sha }}", "ref: ${{ github.head_ref }}"),
        ("preview.yml", "ref: ${{ github.sha }}", "ref: ${{ github.event.pull_request.head.ref }}"),
    ],
    jobs_end: [("drift.yml", "    timeout-minutes: 120\n", "")],
    runs_do_not_pile_up: [("drift.yml", "concurrency:\n  group: drift\n  cancel-in-progress: false\n", "")],
    forks_get_nothing: [
        ("compare.yml", "      contents: read", "      contents: read\n      id-token: write"),
        ("test.yml", "- run: make test", "- run: make test\n        env:\n          T: ${{ secrets.T }}"),
    ],
    no_pull_request_target: [("compare.yml", "  pull_request:", "  pull_request_target:")],
    identities_are_behind_an_environment: [("preview.yml", "    environment: preview\n", "")],
    who_can_write_checks_out_main: [
        ("comment.yml", "ref: ${{ github.sha }}", "ref: ${{ github.event.workflow_run.head_sha }}")
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_the_workflows_keep_the_rule(workflow: Workflow, rule: Rule) -> None:
    assert rule(workflow) == []


@pytest.mark.parametrize(("rule", "broken"), [(rule, broken) for rule, all_ in RULES.items() for broken in all_])
def test_the_rule_finds_a_workflow_that_breaks_it(rule: Rule, broken: tuple[str, str, str]) -> None:
    name, old, new = broken
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert old in text
    assert rule(Workflow(name, text.replace(old, new, 1))) != []


def test_the_workflows_are_those_of_the_reference_page() -> None:
    page = (ROOT / "docs" / "reference" / "workflows.md").read_text(encoding="utf-8")
    assert {workflow.name for workflow in WORKFLOWS} == WRITES.keys() == set(re.findall(r"`(\w+\.yml)` \|", page))


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_workflows_run_is_run_by_a_test(command: str) -> None:
    path, _, name = COMMANDS[command].partition("::")
    assert name in (ROOT / path).read_text(encoding="utf-8")
    assert any(command in " ".join(step["run"].split()) for w in WORKFLOWS for step in w.steps(run=""))
    if command.startswith("make "):
        for target in command.split()[1:]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_engine_is_that_of_the_requirements() -> None:
    pinned = re.search(r"^pulumi==([\d.]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    installed = [s["with"]["pulumi-version"] for w in WORKFLOWS for s in w.steps(uses="") if "pulumi/" in s["uses"]]
    assert installed == [pinned[1]] * 4


def test_every_stack_can_be_deployed() -> None:
    stacks = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
    content = next(w for w in WORKFLOWS if w.name == "deploy.yml").content
    assert content["on"]["workflow_dispatch"]["inputs"]["stack"]["options"] == stacks


@pytest.mark.parametrize("name", ["preview.yml", "drift.yml", "comment.yml"])
def test_what_looks_after_the_initialised_stacks_names_none(name: str) -> None:
    workflow = next(w for w in WORKFLOWS if w.name == name)
    assert not [step["run"] for step in workflow.steps(run="") if "--stack" in step["run"]]


def test_a_preview_runs_for_branches_of_the_repository_only() -> None:
    [job] = next(w for w in WORKFLOWS if w.name == "preview.yml").jobs.values()
    assert job["if"] == (
        "${{ vars.PREVIEWER_ACCOUNT != '' && github.event.pull_request.head.repo.full_name == github.repository }}"
    )


@pytest.mark.parametrize("name", ["deploy.yml", "drift.yml"])
def test_what_runs_by_hand_runs_on_main_only(name: str) -> None:
    jobs = next(w for w in WORKFLOWS if w.name == name).jobs.values()
    assert all("github.ref == 'refs/heads/main'" in job["if"] for job in jobs)


def test_who_approves_a_deployment_sees_before_what_it_would_do() -> None:
    jobs = next(w for w in WORKFLOWS if w.name == "deploy.yml").jobs
    assert jobs["deploy"]["needs"] == "plan"
    assert (jobs["plan"]["environment"], jobs["deploy"]["environment"]) == ("drift", "production")
    assert jobs["plan"]["steps"][-1]["run"] == '.venv/bin/python -m github_workflows preview --policy --stack "$STACK"'
    assert "DEPLOYER_ACCOUNT" not in str(jobs["plan"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_job_has_the_identity_that_google_gives_to_its_environment(workflow: Workflow) -> None:
    """The trust of bootstrap/ and the workflows: environment, trigger, file and variable fit."""
    for job in workflow.jobs.values():
        if "id-token" not in job["permissions"]:
            continue
        [(name, trusted)] = [one for one in trust.WORKFLOWS.items() if one[1].environment == job["environment"]]
        assert workflow.triggers <= set(trusted.events)
        assert workflow.name in (trusted.files or ("preview.yml",))
        assert f"{name.upper()}_ACCOUNT" in job["env"]


def test_a_deployment_is_made_by_hand_one_at_a_time_and_checked_before() -> None:
    deploy = next(w for w in WORKFLOWS if w.name == "deploy.yml")
    assert deploy.triggers == {"workflow_dispatch"}
    assert deploy.content["concurrency"] == {"group": "deploy-${{ inputs.stack }}", "cancel-in-progress": False}
    runs = [step["run"] for step in deploy.steps(run="")]
    assert [run.split()[:2] for run in runs[-2:]] == [["make", "preflight"], ["pulumi", "up"]]
    assert " ".join(engine.POLICY) in runs[-1]


@pytest.mark.parametrize("name", ["preview.yml", "deploy.yml"])
def test_previews_are_judged_like_the_deployment(name: str) -> None:
    job, *_ = next(w for w in WORKFLOWS if w.name == name).jobs.values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert runs[0] == "make venv policy-venv"
    assert "github_workflows preview --policy " in runs[-1]


# --- the checkers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def checkers() -> None:
    """Skips where they cannot be had."""
    try:
        workflows.actionlint()
    except workflows.WorkflowsError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("checkers")
def test_actionlint_and_zizmor_find_nothing() -> None:
    assert workflows.findings() == ""
    assert workflows.main() == 0


@pytest.mark.usefixtures("checkers")
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("test.yml", "runs-on: ubuntu-24.04", "runs-on: ubuntu-1.0", "ubuntu-1.0"),
        ("test.yml", "persist-credentials: false", "persist-credentials: true", "artipacked"),
        ("preview.yml", "steps.variables.outcome", "steps.missing.outcome", "missing"),
        ("comment.yml", "persist-credentials: false", "persist-credentials: true", "artipacked"),
    ],
)
def test_each_checker_finds_what_breaks_its_rules(tmp_path: Path, name: str, old: str, new: str, said: str) -> None:
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    path = tmp_path / ".github" / "workflows" / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert said in workflows.findings(tmp_path)


def test_without_go_the_fix_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNAMO_A4X_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert workflows.main() == 2
    with pytest.raises(workflows.WorkflowsError, match=r"install Go 1\.25 or newer"):
        workflows.actionlint()


def test_an_explained_finding_of_zizmor_has_its_reason() -> None:
    text = (ROOT / workflows.CONFIG).read_text(encoding="utf-8")
    rules = yaml.safe_load(text)["rules"]
    assert rules == {"dangerous-triggers": {"ignore": ["comment.yml"]}}
    assert re.search(r"ignore:\n +# workflow_run: ", text)

"""The policy pack in the real engine: the program passes it, and each rule refuses what breaks it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from policy.catalog import RULES
from rehearsal import __main__ as rehearsal_command
from rehearsal import policy_pack
from rehearsal.__main__ import main as command
from rehearsal.policy_pack import PACK, PolicyPackError, Violation
from rehearsal.run import Phase, Rehearsal, RehearsalError
from tests import policy_cases, stacks
from tests.engine import modes
from tests.engine.modes import Modes
from tests.engine.policy_program import AcceptingCloud
from tests.policy_cases import Case
from tests.resilience.proof import needs_engine, needs_policy_pack

SAMPLE = Path(__file__).parent / "sample"

pytestmark = pytest.mark.engine


ADVICE = {
    "dev": {
        ("image-digest", "r1-1p1d-bench-client"): 1,
        ("image-digest", "r1-1p1d-graph"): 3,
        ("image-digest", "r1-1p1d-readiness-job"): 1,
    },
    "prod": {
        ("binary-authorization", "foundation-gke-cluster"): 1,
        ("customer-managed-keys", "domain-a4x-0-pool"): 1,
        ("customer-managed-keys", "foundation-gke-system"): 1,
        ("customer-managed-keys", "model-bucket-bucket"): 1,
        ("secrets-encryption", "foundation-gke-cluster"): 1,
        ("image-digest", "download-4ecad6d3-job"): 1,
        ("image-digest", "gib-installer"): 1,
        ("image-digest", "r1-10p8d-bench-client"): 1,
        ("image-digest", "r1-10p8d-graph"): 3,
        ("image-digest", "r1-10p8d-readiness-job"): 1,
    },
}
"""What the pack advises against in the environments as they ship, and how often."""


DIGEST = "sha256:" + 64 * "0"
DOMAIN = stacks.config("prod")["dynamo-a4x:domains"][0]
CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    "a Google service account": ("prod", {"dynamo-a4x:workloadIdentity": "serviceAccount"}),
    "a fabric test": (
        "prod",
        {"dynamo-a4x:domains": [{**DOMAIN, "fabricTest": {}}]},
    ),
    "images and charts of the company": (
        "dev",
        {
            "dynamo-a4x:dynamo": {
                "mode": "create",
                "version": "0.7.0",
                "chartSource": "oci://us-docker.pkg.dev/my-project/charts",
            },
            "dynamo-a4x:stacks": [
                {
                    "name": "r1-1p1d",
                    "layout": "deepseek-r1-fp8-1p1d",
                    "domain": "a4x-0",
                    "image": f"us-docker.pkg.dev/my-project/images/worker@{DIGEST}",
                    "frontend": {"image": "us-docker.pkg.dev/my-project/images/frontend:1", "placement": "system"},
                }
            ],
        },
    ),
    "a platform of others": (
        "dev",
        {
            "dynamo-a4x:dynamo": {"mode": "adopt"},
            "dynamo-a4x:draDriver": {"mode": "adopt"},
            "dynamo-a4x:kai": {"mode": "adopt"},
        },
    ),
}
"""What a user may choose besides modes and layouts."""


def judged(phase: Phase) -> Counter[tuple[str, str]]:
    assert [str(v) for v in phase.violations if v.level != "advisory"] == []
    return Counter((violation.policy, violation.name) for violation in phase.violations)


@needs_engine
@needs_policy_pack
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_ships_violates_nothing_and_gets_the_known_advice(stack: str) -> None:
    with Rehearsal(stack) as rehearsal:
        assert judged(rehearsal.preview(policy_packs=[str(PACK)])) == ADVICE[stack]
        assert judged(rehearsal.up(policy_packs=[str(PACK)])) == ADVICE[stack]


@needs_engine
@needs_policy_pack
def test_an_up_stops_before_what_is_refused_exists() -> None:
    with Rehearsal("prod", config={"dynamo-a4x:protect": False}) as rehearsal:
        with pytest.raises(
            RehearsalError, match=r"^up failed: protected: .*prod: the resource option protect is not set"
        ):
            rehearsal.up(policy_packs=[str(PACK)])
        made = {resource.kind for resource in rehearsal.state.leftovers()}
    assert not made & {"gcp:storage/bucket:Bucket", "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"}


@pytest.mark.whole
@needs_engine
@needs_policy_pack
@pytest.mark.parametrize("chosen", sorted(modes.every_open(), key=str), ids=str)
def test_no_mode_violates_a_mandatory_rule(chosen: Modes) -> None:
    _accepted(chosen.environment, chosen.config())


@pytest.mark.whole
@needs_engine
@needs_policy_pack
@pytest.mark.parametrize("what", CHOICES)
def test_no_other_choice_violates_a_mandatory_rule(what: str) -> None:
    _accepted(*CHOICES[what])


def _accepted(stack: str, config: dict[str, Any]) -> None:
    with Rehearsal(stack, config=config) as rehearsal:
        assert judged(rehearsal.up(policy_packs=[str(PACK)]))


def reviewed(chosen: Sequence[Case], folder: Path, settings: dict[str, Any]) -> list[Violation]:
    """What the pack says of the cases, in one preview of a stack called prod."""
    numbers = [policy_cases.cases().index(case) for case in chosen]
    # The program that they are changed from is recorded before the engine's run, whose event loop would be in use.
    assert all(case.example("good") for case in chosen)
    program, config = folder / "program.py", folder / "config.json"
    program.write_text(f"from tests.engine.policy_program import register\nregister({numbers})\n", encoding="utf-8")
    config.write_text(json.dumps(settings), encoding="utf-8")
    rehearsal = Rehearsal(
        "dev",
        name="prod",
        root=SAMPLE,
        program=program,
        config={"gcp:project": "my-project"},
        secrets={"hfToken": policy_cases.KEY},
        cloud=AcceptingCloud(),
    )
    with rehearsal, pytest.raises(RehearsalError) as caught:
        rehearsal.preview(policy_packs=[str(PACK)], policy_pack_configs=[str(config)])
    violations = rehearsal.phases[-1].violations
    assert set(caught.value.causes) == {str(found) for found in violations if found.level == "mandatory"}
    return violations


def verdicts(chosen: Sequence[Case], violations: Sequence[Violation]) -> list[str]:
    """What differs from: each case's rule refuses its bad resource once, with the message, and nothing else does."""
    wrong: list[str] = []
    for case in chosen:
        of_bad = [v for v in violations if v.name == f"{case}-bad" and v.policy == case.rule]
        if len(of_bad) != 1 or case.says not in of_bad[0].message:
            wrong.append(f"{case}: {[v.message for v in of_bad]}, expected one with {case.says!r}")
        wrong += [
            f"{case}: the good resource: {v}"
            for v in violations
            if v.name == f"{case}-good"
            if v.policy == case.rule or v.level == "mandatory"
        ]
        wrong += [
            f"{case}: also {v}"
            for v in violations
            if v.name == f"{case}-bad"
            if v.policy != case.rule and v.level == "mandatory"
        ]
    return wrong


@needs_engine
@needs_policy_pack
def test_each_rule_refuses_what_breaks_it_and_nothing_else(tmp_path: Path) -> None:
    together = [case for case in policy_cases.cases() if not case.alone]
    # The pools of all cases are no environment that anybody pays for.
    violations = reviewed(together, tmp_path, {"gpu-limit": {"gpus": 100_000}})
    assert verdicts(together, violations) == []
    levels = {rule.name: rule.level for rule in RULES}
    assert {violation.policy: violation.level for violation in violations} | {
        case.rule: levels[case.rule] for case in policy_cases.cases() if case.alone
    } == levels


@needs_engine
@needs_policy_pack
@pytest.mark.parametrize("case", [case for case in policy_cases.cases() if case.alone], ids=str)
def test_a_rule_about_two_resources_refuses_the_second(case: Case, tmp_path: Path) -> None:
    settings = {} if case.rule == "gpu-limit" else {"gpu-limit": {"gpus": 144}}
    assert verdicts([case], reviewed([case], tmp_path, settings)) == []


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    assert {case.rule for case in policy_cases.cases()} == {rule.name for rule in RULES}


# The environment of the pack


def pack_in(folder: Path, python: str | None) -> Path:
    (folder / "PulumiPolicy.yaml").write_text(
        (PACK / "PulumiPolicy.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    if python is not None:
        target = folder / ".venv" / "bin" / "python"
        target.parent.mkdir(parents=True)
        target.write_text(python, encoding="utf-8")
        target.chmod(0o755)
    return folder


@needs_engine
@needs_policy_pack
@pytest.mark.parametrize(
    "case",
    [
        ("prod", '{"gpu-limit": {"gpus": 71}}', "72 GPUs with this pool (72), the limit is 71"),
        ("dev", '{"gpu-limits": "advisory"}', "config.json: there is no rule gpu-limits; did you mean gpu-limit?"),
    ],
)
def test_the_command_takes_the_config_beside_the_pack_and_the_pack_refuses_a_misspelt_one(
    case: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, config, says = case
    pack = tmp_path / "policy"
    shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    (pack / ".venv").symlink_to(PACK / ".venv")
    (pack / policy_pack.CONFIG).write_text(config, encoding="utf-8")
    monkeypatch.setattr(rehearsal_command, "PACK", pack)
    assert command(["--stack", stack, "--policy"]) == 1
    said = capsys.readouterr().err
    assert said.count(says) == 1
    assert "Traceback" not in said


def test_a_pack_without_an_environment_is_refused_with_cause_and_fix(tmp_path: Path) -> None:
    with pytest.raises(PolicyPackError) as caught:
        policy_pack.check(pack_in(tmp_path, None))
    assert "has no environment" in str(caught.value)
    assert "make policy-venv" in str(caught.value)


def test_an_environment_that_lacks_the_policy_sdk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyPackError, match=r"lacks pulumi_policy .*make policy-venv"):
        policy_pack.check(pack_in(tmp_path, "#!/bin/sh\nexit 1\n"))


def test_a_folder_without_a_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyPackError, match=r"PulumiPolicy\.yaml is missing"):
        policy_pack.check(tmp_path)


def test_the_command_ends_with_one_message_where_the_environment_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rehearsal_command, "PACK", pack_in(tmp_path, None))
    assert command(["--policy"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("rehearsal: the policy pack ")
    assert said.out + said.err == said.err
    assert "make policy-venv" in said.err

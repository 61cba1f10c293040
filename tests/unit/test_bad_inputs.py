"""Wrong layouts and configs, each with its whole message: `bad_layouts.yaml` and `bad_configs.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from reference.dynamo import PROFILES, DynamoProfile
from serving_rules import layout, rules
from serving_rules.layout import WORKER_ROLES, Layout, Server
from tests.unit import configs

Case = Mapping[str, Any]
SMALL = "deepseek-r1-fp8-1p1d"


def _cases(file: str) -> list[Any]:
    read = yaml.safe_load(Path(__file__).with_name(file).read_text(encoding="utf-8"))
    return [pytest.param(base, case, id=name) for base, cases in read.items() for name, case in cases.items()]


LAYOUTS = _cases("bad_layouts.yaml")


def _messages(case: Case, changes: Mapping[str, Any]) -> list[str]:
    """The messages of a case, in which `changes` are the changed keys and their values."""
    changed = [f"{key} = {'(not set)' if value is None else repr(value)}" for key, value in changes.items()]
    lines = [case["reported"]] if "reported" in case else changed
    problems = case.get("problems", [{**case, "reported": line} for line in lines])
    return [f"{p['reported']}\n    rule: {p['rule']}\n    fix: {p['fix']}" for p in problems]


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def _read(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments as a layout has them when its file is read."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}


def profile_of(case: Case) -> DynamoProfile:
    """What a case runs on."""
    return PROFILES[case.get("dynamo", "0.7.0")].serving(case.get("sglang"))


def wrong_layout(made: Layout, case: Case) -> tuple[Layout, dict[str, Any]]:
    """The layout of a case, and what was changed in it, by file and key."""
    changes: dict[str, Any] = {}
    for role in WORKER_ROLES:
        arguments = case.get(f"{role} arguments", case.get("both arguments", {}))
        environment = case.get(f"{role} environment", {})
        made = made.with_server(
            role, Server(_merged(made.arguments(role), _read(arguments)), _merged(made.environment(role), environment))
        )
        changes |= {f"{role}.yaml: {name}": value for name, value in arguments.items()}
        changes |= {f"layout.yaml: workers.environment.{name}": value for name, value in environment.items()}
    for part, values in case.get("layout.yaml", {}).items():
        owner = getattr(made.file, part).model_copy(update=values)
        made = replace(made, file=made.file.model_copy(update={part: owner}))
        changes |= {f"layout.yaml: {part}.{name}": value for name, value in values.items()}
    return made, changes


@pytest.mark.parametrize("file", ["bad_layouts.yaml", "bad_configs.yaml"])
def test_no_case_is_hidden_by_another_one_of_its_name(file: str) -> None:
    lines = Path(__file__).with_name(file).read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if re.fullmatch(r"(  )?\w.*:", line)]
    assert len(names) == len(set(names)) > len(_cases(file)) > 50


@pytest.mark.parametrize(("base", "case"), LAYOUTS)
def test_a_wrong_layout_is_reported_in_full(base: str, case: Case) -> None:
    profile = profile_of(case)
    wrong, changes = wrong_layout(layout.resolve(base, profile), case)
    expected = [f"sglang_configs/{base}/{message}" for message in _messages(case, changes)]
    assert [str(problem) for problem in rules.check(wrong, profile)] == expected


@pytest.mark.parametrize(("environment", "case"), _cases("bad_configs.yaml"))
def test_a_wrong_config_is_reported_in_full(environment: str, case: Case) -> None:
    config, changes = configs.shipped(environment), dict(case.get("set", {}))
    for path, value in changes.items():
        configs.put(config, path, value)
    if "without" in case:
        configs.remove(config, case["without"])
        changes[case["without"]] = None
    assert [str(problem) for problem in configs.problems(config, environment)] == _messages(case, changes)


def test_two_stacks_of_one_wrong_layout_are_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = layout.load(SMALL)
    wrong = shipped.with_server("decode", Server({**shipped.arguments("decode"), "host": "::1"}, {}))
    monkeypatch.setattr(layout, "load", lambda _: wrong)
    config = configs.put(configs.shipped("dev"), "domains[0].nodes", 4)
    stack = config["dynamo-a4x:stacks"][0]
    config["dynamo-a4x:stacks"] = [stack, {**stack, "name": "second"}]
    reported = [problem.key for problem in configs.problems(config, "dev")]
    assert reported == [f"sglang_configs/{SMALL}/decode.yaml: host"]

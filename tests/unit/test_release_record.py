"""Another Dynamo release under running stacks is refused in a preview already; the message has the steps."""

from __future__ import annotations

from typing import Any

import pytest

from components.platform import release_record
from reference.dynamo import PROFILES
from tests.conftest import recorded
from tests.recorder import Recording, run_program


def _record(recording: Recording) -> dict[str, Any]:
    return recording.find(name="dynamo-record-annotations").inputs


def _said(version: str, stacks: str = "r1", line: str | None = None) -> dict[str, Any]:
    annotations = {
        "dynamo-a4x/dynamo-release": version,
        "dynamo-a4x/dynamo-line": line or PROFILES[version].line,
        "dynamo-a4x/stacks": stacks,
    }
    return {"metadata": {"annotations": annotations}}


@pytest.mark.parametrize("old", PROFILES)
@pytest.mark.parametrize("new", PROFILES)
def test_a_release_of_another_line_is_refused_exactly_while_there_are_stacks(old: str, new: str) -> None:
    for later in ("r1", "", "r2"):
        refused = release_record.rejection(_said(old, "r1 r2"), _said(new, later))
        assert (refused is None) == (old == new)
        assert release_record.rejection(_said(old, ""), _said(new, later)) is None
    if old != new:
        text = release_record.rejection(_said(old, "r1 r2"), _said(new))
        assert text is not None
        assert text.startswith(f"dynamo.version = {new}, but {old} is deployed, and stack r1, r2 uses it")
        assert "stacks: []" in text
        assert "docs/how-to/upgrade-dynamo.md" in text


def test_a_later_release_of_the_same_line_is_an_upgrade_in_place() -> None:
    assert release_record.rejection(_said("1.2.1"), _said("1.2.2", line="1.2")) is None


def test_a_record_that_is_not_there_or_not_known_yet_refuses_nothing() -> None:
    for old in ({}, {"metadata": {}}, {"metadata": {"annotations": {}}}):
        assert release_record.rejection(old, _said("1.5.1")) is None


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_environment_keeps_its_release_and_its_stacks(stack: str) -> None:
    recording = recorded(stack)
    names = " ".join(recording.outputs["stacks"])
    assert _record(recording)["metadata"]["annotations"] == _said("0.7.0", names)["metadata"]["annotations"]


def test_one_that_uses_the_platform_of_another_does_too() -> None:
    adopting = {"dynamo": {"mode": "adopt", "version": "1.2.1"}, "kai": {"mode": "adopt"}}
    recording = run_program("dev", config=adopting)
    assert _record(recording)["metadata"]["annotations"]["dynamo-a4x/dynamo-release"] == "1.2.1"


def test_a_platform_of_another_line_is_another_release_of_helm() -> None:
    triggers = {
        version: run_program("dev", config={"dynamo": {"mode": "create", "version": version}})
        .find(name="dynamo-release")
        .replacement_trigger
        for version in PROFILES
    }
    assert triggers == {version: profile.line for version, profile in PROFILES.items()}

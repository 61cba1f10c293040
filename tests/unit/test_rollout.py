"""What a change does to a running stack: which roles roll, how many replicas stay, and what is said of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.serving import rollout_warnings
from manifests import rollout
from rehearsal.timeline import durations
from serving_rules import layout
from tests import graphs
from tests.recorder import run_program

LARGE, SMALL = "deepseek-r1-fp8-10p8d", "deepseek-r1-fp8-1p1d"


def _spec(name: str, frontends: int = 9) -> dict[str, Any]:
    made = graphs.spec(name)
    made["services"]["Frontend"]["replicas"] = frontends
    return made


def _changed(name: str, *roles: str, frontends: int = 9) -> tuple[dict[str, Any], dict[str, Any]]:
    old = _spec(name, frontends)
    new = copy.deepcopy(old)
    for role in roles:
        new["services"][role]["extraPodSpec"]["mainContainer"]["image"] = "example.com/other:1"
    return old, new


@pytest.mark.parametrize(
    "change",
    [
        lambda service: service["envs"].append({"name": "X", "value": "1"}),
        lambda service: service["extraPodSpec"].update(priorityClassName="train"),
        lambda service: service["extraPodMetadata"]["annotations"].update(a="b"),
        lambda service: service["livenessProbe"].update(periodSeconds=1),
        lambda service: service["sharedMemory"].update(size="8Gi"),
        lambda service: service["extraPodSpec"]["volumes"][3]["configMap"].update(name="other"),
    ],
)
def test_any_change_of_the_pods_takes_the_only_decode_replica_down(change: Callable[[Any], None]) -> None:
    old, new = _changed(LARGE)
    change(new["services"]["Decode"])
    assert [found.role for found in rollout.rolls(old, new)] == ["decode"]
    said = rollout.announcement("r1", old, new)
    assert said is not None
    assert said.startswith("r1: this change takes down the only decode replica (8 nodes)")
    assert "for about 21 minutes (60 s to terminate, about 20 min to load the weights: an estimate)" in said
    assert "Replaced as well" not in said


def test_what_goes_on_meanwhile_is_said_with_numbers() -> None:
    said = rollout.announcement("r1", *_changed(LARGE, "Frontend", "Decode", "Prefill"))
    assert said is not None
    assert "frontend one replica at a time, 8 of 9 serve; prefill one replica at a time, 4 of 5 serve." in said


def test_both_workers_of_the_small_layout_go_at_once() -> None:
    said = rollout.announcement("r1", *_changed(SMALL, "Decode", "Prefill"))
    assert said is not None
    assert "takes down the only prefill replica and the only decode replica before" in said


def test_the_only_frontend_is_said_without_a_load() -> None:
    said = rollout.announcement("r1", *_changed(LARGE, "Frontend", frontends=1))
    assert said is not None
    assert "takes down the only frontend replica before" in said
    assert "weights" not in said


@pytest.mark.parametrize("roles", [("Prefill",), ("Frontend",), ("Prefill", "Frontend"), ()])
def test_a_change_that_leaves_replicas_of_every_role_is_not_announced(roles: tuple[str, ...]) -> None:
    assert rollout.announcement("r1", *_changed(LARGE, *roles)) is None


@pytest.mark.parametrize(("role", "replicas"), [("Frontend", 3), ("Frontend", 12), ("Prefill", 4), ("Decode", 2)])
def test_another_number_of_replicas_is_no_roll(role: str, replicas: int) -> None:
    old, new = _changed(LARGE)
    new["services"][role]["replicas"] = replicas
    assert list(rollout.rolls(old, new)) == []


def test_one_replica_of_two_is_left_alone_while_the_other_goes_away() -> None:
    old, new = _changed(LARGE, "Frontend", frontends=2)
    new["services"]["Frontend"]["replicas"] = 1
    assert "the only frontend replica" in str(rollout.announcement("r1", old, new))


def test_a_grace_period_of_the_graph_is_part_of_the_gap() -> None:
    old, new = _changed(LARGE, "Decode")
    old["services"]["Decode"]["extraPodSpec"]["terminationGracePeriodSeconds"] = 600
    assert "for about 30 minutes (600 s to terminate" in str(rollout.announcement("r1", old, new))


def test_a_value_that_is_not_known_yet_is_a_change() -> None:
    old, new = _changed(LARGE)
    new["services"]["Decode"]["extraPodSpec"]["nodeSelector"] = object()
    assert [found.role for found in rollout.rolls(old, new)] == ["decode"]


@pytest.mark.parametrize("spec", [{}, {"services": None}, {"services": {}}])
def test_a_graph_that_was_edited_beyond_recognition_is_no_error(spec: Mapping[str, Any]) -> None:
    assert rollout.announcement("r1", spec, _spec(LARGE)) is None


def test_the_time_to_load_is_the_timelines() -> None:
    row = next(row for row in durations.ROWS if row.roles == "ReadinessCheck/Job")
    assert row.up == rollout.LOAD_MINUTES


def test_hooks_speak_at_preview_and_fail_no_update(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(pulumi, "ResourceHook", lambda *args: made.append(args))
    monkeypatch.setattr(pulumi, "ResourceHookBinding", SimpleNamespace)
    rollout_warnings.of_graph("r1", "r1")
    rollout_warnings.of_namespace("r1", "r1")
    # The last one refuses a fabric test that comes too late.
    told = [(options.on_dry_run, bool(options.ignore_errors)) for *_, options in made]
    assert told == [(True, True), (True, True), (True, False)]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_hooks_say_it_and_none_stands_in_the_way_of_a_destroy(stack: str) -> None:
    run = run_program(stack)
    assert set(run.find("DynamoGraphDeployment").hooks) == {"before_update"}
    for resource in run.resources:
        assert set(resource.hooks) <= {"before_update"}, resource
    chosen = layout.load({"dev": SMALL, "prod": LARGE}[stack])
    stack_namespace = next(r for r in run.of_type("Namespace") if "before_update" in r.hooks)
    assert stack_namespace.inputs["metadata"]["annotations"] == {"dynamo-a4x/graph": f"{chosen.shape} in a4x-0"}

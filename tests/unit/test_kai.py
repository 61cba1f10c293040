"""KAI in its three modes: made before everything that needs it, found, or left out."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from reference import kai
from reference.dynamo import PROFILES
from tests.recorder import ProgramFailedError, Recording, run_program
from tests.unit.configs import problems, put, shipped
from validation.problems import RuleError

TAINTS: list[Any] = [{"key": "k", "operator": "Exists"}]


@cache
def _run(mode: str, dynamo: str = "0.7.0", platform: str = "create") -> Recording:
    return run_program("dev", config={"kai": {"mode": mode}, "dynamo": {"mode": platform, "version": dynamo}})


def _graph(recording: Recording) -> Any:
    return recording.find("DynamoGraphDeployment").inputs


def _platform(recording: Recording) -> Any:
    return recording.find("kubernetes:helm.sh/v3:Release", "dynamo-release")


# Facts


@pytest.mark.parametrize("version", ["0.16.0", "0.16.8", "v0.16.8", "0.17.0", "v0.17.0", "0.18.1", "1.0.0"])
def test_a_release_whose_shard_the_program_can_own_passes(version: str) -> None:
    kai.check(version)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("0.9.4", "ClusterPolicy"),
        ("0.10.5", "ClusterPolicy"),
        ("0.12.0", "RuntimeClass nvidia"),
        ("v0.12.17", "RuntimeClass nvidia"),
        ("0.13.4", "evicted after 60 s"),
        ("0.15.3", "evicted after 60 s"),
        ("0.20.0", "retracted"),
        ("0.13.0-rc1", "three numbers"),
        ("latest", "three numbers"),
        ("", "three numbers"),
    ],
)
def test_any_other_release_is_refused_with_its_reason(version: str, why: str) -> None:
    with pytest.raises(RuleError, match=why):
        kai.check(version)


def test_a_release_that_was_not_run_passes_with_a_warning() -> None:
    run = ("0.13.4", "0.16.8", "0.17.0")
    # What this program does not install is no advice.
    said = "kai.version = 0.17.1: this release was not run with Dynamo 0.7.0 (run: 0.16.8, 0.17.0)."
    assert kai.warning("0.17.1", "0.7.0", run) == said
    assert kai.warning("v0.17.0", "0.7.0", run) is None
    assert kai.warning("0.16.8", "1.2.1", ("0.17.0",)) is not None


@pytest.mark.parametrize(("version", "refused"), [("0.16.8", True), ("v0.17.0", False), ("0.18.0", False)])
def test_a_release_older_than_dynamo_takes_is_refused_before_anything_is_made(version: str, refused: bool) -> None:
    config = shipped("dev")
    config["dynamo-a4x:kai"] = {"mode": "create", "version": version}
    put(config, "dynamo.version", "1.5.1")
    found = [problem for problem in problems(config, "dev") if problem.key == "kai.version"]
    assert len(found) == refused
    for problem in found:
        assert problem.rule == "Dynamo 1.5.1 and its Grove take KAI 0.17.0 and newer"
        assert problem.fix == "set 0.17.0"


def test_each_dynamo_release_takes_the_kai_that_is_installed_and_was_run_with_it() -> None:
    for profile in PROFILES.values():
        assert kai.DEFAULT_VERSION in profile.kai_run
        assert [one for one in profile.kai_run if kai.too_old(one, profile.version, profile.kai)] == []


def test_the_default_release_is_accepted() -> None:
    assert kai.DEFAULT_VERSION in kai.RUN
    kai.check(kai.DEFAULT_VERSION)


@pytest.mark.parametrize("version", ["0.17.0", "v0.17.0"])
def test_the_chart_comes_from_its_own_registry_or_from_the_mirror_of_all(version: str) -> None:
    assert kai.tag(version) == "v0.17.0"
    assert kai.address(None, version) == "oci://ghcr.io/kai-scheduler/kai-scheduler/kai-scheduler"
    assert kai.address("/charts/", version) == "/charts/kai-scheduler-v0.17.0.tgz"
    assert kai.address("https://charts.example.com", version) == "https://charts.example.com/kai-scheduler-v0.17.0.tgz"
    assert (
        kai.address("oci://registry.example.com/charts/", version) == "oci://registry.example.com/charts/kai-scheduler"
    )


def test_no_gang_is_evicted_because_one_pod_is_gone() -> None:
    for version in kai.RUN:
        assert kai.shard_spec(version)["args"] == {"default-staleness-grace-period": "-1s"}


def test_a_shard_has_no_field_that_its_release_does_not_know() -> None:
    assert "goMemLimitRatio" not in kai.shard_spec("0.16.8")
    assert kai.shard_spec("v0.17.0")["goMemLimitRatio"] == 0.9


# create


@pytest.mark.parametrize("dynamo", PROFILES)
def test_kai_is_one_release_for_every_dynamo(dynamo: str) -> None:
    recording = _run("create", dynamo)
    release = recording.find("kubernetes:helm.sh/v3:Release", "kai-release").inputs
    assert (release["name"], release["namespace"], release["version"]) == ("kai-scheduler", "kai-scheduler", "v0.17.0")
    assert release["values"] == {
        "global": {"tolerations": []},
        "defaultShard": {"enabled": False},
        "defaultQueue": {"createDefaultQueue": False},
    }
    values = _platform(recording).inputs["values"]
    assert values.get("kai-scheduler", {"enabled": False}) == {"enabled": False}
    assert values.get("global", {}).get("kai-scheduler", {"install": False})["install"] is False


def test_the_platform_and_the_queues_wait_until_scheduler_and_webhooks_answer() -> None:
    recording = _run("create")
    shard, operands = recording.find("SchedulingShard"), recording.find("ConfigPatch")
    for resource in (_platform(recording), *recording.of_type("Queue")):
        assert recording.depends_on_transitively(resource, shard)
        assert recording.depends_on_transitively(resource, operands)
    for resource in (shard, operands):
        assert resource.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"
        assert recording.depends_on_transitively(resource, recording.find("Release", "kai-release"))
    assert operands.inputs["metadata"]["name"] == "kai-config"
    assert "spec" not in operands.inputs
    assert operands.inputs["metadata"]["annotations"]["dynamo-a4x/kai-version"] == "0.17.0", "an upgrade waits again"


def test_a_shard_that_was_left_behind_is_taken_over_with_the_programs_values() -> None:
    recording = _run("create")
    shard = recording.find("SchedulingShard")
    assert shard.inputs["metadata"]["name"] == "default"
    assert shard.inputs["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"
    assert shard.inputs["spec"] == kai.shard_spec("0.17.0")
    provider = recording.find("pulumi:providers:kubernetes", "kai-taking-over").inputs
    assert str(provider["upsertExistingObjects"]).lower() == "true"


def test_system_tolerations_reach_every_pod_of_kai() -> None:
    recording = run_program("dev", config={"dynamo": {"mode": "create", "systemTolerations": True}})
    release = recording.find("kubernetes:helm.sh/v3:Release", "kai-release").inputs
    assert {toleration["key"] for toleration in release["values"]["global"]["tolerations"]} == {
        "kubernetes.io/arch",
        "nvidia.com/gpu",
    }


def test_the_queue_that_pods_are_handed_to_is_the_child_and_neither_has_a_limit() -> None:
    recording = _run("create")
    root, child = recording.find("Queue", "queues-root").inputs, recording.find("Queue", "queues-serving").inputs
    assert child["spec"]["parentQueue"] == root["metadata"]["name"]
    assert "parentQueue" not in root["spec"]
    unlimited = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
    for queue in (root, child):
        assert queue["spec"]["resources"] == dict.fromkeys(("cpu", "gpu", "memory"), unlimited)
    assert _graph(recording)["metadata"]["annotations"][kai.QUEUE_ANNOTATION] == child["metadata"]["name"]


# adopt and none


@pytest.mark.parametrize("platform", ["create", "adopt"])
def test_an_adopted_kai_is_left_alone_and_its_queues_are_the_environments_own(platform: str) -> None:
    recording = _run("adopt", platform=platform)
    for kind in ("SchedulingShard", "ConfigPatch"):
        assert not recording.of_type(kind)
    assert not [r for r in recording.of_type("Release") if r.inputs["name"] == "kai-scheduler"]
    assert len(recording.of_type("pulumi:providers:kubernetes")) == 1
    assert len(recording.of_type("Queue")) == 2
    assert _graph(recording)["metadata"]["annotations"][kai.QUEUE_ANNOTATION] == "dynamo-a4x-dev-serving"


@pytest.mark.parametrize(("mode", "told"), [("create", True), ("adopt", True), ("none", False)])
def test_an_operator_that_looks_for_no_kai_is_reported_whether_there_is_one(mode: str, told: bool) -> None:
    values = _platform(_run(mode, "1.0.2")).inputs["values"]
    assert values["global"]["kai-scheduler"] == {"install": False, "enabled": told}


@pytest.mark.parametrize("dynamo", ["0.7.0", "1.0.2"])
def test_without_kai_nothing_of_it_is_left(dynamo: str) -> None:
    recording = _run("none", dynamo)
    assert not recording.of_type("Queue")
    assert "kai" not in str(_graph(recording)).lower()
    for service in _graph(recording)["spec"]["services"].values():
        assert not {"priorityClassName", "schedulerName"} & set(service["extraPodSpec"])
    values = _platform(recording).inputs["values"]
    if "global" in values:
        assert values["global"]["kai-scheduler"] == {"install": False, "enabled": False}


@pytest.mark.parametrize("mode", ["adopt", "none"])
def test_a_platform_that_is_adopted_has_its_scheduler_already(mode: str) -> None:
    _run(mode, platform="adopt")
    with pytest.raises(ProgramFailedError, match=r"kai\.mode"):
        _run("create", platform="adopt")


def test_a_created_cluster_has_no_kai_to_adopt() -> None:
    with pytest.raises(ProgramFailedError, match=r"kai\.mode = 'adopt'"):
        run_program("prod", config={"kai": {"mode": "adopt"}})
    run_program("prod", config={"kai": {"mode": "none"}})

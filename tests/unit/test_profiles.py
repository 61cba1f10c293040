"""One object a Dynamo release: its charts, values and words, and nothing else asks for a version."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from reference.dynamo import PROFILES, REFUSED
from tests import graphs
from tests.recorder import ROOT, Recording, run_program

TAINTS: list[Any] = [{"key": "k", "operator": "Exists"}]


def _values(version: str, **options: Any) -> Any:
    return PROFILES[version].platform_values("nvcr-secret", TAINTS, **options)


def test_0_7_switches_grove_on_as_a_sub_chart_and_kai_off() -> None:
    values = _values("0.7.0")
    assert values["grove"] == {"tolerations": TAINTS, "enabled": True}
    assert values["kai-scheduler"] == {"enabled": False}
    assert _values("0.7.0", kai=False)["kai-scheduler"] == {"enabled": False}
    assert values["etcd"] == {"tolerations": TAINTS, "networkPolicy": {"enabled": False}}
    assert "global" not in values
    assert "mpiRun" not in str(values)


@pytest.mark.parametrize("kai", [True, False])
def test_1_0_uses_the_kai_that_runs_installs_none_and_does_without_etcd(kai: bool) -> None:
    values = _values("1.0.2", kai=kai)
    assert values["global"] == {
        "etcd": {"install": False},
        "grove": {"install": True, "enabled": True},
        "kai-scheduler": {"install": False, "enabled": kai},
    }
    assert values["dynamo-operator"]["upgradeCRD"] is True
    assert "etcd" not in values
    assert "enabled" not in values["grove"]
    assert "kai-scheduler" not in values


@pytest.mark.parametrize("version", PROFILES)
def test_every_system_pod_gets_the_tolerations_and_the_pull_secret(version: str) -> None:
    values = _values(version)
    assert values["dynamo-operator"]["controllerManager"]["tolerations"] == TAINTS
    assert values["dynamo-operator"]["imagePullSecrets"] == [{"name": "nvcr-secret"}]
    assert values["grove"]["tolerations"] == TAINTS
    if PROFILES[version].needs_nats:
        assert values["nats"]["podTemplate"]["merge"]["spec"]["tolerations"] == TAINTS


@pytest.mark.parametrize("version", PROFILES)
def test_pods_of_charts_that_take_them_get_the_labels_of_all_pods_and_nothing_without_them(version: str) -> None:
    said = {"labels": {"sidecar.istio.io/inject": "false"}, "annotations": {"example.com/scrape": "no"}}
    values, profile = _values(version, pod_metadata=said), PROFILES[version]
    charts = [values["etcd"]] if profile.needs_etcd else []
    if profile.needs_nats:
        assert values["nats"]["podTemplate"]["merge"] == {"metadata": said, "spec": {"tolerations": TAINTS}}
    if profile.operator_pod_values:
        charts.append(values["dynamo-operator"]["controllerManager"])
        assert values["grove"] == {"tolerations": TAINTS, "podAnnotations": said["annotations"]}
    else:
        assert set(values["dynamo-operator"]["controllerManager"]) == {"tolerations"}
    for chart in charts:
        assert chart["podLabels"] == said["labels"]
        assert chart["podAnnotations"] == said["annotations"]
    assert _values(version, pod_metadata={}) == _values(version)


def test_releases_name_the_sglang_of_their_images() -> None:
    assert {version: profile.sglang for version, profile in PROFILES.items()} == {
        "0.7.0": "0.5.4.post3",
        "1.0.2": "0.5.9",
        "1.2.1": "0.5.11",
        "1.5.1": "0.5.18",
    }


def test_a_refused_release_has_no_profile() -> None:
    assert set(REFUSED).isdisjoint(PROFILES)
    assert "0.9.0" in REFUSED


def test_no_other_module_asks_for_a_version() -> None:
    """A comparison with a literal that looks like a Dynamo or SGLang release belongs into a profile."""
    known = {*PROFILES, *REFUSED, *(profile.sglang for profile in PROFILES.values())}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("components", "manifests", "program", "serving_rules", "settings")
        for path in sorted((Path(ROOT) / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Constant) and side.value in known
    ]
    assert found == []


# The program -------------------------------------------------------------------------------------------------------


def _releases(version: str) -> dict[str, dict[str, Any]]:
    recording = run_program("dev", config={"dynamo": {"mode": "create", "version": version}})
    return {release.inputs["name"]: release.inputs for release in recording.of_type("Release")}


def test_only_0_7_has_a_chart_of_definitions() -> None:
    assert "dynamo-crds" in _releases("0.7.0")
    newer = _releases("1.0.2")
    assert "dynamo-crds" not in newer
    assert newer["dynamo-platform"]["chart"].endswith("dynamo-platform-1.0.2.tgz")


def _arguments(recording: Recording, role: str) -> dict[str, Any]:
    config_map = recording.find("kubernetes:core/v1:ConfigMap", f"r1-1p1d-{role}-arguments")
    return config_map.inputs


def test_an_override_is_a_change_of_the_config_map_that_a_preview_shows() -> None:
    stack = {"name": "r1-1p1d", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}
    own = {"decode": {"arguments": {"mem-fraction-static": 0.94}}}
    before = run_program("dev", preview=True)
    after = run_program("dev", preview=True, config={"stacks": [{**stack, "overrides": own}]})
    assert "mem-fraction-static: 0.94" in str(_arguments(after, "decode")["data"])
    assert _arguments(before, "decode")["metadata"]["name"] != _arguments(after, "decode")["metadata"]["name"]
    assert _arguments(before, "prefill") == _arguments(after, "prefill")


def test_a_preview_says_what_each_stack_will_be() -> None:
    domain = {"name": "a4x-0", "mode": "adopt", "zone": "us-central1-b", "nodes": 2, "pricePerGpuHour": 10.5}
    said = "\n".join(str(entry) for entry in run_program("dev", preview=True, config={"domains": [domain]}).logs)
    assert "r1-1p1d: 8 GPUs on 2 nodes: 1 x 1 prefill, 1 x 1 decode, 9 frontends; context 9600 tokens" in said
    assert "168 of 199 GB weights a GPU" in said
    assert "84.00 an hour at 10.5 a GPU hour" in said
    assert "8 GPUs" not in "\n".join(str(entry) for entry in run_program("dev").logs)


@pytest.mark.parametrize(("sglang", "kept"), [(None, True), ("0.5.9", False), ("0.5.18", False)])
def test_a_stack_with_an_image_of_its_own_gets_the_arguments_of_its_sglang(sglang: str | None, kept: bool) -> None:
    stack = {"name": "r1-1p1d", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0", "image": "example.com/own:1"}
    recording = run_program("dev", config={"stacks": [stack if sglang is None else {**stack, "sglang": sglang}]})
    assert ("prefill-round-robin-balance" in str(_arguments(recording, "decode")["data"])) is kept


def test_an_image_of_ones_own_is_said_to_have_the_release_of_the_platform_where_that_is_asked() -> None:
    stack = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0", "image": "example.com/own:latest"}
    for version, profile in PROFILES.items():
        dynamo = {"mode": "create", "version": version}
        components = graphs.recorded(run_program("dev", config={"stacks": [stack], "dynamo": dynamo}))
        said = {component.runtime_version for component in components.values()}
        assert said == ({version} if profile.runtime_version else {None})

"""The pure part of a serving stack: layouts, the start script, the graph, the commands."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests import commands, launch
from reference import machines, naming
from reference.dynamo import PROFILES
from serving_rules import layout, rules
from tests import graphs
from tests.unit import configs

LAYOUTS = layout.available()
SMALL = "deepseek-r1-fp8-1p1d"
SCRIPT = launch.script(privileged=True)

# What the Dynamo operator looks for in a container's first argument, to put the rank flags behind it.
OPERATOR_PATTERN = re.compile(r"(python[0-9.]*\s+[^|&;]*sglang[^|&;]*?)(\s|$|[|&;])")


def _folder(tmp_path: Path, **files: object) -> Path:
    """A folder of layouts with one layout, `mine`: the small one that ships, with files replaced."""
    source = layout.LAYOUTS / "deepseek-r1-fp8-1p1d"
    target = tmp_path / "mine"
    target.mkdir()
    for file in ("layout", "prefill", "decode"):
        content = files.get(file, (source / f"{file}.yaml").read_text(encoding="utf-8"))
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (target / f"{file}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def _layout_file() -> dict[str, Any]:
    return yaml.safe_load((layout.LAYOUTS / "deepseek-r1-fp8-1p1d" / "layout.yaml").read_text(encoding="utf-8"))


def test_a_new_folder_is_a_new_layout(tmp_path: Path) -> None:
    assert layout.available(_folder(tmp_path)) == ["mine"]
    assert layout.load("mine", tmp_path).gpus == 8


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"layout": "model: [unclosed"}, "must be YAML"),
        ({"layout": "just text"}, "must be a mapping"),
        ({"layout": {**_layout_file(), "modle": "x"}}, "did you mean 'model'?"),
        ({"layout": {**_layout_file(), "prefill": {"replicas": 0, "nodesPerReplica": 1}}}, "prefill.replicas = 0"),
        ({"layout": {**_layout_file(), "model": "no-owner"}}, "a Hugging Face model id"),
        ({"prefill": {"deepep-config": {"a": 1}}}, "quote nested JSON as one string"),
        ({"prefill": {"cuda-graph-bs": []}}, "a list of strings or numbers"),
        ({"prefill": {"cuda-graph-bs": [1, True]}}, "a list of strings or numbers"),
        ({"prefill": {"cuda-graph-bs": [[1]]}}, "a list of strings or numbers"),
        ({"decode": ""}, "must be a mapping"),
    ],
)
def test_a_broken_layout_is_reported_by_file_and_key(tmp_path: Path, files: dict[str, object], message: str) -> None:
    with pytest.raises(layout.LayoutError) as caught:
        layout.load("mine", _folder(tmp_path, **files))
    assert message in str(caught.value)


def test_an_argument_with_several_values_is_a_list_from_the_layout_to_the_server(tmp_path: Path) -> None:
    """The form of the public recipes, in a layout and in a stack's overrides."""
    written = {**layout.load(SMALL).arguments("decode"), "cuda-graph-bs": [1, 2, 4]}
    made = layout.load("mine", _folder(tmp_path, decode=written))
    assert yaml.safe_load(launch.arguments_file(made.arguments("decode")))["cuda-graph-bs"] == [1, 2, 4]
    assert rules.check(made, PROFILES["0.7.0"]) == []
    raw = {"decode": {"arguments": {"cuda-graph-bs": [8, 16]}}}
    overrides = layout.Overrides.model_validate_json(json.dumps(raw))
    changed = made.overridden(overrides)
    assert yaml.safe_load(launch.arguments_file(changed.arguments("decode")))["cuda-graph-bs"] == [8, 16]
    assert rules.check(changed, PROFILES["0.7.0"]) == []


@pytest.mark.parametrize("value", [{"a": 1}, [], [1, True], [[1]]])
def test_a_wrong_value_among_overrides_has_one_message(value: object) -> None:
    key = "stacks[0].overrides.decode.arguments.cuda-graph-bs"
    [problem] = configs.problems(configs.put(configs.shipped("dev"), key, value), "dev")
    assert (problem.key, problem.fix.partition(";")[0]) == (key, "quote nested JSON as one string")


def test_a_missing_argument_file_is_reported(tmp_path: Path) -> None:
    (_folder(tmp_path) / "mine" / "decode.yaml").unlink()
    with pytest.raises(layout.LayoutError, match="this file is required"):
        layout.load("mine", tmp_path)


@pytest.mark.parametrize(("name", "nodes", "gpus"), [("deepseek-r1-fp8-1p1d", 2, 8), ("deepseek-r1-fp8-10p8d", 18, 72)])
def test_a_layout_counts_its_nodes_and_gpus(name: str, nodes: int, gpus: int) -> None:
    assert (layout.load(name).nodes, layout.load(name).gpus) == (nodes, gpus)


def test_the_operator_puts_its_flags_on_the_exec_line_once() -> None:
    flags = " --dist-init-addr host:29500 --nnodes 2 --node-rank 0"
    found = OPERATOR_PATTERN.findall(SCRIPT)
    injected = OPERATOR_PATTERN.sub(rf"\1{flags}\2", SCRIPT, count=1)
    assert len(found) == 1
    assert injected.splitlines()[-1].startswith(f"exec python3 -m dynamo.sglang{flags} --model-path")
    assert injected.count(flags) == 1


def test_a_second_mention_of_the_server_would_mislead_the_operator() -> None:
    """The negative control of the test above: why the script may name the server only once."""
    misled = "echo python3 -m dynamo.sglang | cat\n" + SCRIPT
    assert not OPERATOR_PATTERN.sub(r"\1 FLAGS\2", misled, count=1).splitlines()[-1].startswith("exec python3 FLAGS")
    assert "FLAGS" not in OPERATOR_PATTERN.sub(r"\1 FLAGS\2", misled, count=1).splitlines()[-1]


def test_a_false_argument_is_left_out_and_true_stays() -> None:
    written = yaml.safe_load(
        launch.arguments_file({"disable-radix-cache": True, "enable-metrics": False, "port": 1, "x": 0})
    )
    assert written == {"disable-radix-cache": True, "port": 1, "x": 0}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("role", layout.WORKER_ROLES)
def test_json_arguments_survive_as_one_text(name: str, role: layout.WorkerRole) -> None:
    arguments = layout.load(name).arguments(role)
    written = yaml.safe_load(launch.arguments_file(arguments))
    assert all(not isinstance(value, (dict, list)) for value in written.values())
    if "deepep-config" in arguments:
        assert json.loads(written["deepep-config"]) == json.loads(str(arguments["deepep-config"]))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_role_is_placed_tolerates_a4x_and_cannot_be_preempted(name: str) -> None:
    for service in graphs.spec(name)["services"].values():
        pod = service["extraPodSpec"]
        assert pod["priorityClassName"] == "inference"
        assert pod["serviceAccountName"] == "account"
        assert {t["key"] for t in pod["tolerations"]} == {"kubernetes.io/arch", "nvidia.com/gpu"}
        assert pod["nodeSelector"] == {machines.NODE_POOL_KEY: "pool"}


def test_frontends_on_the_system_side_run_on_x86() -> None:
    services = graphs.spec(LAYOUTS[0], frontend_nodes="system")["services"]
    assert services["Frontend"]["extraPodSpec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert services["Decode"]["extraPodSpec"]["nodeSelector"] == {machines.NODE_POOL_KEY: "pool"}


@pytest.mark.parametrize("name", LAYOUTS)
def test_commands_name_what_the_stack_makes(name: str) -> None:
    chosen = layout.load(name)
    selector = f"{naming.STACK_LABEL}=r1"
    assert set(commands.logs("r1", "space")) == {"frontend", "prefill", "decode"}
    assert all(selector in command and "-n space" in command for command in commands.logs("r1", "space").values())
    assert "http://r1-frontend:8000" in commands.benchmark("r1", "space", chosen)
    assert "deployment/r1-bench" in commands.benchmark("r1", "space", chosen)
    assert selector in commands.benchmark_in_frontend("r1", "space", chosen)
    assert f"/data/model/{chosen.model}" in commands.benchmark_in_frontend("r1", "space", chosen)


def test_pods_carry_the_labels_that_the_commands_select() -> None:
    for service, role in (("Frontend", "frontend"), ("Prefill", "prefill"), ("Decode", "decode")):
        labels = graphs.spec(LAYOUTS[0])["services"][service]["extraPodMetadata"]["labels"]
        assert labels == {naming.STACK_LABEL: "r1", naming.ROLE_LABEL: role}


def test_each_role_runs_its_own_server_with_its_own_arguments() -> None:
    services = graphs.spec(LAYOUTS[0])["services"]
    for service, role in (("Prefill", "prefill"), ("Decode", "decode")):
        volumes = {volume["name"]: volume for volume in services[service]["extraPodSpec"]["volumes"]}
        assert services[service]["subComponentType"] == role
        assert volumes["serving-configuration"]["configMap"]["name"] == role[0]


def test_a_worker_does_not_start_on_a_node_without_the_nccl_plugin() -> None:
    command = [*launch.COMMAND, SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "the NCCL gIB installer has not run on this node"

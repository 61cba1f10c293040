"""Config as the Pulumi CLI writes it and as the engine reads it: the program and preflight take both."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import settings
from rehearsal import ConfigError, Rehearsal
from rehearsal import engine as engines
from settings import stack_file
from tests import stacks
from tests.guards import PROGRAM_PACKAGES
from tests.resilience.proof import needs_engine
from tests.unit.test_stack_file import SCALARS

pytestmark = [pytest.mark.engine, needs_engine]

ROOT = Path(__file__).resolve().parents[2]

SET: dict[str, str] = {
    "protect": "true",
    "cluster.endpoint": "public-ip",
    "cluster.authorizedNetworks[0]": "203.0.113.0/24",
    "domains[0].nodes": "18",
    "domains[0].pricePerGpuHour": "4.5",
    "modelBucket.download": "false",
    "modelBucket.forceDestroy": "false",
    "dynamo.chartLogin": "true",
    "dynamo.systemTolerations": "false",
    "nodeSoftware.installNccl": "false",
    "nodeSoftware.gibVersion": "v1.1.0",
    "draDriver.version": "25.8.1",
    "stacks[0].frontend.replicas": "3",
    'images.mirrors["nvcr.io"]': "us-docker.pkg.dev/my-project/nvcr",
    "images.onlyMirrors": "false",
    "stacks[0].wait": "true",
    "stacks[0].benchmark": "false",
    "stacks[0].overrides.decode.arguments.watchdog-timeout": "3600",
    "stacks[0].overrides.decode.arguments.mem-fraction-static": "0.94",
    "stacks[0].overrides.decode.environment.NCCL_IB_QPS_PER_CONNECTION": "4",
    "stacks[0].overrides.decode.environment.NCCL_DEBUG": "INFO",
}
"""A key of each kind, by its path, with the value as it is typed."""


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """The CLI in a project of its own, with a stack `dev`."""
    engine = engines.find()
    assert engine is not None
    project, state, home = (tmp_path / name for name in ("project", "state", "home"))
    for folder in (project, state, home):
        folder.mkdir()
    (project / "Pulumi.yaml").write_text("name: dynamo-a4x\nruntime: python\n", encoding="utf-8")
    variables = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "made up",
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    def call(*arguments: str) -> str:
        command = [str(engine.path), *arguments, "--non-interactive"]
        return subprocess.run(  # noqa: S603 - the engine, and arguments of this file
            command, cwd=project, env=variables, check=True, capture_output=True, text=True
        ).stdout

    call("stack", "init", "dev")
    return call


def test_a_stack_file_is_read_as_the_engine_reads_it(run: Any, tmp_path: Path) -> None:
    lines = [f"    k{i}: {text}" for i, (text, _) in enumerate(SCALARS.values())]
    path = tmp_path / "project" / "Pulumi.dev.yaml"
    path.write_text("\n".join(["config:", "  dynamo-a4x:a:", *lines, ""]), encoding="utf-8")
    by_the_engine = json.loads(run("config", "--json", "--stack", "dev"))["dynamo-a4x:a"]["objectValue"]
    found = stack_file.read(path)["dynamo-a4x:a"]
    assert found == by_the_engine
    assert {key: type(value) for key, value in found.items()} == {k: type(v) for k, v in by_the_engine.items()}


def test_a_key_that_stands_twice_is_refused_by_the_engine_too(run: Any, tmp_path: Path) -> None:
    (tmp_path / "project" / "Pulumi.dev.yaml").write_text("config:\n  a:b: 1\n  a:b: 2\n", encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        run("config", "--json", "--stack", "dev")


def test_every_value_that_the_cli_stores_is_taken(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "project" / "Pulumi.dev.yaml"
    path.write_text(stacks.path("prod").read_text(encoding="utf-8"), encoding="utf-8")
    for key, value in SET.items():
        run("config", "set", "--stack", "dev", "--path", key, value)
    read: Any = settings.parse(stack_file.read(path), "dev")
    stack = read.stacks[0]
    assert (read.protect, read.cluster.endpoint, read.domains[0].nodes) == (True, "public-ip", 18)
    assert (read.domains[0].price_per_gpu_hour, stack.frontend.replicas, stack.benchmark) == (4.5, 3, False)
    assert stack.overrides.decode.environment["NCCL_IB_QPS_PER_CONNECTION"] == "4"
    assert read.images.mirrors == {"nvcr.io": "us-docker.pkg.dev/my-project/nvcr"}
    # The text that E14 is about: the CLI knows no numbers with a fraction.
    assert 'pricePerGpuHour: "4.5"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("  dynamo-a4x:protect: on\n", "protect = 'on'"),
        ("  gcp:project: again\n", "stands here twice"),
        ("  dynamo-a4x:cluster:\n", "cluster = ''"),
    ],
)
def test_a_rehearsal_refuses_what_the_engine_would_hand_over_otherwise(tmp_path: Path, spoilt: str, said: str) -> None:
    for entry in ROOT.iterdir():
        if entry.name in {*PROGRAM_PACKAGES, "__main__.py", "Pulumi.yaml", "sglang_configs"}:
            (tmp_path / entry.name).symlink_to(entry)
    text = stacks.path("dev").read_text(encoding="utf-8")
    if "cluster" in spoilt:
        text = text.replace("  dynamo-a4x:cluster:\n    mode: adopt\n    name: a4x-dev\n", "")
    (tmp_path / "Pulumi.dev.yaml").write_text(text + spoilt, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(said)):
        Rehearsal("dev", root=tmp_path, program=tmp_path / "__main__.py")


def test_the_program_runs_with_values_that_the_cli_stored() -> None:
    with Rehearsal("prod") as rehearsal:
        pairs = [part for key, value in SET.items() for part in ("--plaintext", f"{key}={value}")]
        rehearsal.cli(["config", "set-all", "--path", *pairs])
        preview = rehearsal.preview()
    assert {step.op for step in preview.steps} == {"create"}

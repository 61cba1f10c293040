"""What the program gives the check: files, rights, configuration."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from readiness import config, package, snapshot

WHOLE: dict[str, Any] = {
    "namespace": "serving",
    "deployment": "r1",
    "job": "readiness-check",
    "roles": {"frontend": {"replicas": 2, "template": "f1"}, "decode": {"replicas": 8, "template": "d1"}},
    "url": "http://r1-frontend.serving.svc.cluster.local:8000",
    "model": "deepseek-ai/DeepSeek-R1",
    "deadlineSeconds": 10800,
    "unschedulableSeconds": 600,
    "next": "kubectl -n serving get pods",
}


def test_source_files_are_the_whole_package_and_run_without_anything_else(tmp_path: Path) -> None:
    folder = tmp_path / package.PACKAGE
    folder.mkdir()
    for name, text in package.source_files().items():
        (folder / name).write_text(text)
    code = "import readiness.config as c; print(c.__file__)"
    ran = subprocess.run(  # noqa: S603 - our own package
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str(folder / "config.py")


def test_nothing_but_the_standard_library_is_imported() -> None:
    for name, text in package.source_files().items():
        for node in ast.walk(ast.parse(text)):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                top = module.split(".")[0]
                assert top == "readiness" or top in sys.stdlib_module_names, f"{name} imports {module}"


def test_the_files_fit_a_config_map_with_room() -> None:
    assert sum(len(text.encode()) for text in package.source_files().values()) < 200_000


def test_the_rights_only_read_but_for_the_progress_event() -> None:
    writing = {"create", "patch", "update", "delete", "deletecollection"}
    for rule in package.RULES:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["api_groups"]
        if writing & set(rule["verbs"]):
            assert rule["resources"] == ["events"]


def test_the_configuration_is_read_whole() -> None:
    read = config.parse(json.dumps(WHOLE))
    assert (read.namespace, read.deployment, read.job) == ("serving", "r1", "readiness-check")
    assert read.roles == {"frontend": config.Role(2, "f1", 1, 2), "decode": config.Role(8, "d1", 1, 8)}
    part = {"replicas": 5, "podsPerReplica": 2, "minimum": 1, "template": "p1"}
    read_part = config.parse(json.dumps({**WHOLE, "roles": {"prefill": part}})).roles["prefill"]
    assert (read_part, read_part.pods, read_part.needed) == (config.Role(5, "p1", 2, 1), 10, 1)
    assert (read.deadline, read.unschedulable, read.pods) == (10800, 600, 10)
    assert read.bounds == config.Bounds()


def test_the_deadlines_have_defaults() -> None:
    short = {key: value for key, value in WHOLE.items() if not key.endswith("Seconds")}
    assert config.parse(json.dumps(short)) == config.parse(json.dumps(WHOLE))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "r1-frontend:8000"}, "url: must be http"),
        ({"model": ""}, "model: must be a string"),
        ({"roles": {}}, "roles: must be an object"),
        ({"roles": {"decode": {"replicas": 0, "template": "d"}}}, "replicas: must be a whole number above 0, is 0"),
        ({"roles": {"decode": {"replicas": 1}}}, "roles.decode: template is missing"),
        ({"roles": {"decode": {"pods": 1, "replicas": 1, "template": "d"}}}, "roles.decode: pods is not known"),
        (
            {"roles": {"decode": {"replicas": 2, "template": "d", "podsPerReplica": 0}}},
            "podsPerReplica: must be a whole number above 0, is 0",
        ),
        (
            {"roles": {"decode": {"replicas": 2, "template": "d", "minimum": 3}}},
            "roles.decode: minimum 3 is more than its 2 replicas",
        ),
        ({"deadlineSeconds": True}, "deadlineSeconds: must be a whole number above 0, is True"),
        ({"deadlineMinutes": 3}, "the file: deadlineMinutes is not known"),
        ({"bounds": {"poll": 0}}, "bounds.poll: must be a number above 0"),
        ({"bounds": {"pull": 1}}, "bounds: pull is not known"),
    ],
)
def test_a_faulty_configuration_is_named_by_key(change: dict[str, Any], said: str) -> None:
    with pytest.raises(config.ConfigError, match=re.escape(said)):
        config.parse(json.dumps({**WHOLE, **change}))


@pytest.mark.parametrize("key", [key for key in WHOLE if not key.endswith("Seconds")])
def test_every_key_but_the_deadlines_is_needed(key: str) -> None:
    with pytest.raises(config.ConfigError, match=f"{key} is missing"):
        config.parse(json.dumps({name: value for name, value in WHOLE.items() if name != key}))


def test_the_page_about_the_check_tells_every_bound_as_it_is() -> None:
    page = (Path(config.__file__).parents[1] / "docs" / "explanation" / "readiness-check.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", page, re.MULTILINE))
    assert told == {bound.name: f"{bound.default:g}" for bound in fields(config.Bounds)}


def test_the_page_about_the_check_names_the_harmless_warnings() -> None:
    page = (Path(config.__file__).parents[1] / "docs" / "explanation" / "readiness-check.md").read_text()
    for reason in snapshot.HARMLESS:
        assert f"`{reason}`" in page

"""docs/reference/recipe.md against the recipe's own files, in both directions; they are no part of the project.

They are looked for in the folder that `DYNAMO_A4X_RECIPE` names, or beside the checkout.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance import recipe

FOLDER = Path(os.environ.get("DYNAMO_A4X_RECIPE") or recipe.ROOT.parent / "shared" / "reference" / "recipe")
RENDERED = {"8 GPUs": FOLDER / "rendered-1p1d.yaml", "72 GPUs": FOLDER / "rendered-10p8d.yaml"}
"""Layout to what the recipe's chart renders for it."""
VALUES = {"8 GPUs": FOLDER / "values_wo_deepep.yaml", "72 GPUs": FOLDER / "values_deepep.yaml"}
BENCHMARKS = {"8 GPUs": 0, "72 GPUs": 1}
"""Layout to its command's place in the README."""
OTHERS = ("webhooks", "download")
"""Roles of what the recipe leaves to others."""

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(
        not all(path.exists() for path in RENDERED.values()),
        reason=f"the recipe's rendered chart is not in {FOLDER} (set DYNAMO_A4X_RECIPE to its folder)",
    ),
]


def _rendered(layout: str) -> dict[recipe.Key, Any]:
    """Facts in the objects that the chart renders."""
    objects = list(yaml.safe_load_all(RENDERED[layout].read_text(encoding="utf-8")))
    [graph] = (one["spec"] for one in objects if one["kind"] == "DynamoGraphDeployment")
    [domain] = (one["spec"] for one in objects if one["kind"] == "ComputeDomain")
    found = {("domain", field): value for field, value in recipe.flat(domain)}
    found["graph", "backendFramework"] = graph["backendFramework"]
    for service, spec in graph["services"].items():
        found |= {(service.lower(), field): value for field, value in recipe.flat(spec)}
    for one in objects:
        role = re.search(r"-(prefill|decode)-config$", one["metadata"]["name"])
        if role:
            written = yaml.safe_load(one["data"]["serving-configuration"])
            found |= {(role[1], f"arguments.{name}"): value for name, value in written.items()}
    return found


def _told(layout: str) -> dict[recipe.Key, Any]:
    """Facts in the values of the chart and in the README."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    values = yaml.safe_load(VALUES[layout].read_text(encoding="utf-8"))

    def word(pattern: str) -> str:
        [found] = {*re.findall(pattern, readme)}
        return found

    switches = re.findall(r"--set (grove|kai-scheduler)\.enabled=true", readme)
    load = re.findall(r"benchmark_serving\.py .*|sglang\.bench_serving .*", readme)[BENCHMARKS[layout]]
    options = dict(re.findall(r"--([\w-]+) +([\w.]+)", load))
    return {
        ("platform", "version"): word(r"RELEASE_VERSION=(\S+)"),
        ("platform", "namespace"): word(r"NAMESPACE=(\S+)"),
        ("platform", "crds.namespace"): word(r"install dynamo-crds \S+ \\\s+--namespace (\w+)"),
        **{("platform", f"{name}.enabled"): True for name in switches},
        ("secrets", "pull"): word(r"docker-registry (\S+)"),
        ("secrets", "pull.server"): word(r"--docker-server=(\S+)"),
        ("secrets", "pull.username"): word(r"--docker-username='(\S+)'"),
        ("secrets", "token"): word(r"secret generic (\S+)"),
        ("secrets", "token.key"): word(r"--from-literal=(\w+)="),
        ("nodes", "machineType"): word(r"\[(a4x-\w+-\w+)\]"),
        ("nodes", "gib.version"): values["network"]["gibVersion"].rpartition(":")[2],
        ("service", "port"): values["service"]["ports"]["frontend"],
        **{
            ("benchmark", name): yaml.safe_load(options[name])
            for name in (
                *("random-input-len", "random-output-len", "random-range-ratio"),
                *("num-prompts", "max-concurrency"),
            )
        },
    }


def test_the_tables_say_what_the_recipes_files_say_and_nothing_else() -> None:
    for layout in recipe.LAYOUTS:
        theirs = {**_rendered(layout), **_told(layout)}
        ours = {key: value for key, value in recipe.FACTS[layout].items() if key[0] not in OTHERS}
        assert ours.keys() == theirs.keys()
        kept = {key: (value, theirs[key]) for key, value in ours.items() if value is not ...}
        assert {key: pair for key, pair in kept.items() if pair[0] != pair[1]} == {}

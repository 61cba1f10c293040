"""Another Dynamo release: the one path there and back, and every other one refused before anything changes."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from rehearsal import RehearsalError
from rehearsal.run import Rehearsal
from tests import stacks
from tests.engine.modes import OWN_IMAGE
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
OF_GROVE = re.compile(r"\.grove\.io$")
OF_DYNAMO = re.compile(r"^dynamo.*\.nvidia\.com$")
DEV, PROD = stacks.config("dev"), stacks.config("prod")


def _on(version: str, shipped: dict[str, Any] = DEV) -> dict[str, Any]:
    return {"dynamo-a4x:dynamo": {**shipped["dynamo-a4x:dynamo"], "version": version}}


def _delete_crds(rehearsal: Rehearsal, *kinds: re.Pattern[str]) -> int:
    """As the upgrade's how-to says, in the only cluster; returns how many there were."""
    found = [crd for crd in rehearsal.state.find(CRD) if any(kind.search(crd.id) for kind in kinds)]
    for crd in found:
        rehearsal.state.remove(crd.key)
    return len(found)


def _everything(rehearsal: Rehearsal) -> dict[Any, Any]:
    """What a stack runs on. An up without a preview changes policies and secrets beside the record that refuses it."""
    kinds = ("Release", "DynamoGraphDeployment", "Namespace", "CustomResourceDefinition", "Queue", "SchedulingShard")
    return {one.key: copy.deepcopy(one.outputs) for one in rehearsal.state.find() if one.kind.endswith(kinds)}


def _move(rehearsal: Rehearsal, version: str, *crds: re.Pattern[str]) -> None:
    rehearsal.set_config({"dynamo-a4x:stacks": []})
    rehearsal.up("without stacks")
    assert _delete_crds(rehearsal, *crds)
    rehearsal.set_config(_on(version))
    rehearsal.up(f"Dynamo {version}")
    rehearsal.set_config({"dynamo-a4x:stacks": DEV["dynamo-a4x:stacks"]})
    rehearsal.up("the stacks again")
    rehearsal.up_without_change()
    [release] = [r for r in rehearsal.state.find("kubernetes:helm.sh/v3:Release") if r.id.endswith("/dynamo-platform")]
    assert release.outputs["status"]["version"] == version


@pytest.mark.parametrize(
    "path",
    [
        ("0.7.0", "1.2.1", "1.5.1"),
        *(pytest.param(path, marks=pytest.mark.whole) for path in (("0.7.0", "1.5.1"), ("1.0.2", "1.5.1"))),
    ],
    ids="-".join,
)
def test_the_path_leads_to_newer_releases_and_back(path: tuple[str, ...]) -> None:
    with Rehearsal("dev", config=_on(path[0])) as rehearsal:
        rehearsal.up()
        for version in path[1:]:
            _move(rehearsal, version, OF_GROVE)
        for version in reversed(path[:-1]):
            _move(rehearsal, version, OF_GROVE, OF_DYNAMO)
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []


@pytest.mark.parametrize(
    "version", ["1.0.2", *(pytest.param(version, marks=pytest.mark.whole) for version in ("1.2.1", "1.5.1"))]
)
@pytest.mark.parametrize("kept", ["with its stacks", "with its stacks taken away in the same run"])
def test_another_release_under_running_stacks_is_refused_with_the_steps_and_changes_nothing(
    version: str, kept: str
) -> None:
    with Rehearsal("dev") as rehearsal:
        rehearsal.up()
        before = _everything(rehearsal)
        rehearsal.set_config(_on(version) | ({} if kept == "with its stacks" else {"dynamo-a4x:stacks": []}))
        for run in (rehearsal.preview, rehearsal.up):
            with pytest.raises(RehearsalError) as failed:
                run()
            [cause] = [cause for cause in failed.value.causes if "dynamo.version" in cause]
            assert f"dynamo.version = {version}, but 0.7.0 is deployed, and stack r1-1p1d uses it" in cause
            assert "stacks: []" in cause
        assert _everything(rehearsal) == before
        rehearsal.set_config({**_on("0.7.0"), "dynamo-a4x:stacks": DEV["dynamo-a4x:stacks"]})
        rehearsal.up("as it was")
        rehearsal.up_without_change()
        assert _everything(rehearsal) == before


def test_another_gang_replaces_the_graph() -> None:
    config = {**_on("1.5.1", PROD), "dynamo-a4x:protect": False}
    [stack] = PROD["dynamo-a4x:stacks"]
    config["dynamo-a4x:stacks"] = [{**stack, "image": OWN_IMAGE}]
    with Rehearsal("prod", config=config) as rehearsal:
        rehearsal.up()
        rehearsal.set_config({"dynamo-a4x:stacks": [{**stack, "image": OWN_IMAGE, "gang": "whole"}]})
        ops = {step.op for step in rehearsal.up().changed if step.name == "r1-10p8d-graph"}
        assert "replace" in ops
        assert "update" not in ops
        rehearsal.up_without_change()

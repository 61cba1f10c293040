"""The graphs mean what the recipe's chart renders, but for the rows of docs/differences.md."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests import graph, launch
from reference.dynamo import PROFILES
from serving_rules import layout
from tests.conformance import recipe
from tests.conformance.recipe import Difference

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(
        not all(path.exists() for path in recipe.RENDERED.values()),
        reason=f"the recipe's rendered chart is not in {recipe.FOLDER} (set DYNAMO_A4X_RECIPE to its folder)",
    ),
]

WORKER = r"(Decode|Prefill)\."
POD = r"(Frontend|Decode|Prefill)\.extraPodSpec\."

DIFFERENCES = [
    Difference("namespace", r"\w+\.dynamoNamespace", recipe="dynamo-cloud", ours=None),
    Difference("own-names", WORKER + r"extraPodSpec\.resourceClaims\[0\]\.resourceClaimTemplateName", "a4x-channel"),
    Difference("arguments-by-content", WORKER + r"extraPodSpec\.volumes\[serving-configuration\]\.configMap\.name"),
    Difference("service-account", POD + "serviceAccountName", None, "account"),
    Difference("named-pull-secret", POD + r"imagePullSecrets\[0\]\.name", None, "nvcr-secret"),
    Difference("named-pull-secret", r"\w+\.annotations\.nvidia\.com/disable-image-pull-secret-discovery", None, "true"),
    Difference("priority", POD + "priorityClassName", None, "inference"),
    Difference("tolerations", WORKER + r"extraPodSpec\.tolerations\[.*\]\..*", None),
    Difference("placement", POD + r"nodeSelector\.cloud\.google\.com/gke-nodepool", None, "pool"),
    Difference("frontend-spread", r"Frontend\.extraPodSpec\.affinity\.podAntiAffinity\..*", None),
    Difference("labels", r"\w+\.extraPodMetadata\.labels\.dynamo-a4x/(stack|role)", None),
    Difference("frontend-token", r"Frontend\.envFromSecret", None, "hf-token-secret"),
    Difference("probe-delays", WORKER + r"(liveness|readiness)Probe\.initialDelaySeconds", ..., None),
    Difference("probe-delays", WORKER + r"extraPodSpec\.mainContainer\.startupProbe\.initialDelaySeconds", 3000, 60),
    Difference("probe-delays", WORKER + r"extraPodSpec\.mainContainer\.startupProbe\.periodSeconds", 60, 30),
    Difference("probe-delays", WORKER + r"extraPodSpec\.mainContainer\.startupProbe\.failureThreshold", 1800, 240),
    Difference("launch", WORKER + r"extraPodSpec\.mainContainer\.args\[0\]", ours=launch.SCRIPT),
    Difference("hf-transfer", WORKER + r"envs\[HF_HUB_ENABLE_HF_TRANSFER\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGLANG_HACK_SEQ_BOOTSTRAP_ROOM\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGLANG_DECODE_BOOTSTRAP_TIMEOUT\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGLANG_DISABLE_TP_MEMORY_INBALANCE_CHECK\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGL_DISABLE_TP_MEMORY_INBALANCE_CHECK\]\.\w+", recipe=None),
]

LAYOUTS = sorted(recipe.RENDERED)


def _ours(name: str) -> dict[str, Any]:
    placement = graph.Placement(
        stack="r1",
        image="nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0",
        frontend_image="nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0",
        frontend_replicas=layout.load(name).file.frontend.replicas,
        frontend_side="a4x",
        node_pool="pool",
        bucket="mybucket",
        service_account="account",
        pull_secret="nvcr-secret",
        claim_template="r1-x-channel",
        config_maps={"prefill": "r1-prefill-x", "decode": "r1-decode-x"},
    )
    return graph.spec(layout.load(name), placement, PROFILES["0.7.0"])


def _unexplained(name: str, ours: dict[str, Any]) -> list[str]:
    found = recipe.compare(recipe.graph(name)["services"], ours["services"])
    return [
        f"{path}: recipe {theirs!r}, here {mine!r}"
        for path, theirs, mine in found
        if not any(row.explains(path, theirs, mine) for row in DIFFERENCES)
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_difference_from_the_recipe_is_a_documented_one(name: str) -> None:
    assert _unexplained(name, _ours(name)) == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_backend_is_the_recipes(name: str) -> None:
    assert _ours(name)["backendFramework"] == recipe.graph(name)["backendFramework"]


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: f"{row.row}-{row.path[-24:]}")
def test_no_row_explains_a_difference_that_is_not_there(row: Difference) -> None:
    found = [
        entry
        for name in LAYOUTS
        for entry in recipe.compare(recipe.graph(name)["services"], _ours(name)["services"])
        if row.explains(*entry)
    ]
    assert found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("Decode", "replicas"), 2),
        (("Prefill", "sharedMemory", "size"), "8Gi"),
        (("Decode", "extraPodSpec", "mainContainer", "securityContext", "privileged"), False),
        (("Prefill", "resources", "limits", "gpu"), "8"),
        (("Frontend", "extraPodMetadata", "annotations", "gke-gcsfuse/volumes"), "false"),
    ],
)
def test_the_comparison_sees_a_changed_field(path: tuple[str, ...], value: object) -> None:
    ours = copy.deepcopy(_ours(LAYOUTS[0]))
    place = ours["services"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert len(_unexplained(LAYOUTS[0], ours)) == 1


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("role", layout.WORKER_ROLES)
def test_server_arguments_are_the_recipes(name: str, role: layout.WorkerRole) -> None:
    written = yaml.safe_load(launch.arguments_file(layout.load(name).arguments(role)))
    assert recipe.argv(written) == recipe.argv(recipe.arguments(name, role))


def test_every_row_stands_in_the_table_of_differences() -> None:
    table = (Path(recipe.ROOT) / "docs" / "differences.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)` \|", table, flags=re.MULTILINE))
    assert {row.row for row in DIFFERENCES} <= rows

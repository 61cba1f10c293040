"""The program means what docs/reference/recipe.md says, but for the rows of docs/explanation/differences.md."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
import yaml

from manifests import commands, launch
from serving_rules import layout
from tests import graphs
from tests.conformance import recipe
from tests.conformance.recipe import Difference
from tests.conftest import a4x_pool, recorded
from tests.recorder import Recording

pytestmark = pytest.mark.conformance

WORKER = r"(Decode|Prefill)\."
POD = r"(Frontend|Decode|Prefill)\.extraPodSpec\."

DIFFERENCES = [
    Difference("namespace", r"\w+\.dynamoNamespace", recipe="dynamo-cloud", ours=None),
    Difference(
        "own-names",
        WORKER + r"extraPodSpec\.resourceClaims\[compute-domain-channel\]\.resourceClaimTemplateName",
        "a4x-channel",
    ),
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
    Difference("worker-token", WORKER + r"envFromSecret", "hf-token-secret", None),
    Difference("worker-token", WORKER + r"envs\[HF_TOKEN\]\..*", ours=None),
    Difference("account-token", POD + "automountServiceAccountToken", None, ours=False),
    Difference("read-only-weights", POD + r"volumes\[gcs-model-volume\]\.csi\.readOnly", None, ours=True),
    Difference(
        "read-only-weights",
        WORKER + r"extraPodSpec\.mainContainer\.volumeMounts\[/data/model\]\.readOnly",
        None,
        ours=True,
    ),
    Difference("probe-delays", WORKER + r"(liveness|readiness)Probe\.initialDelaySeconds", ..., None),
    Difference("probe-delays", WORKER + r"extraPodSpec\.mainContainer\.startupProbe\.initialDelaySeconds", 3000, 60),
    Difference("probe-delays", WORKER + r"extraPodSpec\.mainContainer\.startupProbe\.periodSeconds", 60, 30),
    Difference("probe-delays", WORKER + r"extraPodSpec\.mainContainer\.startupProbe\.failureThreshold", 1800, 240),
    Difference("launch", WORKER + r"extraPodSpec\.mainContainer\.args", ..., [launch.script(privileged=True)]),
    Difference("hf-transfer", WORKER + r"envs\[HF_HUB_ENABLE_HF_TRANSFER\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGLANG_HACK_SEQ_BOOTSTRAP_ROOM\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGLANG_DECODE_BOOTSTRAP_TIMEOUT\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGLANG_DISABLE_TP_MEMORY_INBALANCE_CHECK\]\.\w+", ours=None),
    Difference("dead-environment", WORKER + r"envs\[SGL_DISABLE_TP_MEMORY_INBALANCE_CHECK\]\.\w+", recipe=None),
    Difference("own-names", r"domain\.channel\.resourceClaimTemplate\.name", "a4x-channel"),
    Difference("scheduler", r"platform\.kai-scheduler\.enabled", recipe=True, ours=False),
]

LAYOUTS = sorted(recipe.LAYOUTS.values())
ENVIRONMENTS = {"deepseek-r1-fp8-1p1d": "dev", "deepseek-r1-fp8-10p8d": "prod"}
"""Layout to the environment that serves it."""


def _ours(name: str) -> dict[str, Any]:
    runtime = "nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0"
    return graphs.spec(
        name,
        image=runtime,
        frontend_image=runtime,
        frontend_replicas=layout.load(name).file.frontend.replicas,
        bucket="mybucket",
        claim_template="r1-x-channel",
        config_maps={"prefill": "r1-prefill-x", "decode": "r1-decode-x"},
    )


def _different(name: str, ours: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return recipe.compare(recipe.services(name), dict(recipe.flat(ours["services"])))


def _around(name: str) -> dict[str, Any]:
    """Facts around the graph, as the program registers them."""
    run = recorded(ENVIRONMENTS[name])
    platform, definitions = run.find(name="dynamo-release").inputs, run.find(name="dynamo-crds").inputs
    command = commands.benchmark("r1", "r1", layout.load(name))
    load = re.findall(r"--(random-\w+-\w+|num-prompts|max-concurrency) (\S+)", command)
    return {
        "graph.backendFramework": run.of_type("DynamoGraphDeployment")[0].inputs["spec"]["backendFramework"],
        **dict(recipe.flat(run.of_type("ComputeDomain")[0].inputs["spec"], "domain")),
        "platform.version": platform["version"],
        "platform.namespace": platform["namespace"],
        "platform.crds.namespace": definitions["namespace"],
        "platform.grove.enabled": platform["values"]["grove"]["enabled"],
        "platform.kai-scheduler.enabled": platform["values"]["kai-scheduler"]["enabled"],
        **_secrets(run),
        "service.port": run.of_type("kubernetes:core/v1:Service")[0].inputs["spec"]["ports"][0]["port"],
        **{f"benchmark.{option}": json.loads(value) for option, value in load},
        **_ground(),
    }


def _secrets(run: Recording) -> dict[str, Any]:
    pull, token = (
        next(secret.inputs for secret in run.of_type("Secret") if secret.name.endswith(kind))
        for kind in ("-nvcr-secret", "-hf-token-secret")
    )
    [(server, login)] = json.loads(pull["stringData"][".dockerconfigjson"])["auths"].items()
    [key] = token["stringData"]
    return {
        "secrets.pull": pull["metadata"]["name"],
        "secrets.pull.server": server,
        "secrets.pull.username": login["username"],
        "secrets.token": token["metadata"]["name"],
        "secrets.token.key": key,
    }


def _ground() -> dict[str, Any]:
    """Of what only `prod` makes: in `dev` the cluster is adopted."""
    run = recorded("prod")
    [installer] = run.find("DaemonSet").inputs["spec"]["template"]["spec"]["initContainers"]
    download = next(job.inputs["spec"] for job in run.of_type("Job") if job.name.startswith("download-"))
    [opened] = run.find("Firewall", "foundation-network-webhooks").inputs["allows"]
    return {
        "nodes.machineType": next(filter(a4x_pool, run.resources)).inputs["nodeConfig"]["machineType"],
        "nodes.gib.version": installer["image"].rpartition(":")[2],
        "webhooks.ports": opened["ports"],
        "download.backoffLimit": download["backoffLimit"],
        "download.restartPolicy": download["template"]["spec"]["restartPolicy"],
    }


def _unexplained(found: list[tuple[str, Any, Any]]) -> list[str]:
    return [
        f"{path}: recipe {theirs!r}, here {mine!r}"
        for path, theirs, mine in found
        if not any(row.explains(path, theirs, mine) for row in DIFFERENCES)
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_difference_of_a_graph_is_a_documented_one(name: str) -> None:
    assert _unexplained(_different(name, _ours(name))) == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_difference_around_a_graph_is_a_documented_one(name: str) -> None:
    assert _unexplained(recipe.compare(recipe.around(name), _around(name))) == []


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: f"{row.row}-{row.path[-24:]}")
def test_no_row_explains_a_difference_that_is_not_there(row: Difference) -> None:
    found = [
        entry
        for name in LAYOUTS
        for entry in (*_different(name, _ours(name)), *recipe.compare(recipe.around(name), _around(name)))
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
    assert len(_unexplained(_different(LAYOUTS[0], ours))) == 1


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("role", layout.WORKER_ROLES)
def test_server_arguments_are_the_recipes(name: str, role: layout.WorkerRole) -> None:
    written = yaml.safe_load(launch.arguments_file(layout.load(name).arguments(role)))
    assert recipe.argv(written) == recipe.argv(recipe.arguments(name, role))


def test_every_row_stands_in_the_table_of_differences() -> None:
    table = (recipe.ROOT / "docs" / "explanation" / "differences.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)` \|", table, flags=re.MULTILINE))
    assert {row.row for row in DIFFERENCES} <= rows


def test_a_line_of_the_tables_that_is_no_fact_is_refused() -> None:
    head = "| layout | role | field | value | note |\n|---|---|---|---|---|\n"
    row = '| both | workers | `sharedMemory.size` | `"80Gi"` | |\n'
    assert recipe.tables(head + row)["8 GPUs"] == {(r, "sharedMemory.size"): "80Gi" for r in layout.WORKER_ROLES}
    with pytest.raises(ValueError, match="not a row of a fact"):
        recipe.tables(head + row.replace("`sharedMemory.size`", "sharedMemory.size"))
    with pytest.raises(ValueError, match="said twice for decode, 8 GPUs"):
        recipe.tables(head + row + row.replace("both", "8 GPUs").replace("workers", "decode"))

"""The example of a company's environment, all settings at once, in the real engine: it deploys and leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from rehearsal import Rehearsal
from rehearsal.simulator.gcp.rules import (
    ACCOUNT,
    CLUSTER,
    FIREWALL,
    NETWORK,
    NODE_POOL,
    PROJECT_SERVICE,
    ROUTER,
    SUBNETWORK,
)
from rehearsal.simulator.kubernetes import chart_images
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.state import CloudResource
from settings import stack_file
from tests import stacks
from tests.resilience.order import InvariantChecker
from tests.resilience.proof import needs_engine
from tools.platform_team import EXAMPLE, SHARED

pytestmark = [pytest.mark.engine, needs_engine]

OURS: Final = "us-docker.pkg.dev/my-project/"
FOREIGN: Final = ("nvcr.io/", "ghcr.io/", "docker.io/", "mirror.gcr.io", "helm.ngc.nvidia.com", "huggingface.co")
KEY: Final = "projects/company-keys/locations/us-central1/keyRings/a4x/cryptoKeys"


def _config(example: Path) -> dict[str, Any]:
    """An example in place of `prod`'s config."""
    return {**dict.fromkeys(stacks.config("prod")), **stack_file.read(example)}


def _require_theirs(rehearsal: Rehearsal) -> list[CloudResource]:
    """What the program made; none of it is of a kind, or has an image or a host, that the settings leave to others."""
    made = [resource for resource in rehearsal.state if resource.origin == "program"]
    kinds = {resource.kind for resource in made}
    assert not kinds & {NETWORK, SUBNETWORK, FIREWALL, ROUTER, ACCOUNT, PROJECT_SERVICE}
    assert not [kind for kind in kinds if "IAM" in kind]
    assert [image for image in chart_images.pulled(rehearsal.state) if not image.startswith(OURS)] == []
    state = json.dumps(rehearsal.export()["deployment"]["resources"])
    assert [host for host in FOREIGN if host in state] == []
    for pool in rehearsal.state.find(NODE_POOL, where=lambda one: one.origin == "program"):
        node = pool.inputs["nodeConfig"]
        assert node["serviceAccount"] == "gke-nodes@my-project.iam.gserviceaccount.com"
        assert node["bootDiskKmsKey"] == f"{KEY}/disks"
        assert node["tags"] == ["gpu-nodes"]
    for resource in made:
        labels = (resource.outputs.get("metadata") or {}).get("labels") or {}
        if resource.kind.startswith("kubernetes:") and "helm" not in resource.kind:
            assert labels.get("example.com/team") == "ml", resource
    return made


def test_the_example_deploys_with_nothing_that_its_settings_do_not_allow_and_leaves_nothing() -> None:
    with Rehearsal("prod", config=_config(EXAMPLE), secrets={"hfToken": "made-up"}) as rehearsal:
        outputs = rehearsal.up().outputs
        _require_theirs(rehearsal)
        [cluster] = rehearsal.state.find(CLUSTER)
        assert cluster.inputs["network"] == "projects/net-host/global/networks/corp"
        assert cluster.inputs["nodeConfig"]["bootDiskKmsKey"] == f"{KEY}/disks"
        assert cluster.inputs["databaseEncryption"] == {"state": "ENCRYPTED", "keyName": f"{KEY}/secrets"}
        assert outputs["firewallRules"].value
        commands = outputs["iamBindings"].value
        assert any("weights-reader@my-project" in command for command in commands), commands
        [decode] = [one for one in outputs["policyExemptions"].value if one.get("role") == "decode"]
        assert (decode["kind"], decode["namespace"]) == ("DynamoGraphDeployment", "r1-10p8d")
        assert "disallow-privileged-containers" in decode["policies"]
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()


def test_the_example_in_a_cluster_of_others_lives_in_their_namespaces_and_leaves_them_empty() -> None:
    with Rehearsal("prod", config=_config(SHARED), secrets={"hfToken": "made-up"}) as rehearsal:
        theirs = {one.id for one in rehearsal.state.find(NAMESPACE)}
        checker = InvariantChecker(rehearsal)
        checker.arm()
        rehearsal.up()
        made = _require_theirs(rehearsal)
        assert {one.id for one in rehearsal.state.find(NAMESPACE)} == theirs
        used = {one.id.partition("/")[0] for one in made if one.kind.startswith("kubernetes:") and "/" in one.id}
        assert used == {"team-serving", "team-dynamo", "team-kai", "team-dra", "team-weights", "default"}
        [pool] = [one for one in made if one.kind == NODE_POOL]
        devices = pool.inputs["networkConfig"]["additionalNodeNetworkConfigs"]
        assert [one["subnetwork"].rpartition("/")[2] for one in devices] == [
            "gpu-sub-1",
            *(f"gpu-rdma-{nic}" for nic in range(4)),
        ]
        rehearsal.up_without_change()
        rehearsal.destroy()
        checker.require("destroy")
        assert not rehearsal.state.leftovers()
        assert {one.id for one in rehearsal.state.find(NAMESPACE)} == theirs


IN_PLACE: Final[dict[str, Any]] = {
    "metadata": {"labels": {"cost-centre": "1"}, "kubernetesLabels": {"example.com/a": "b"}, "networkTags": ["t"]},
    "cluster.maintenance": {"dailyStart": "03:00", "holdUpgrades": False},
    "domains.pool": {"labels": {"example.com/a": "b"}, "upgrade": {"maxUnavailable": 18}},
    "raw": {"cluster": {"enableFqdnNetworkPolicy": True}},
}
"""Company settings that a living rack takes without losing a node or a pod."""

ROLLING: Final[dict[str, Any]] = {
    "metadata": {"podLabels": {"sidecar.istio.io/inject": "false"}},
    "domains.taints": [{"key": "dedicated", "value": "gpu", "effect": "NoExecute"}],
    "pods": {"proxy": {"url": "http://proxy.example.com:3128"}},
}
"""Those that replace pods: the graph keeps its name, and its pods roll."""


NODES: Final[dict[str, tuple[Any, str]]] = {
    "domains.pool": ({"sysctls": {"net.core.somaxconn": "4096"}, "bootDiskGb": 200}, "diskSizeGb, linuxNodeConfig"),
    "domains.nodeVersion": ("1.35.1-gke.1000000", "version"),
}
"""Those for which GKE recreates the nodes, and the fields that a preview names."""


def _with(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level keys of prod's config with these settings."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        top, _, inner = key.partition(".")
        full = f"dynamo-a4x:{top}"
        old: Any = found.get(full, stacks.config("prod").get(full))
        merged = value if not inner else [{**old[0], inner: value}] if isinstance(old, list) else {**old, inner: value}
        found[full] = merged
    return found


def _alone(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{key: value} for key, value in settings.items()]


@pytest.mark.parametrize(
    ("in_place", "rolling"),
    [
        pytest.param([IN_PLACE], [ROLLING], id="all at once"),
        pytest.param(_alone(IN_PLACE), _alone(ROLLING), id="one at a time", marks=pytest.mark.whole),
    ],
)
def test_a_living_environment_takes_each_setting_as_its_reference_says(
    in_place: Sequence[Mapping[str, Any]], rolling: Sequence[Mapping[str, Any]]
) -> None:
    with Rehearsal("prod", config={"dynamo-a4x:protect": False}) as rehearsal:
        rehearsal.up()
        moment = rehearsal.moment()
        for settings in (*in_place, *rolling):
            rolls = settings in rolling
            rehearsal.set_config(_with(settings))
            announced = [warning for warning in rehearsal.preview().warnings if "is unavailable" in warning]
            # Only frontends have the proxy, and one of them answers while the others roll.
            assert bool(announced) == (rolls and set(settings) != {"pods"}), (settings, announced)
            changed = rehearsal.up(f"with {', '.join(settings)}").changed
            replaced = {step.name for step in changed if step.op in {"replace", "create-replacement"}}
            assert not {name for name in replaced if name.endswith(("-pool", "-cluster", "-graph"))}, replaced
            # The readiness check is told the hashes of the pods: it runs again where they change.
            assert any(name.endswith("-readiness-job") for name in replaced) == rolls, (settings, replaced)
            rehearsal.up_without_change()
            rehearsal.restore(moment)
            rehearsal.set_config({full: stacks.config("prod").get(full) for full in _with(settings)})
        for key, (value, fields) in NODES.items():
            rehearsal.set_config(_with({key: value}))
            [said] = [warning for warning in rehearsal.preview().warnings if "re-creates" in warning]
            assert f"its 18 nodes for this change of {fields}, 1 at a time" in said
            rehearsal.set_config({full: stacks.config("prod").get(full) for full in _with({key: value})})
        assert not [warning for warning in rehearsal.preview().warnings if "re-creates" in warning]
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()

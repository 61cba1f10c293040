"""A graph is described once; each version of the API has a writer and a reader that lose nothing."""

from __future__ import annotations

from typing import Any

import pytest

from manifests import graph_api
from reference.dynamo import PROFILES, DynamoProfile, GraphApi
from serving_rules import layout
from tests import graphs

APIS = (graph_api.V1ALPHA1, graph_api.V1BETA1)
LARGE = "deepseek-r1-fp8-10p8d"
EVERYTHING: dict[str, Any] = {
    "worker_resources": {"requests": {"cpu": "3", "ephemeral-storage": "1Gi"}, "limits": {"memory": "5Gi"}},
    "nats_secret": "login",
    "certificates": "authorities",
    "rdma_claim_template": "nics",
    "frontend_environment": {"DYN_ROUTER_MODE": "kv"},
    "labels": {"team": "a"},
    "annotations": {"note": "b"},
    "gang": "whole",
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("version", PROFILES)
@pytest.mark.parametrize("name", layout.available())
@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_what_is_written_is_read_back(api: GraphApi, version: str, name: str, changes: dict[str, Any]) -> None:
    described = graphs.describe(name, PROFILES[version], **changes)
    read = graph_api.components(graph_api.write(described, api))
    for role, component in described.components.items():
        kept = vars(component) if api == graph_api.V1ALPHA1 else {**vars(component), "annotations": {}}
        found = {**vars(read[role])}
        assert _sorted(found) == _sorted(kept)


def _sorted(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with the main container as a set of what it says: v1alpha1 keeps no order of its keys, nor empty parts."""
    [main] = fields["pod"]["spec"]["containers"]
    resources = {kind: amounts for kind, amounts in main["resources"].items() if amounts}
    pod = {**fields["pod"], "spec": {**fields["pod"]["spec"], "containers": [{**main, "resources": resources}]}}
    return {**fields, "pod": pod}


@pytest.mark.parametrize("spec", [{}, {"services": None}, {"components": []}, {"services": {"X": None}}])
def test_a_spec_that_is_not_known_yet_is_no_error(spec: dict[str, Any]) -> None:
    assert all(not component.pod["spec"].get("volumes") for component in graph_api.components(spec).values())


def test_a_worker_of_v1beta1_says_its_role_and_its_gpus_on_the_container() -> None:
    made = graphs.spec(LARGE, PROFILES["1.2.1"])
    decode = {one["name"]: one for one in made["components"]}["Decode"]
    assert (decode["type"], decode["multinode"], decode["sharedMemorySize"]) == ("decode", {"nodeCount": 8}, "80Gi")
    [main] = decode["podTemplate"]["spec"]["containers"]
    assert (main["name"], main["resources"]["limits"]) == ("main", {"nvidia.com/gpu": "4"})


def test_a_worker_of_v1alpha1_says_them_on_the_service() -> None:
    decode = graphs.spec(LARGE, PROFILES["1.0.2"])["services"]["Decode"]
    assert (decode["componentType"], decode["subComponentType"]) == ("worker", "decode")
    assert decode["resources"]["limits"] == {"gpu": "4"}


LATER = ("priorityClassName", "minAvailable", "runtimeVersionOverride")


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_field_is_written_only_where_the_release_has_it(profile: DynamoProfile) -> None:
    """M18: a release refuses the fields of later ones."""
    made = graphs.spec(LARGE, profile, gang="whole")
    parts: list[Any] = made.get("components") or [*made["services"].values()]
    found = {field for field in LATER if field in made or any(field in one for one in parts)}
    allowed = {*(("priorityClassName", "minAvailable") if profile.min_available else ())}
    allowed |= {*(("runtimeVersionOverride",) if profile.runtime_version else ())}
    assert found == allowed


@pytest.mark.parametrize(("gang", "prefill"), [("serving", 1), ("whole", 5)])
def test_the_gang_is_what_it_takes_to_serve_or_every_worker(gang: str, prefill: int) -> None:
    """N3, N4: a rack with one dead node serves with the first; with the second nothing starts there."""
    made = graphs.describe(LARGE, PROFILES["1.5.1"], gang=gang)
    minimum = {role: one.min_available for role, one in made.components.items()}
    assert minimum == {"frontend": None, "prefill": prefill, "decode": 1}
    assert made.priority_class == "inference"


def test_images_of_sglang_run_as_root_in_their_own_folder_with_their_own_libraries() -> None:
    for version, profile in PROFILES.items():
        for privileged in (True, False):
            security = graphs.graph.Security(privileged_workers=privileged)
            main = graphs.describe(LARGE, profile, security=security).components["decode"].main
            of_sglang = version in {"1.2.1", "1.5.1"}
            assert ("workingDir" in main) is not of_sglang
            assert ('LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+' in main["args"][0]) is of_sglang
            root = main["securityContext"].get("runAsUser") == 0
            assert root is (of_sglang or not privileged)

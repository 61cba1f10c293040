"""Who the pods are, what they may do, and where their images come from: the same through every restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from manifests import graph, graph_api
from reference.dynamo import DISCOVERY_RULES, PROFILES
from reference.registry import NVCR
from tests import graphs
from tests.recorder import Recording, Resource, run_program

IMAGE_LOOKUP_OFF = "nvidia.com/disable-image-pull-secret-discovery"
"""As real operators of 0.7, 1.0, 1.2 and 1.5 read it (R5, M6): a name of the program's own would prove nothing."""
KUBERNETES_DISCOVERY = [version for version, profile in PROFILES.items() if profile.pod_rules]
ETCD_DISCOVERY = sorted(set(PROFILES) - set(KUBERNETES_DISCOVERY))


def _run(version: str, stack: str = "dev", **config: Any) -> Recording:
    return run_program(stack, config={"dynamo": {"mode": "create", "version": version}, **config})


@pytest.mark.parametrize("version", PROFILES)
def test_every_role_names_its_pull_secret_and_the_operator_looks_for_none(version: str) -> None:
    components = graphs.recorded(_run(version))
    assert set(components) == set(graph.SERVICES)
    for component in components.values():
        assert component.pod["spec"]["imagePullSecrets"] == [{"name": "nvcr-secret"}]
        # M6: from 1.2 on the annotation is read from the pods alone.
        on_pods = component.pod["metadata"]["annotations"].get(IMAGE_LOOKUP_OFF)
        on_service = component.annotations.get(IMAGE_LOOKUP_OFF)
        assert (on_service, on_pods) == ((None, "true") if version in {"1.2.1", "1.5.1"} else ("true", None))


def _pods(manifest: Mapping[str, Any]) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    """Images and spec of each pod that an object describes."""
    for component in graph_api.components(manifest.get("spec", {})).values():
        yield [component.main["image"]], component.pod["spec"]
    template = manifest.get("spec", {}).get("template", {})
    if "spec" in template:
        pod = template["spec"]
        yield [container["image"] for container in [*pod.get("initContainers", []), *pod["containers"]]], pod


@pytest.mark.parametrize("version", PROFILES)
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_pod_with_an_image_of_nvidias_registry_names_a_pull_secret_of_its_namespace(
    stack: str, version: str
) -> None:
    # A layout without DeepEP, which every release's own image serves.
    run = _run(version, stack, stacks=[{"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}])
    secrets = {
        (r.inputs["metadata"]["namespace"], r.inputs["metadata"]["name"])
        for r in run.of_type("Secret")
        if r.inputs.get("type") == "kubernetes.io/dockerconfigjson"
    }
    seen = 0
    for resource, manifest in run.manifests():
        for images, pod in _pods(manifest):
            if any(image.startswith(f"{NVCR}/") for image in images):
                seen += 1
                named = {(manifest["metadata"]["namespace"], s["name"]) for s in pod.get("imagePullSecrets", [])}
                assert named & secrets, f"{resource} pulls from {NVCR} without a secret"
    assert seen == 4, "three roles and the benchmark client"


def _discovery(run: Recording, part: str) -> Resource:
    return run.find(name=f"r1-1p1d-discovery-{part}")


@pytest.mark.parametrize("version", KUBERNETES_DISCOVERY)
def test_pods_that_discover_through_kubernetes_may_do_so_before_they_start(version: str) -> None:
    run = _run(version)
    role, binding = _discovery(run, "role").inputs, _discovery(run, "binding").inputs
    account = run.find(name="r1-1p1d-service-account").inputs["metadata"]
    assert role["rules"] == [dict(rule) for rule in DISCOVERY_RULES]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    assert binding["subjects"] == [subject]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == account["namespace"]
    assert {one.pod["spec"]["serviceAccountName"] for one in graphs.recorded(run).values()} == {account["name"]}
    assert run.depends_on_transitively(run.find("DynamoGraphDeployment"), _discovery(run, "binding"))


@pytest.mark.parametrize("version", ETCD_DISCOVERY)
def test_pods_that_discover_through_etcd_get_no_rights(version: str) -> None:
    run = _run(version)
    assert not [name for name in run.names() if "discovery" in name]


@pytest.mark.parametrize("version", PROFILES)
def test_the_bucket_is_granted_to_the_pods_account_and_to_no_namespace(version: str) -> None:
    grant = _run(version).find("gcp:storage/bucketIAMMember:BucketIAMMember", "r1-1p1d-identity-bucket-access")
    assert grant.inputs["member"].startswith("principal://iam.googleapis.com/projects/123456789012/")
    assert grant.inputs["member"].endswith("/subject/ns/r1-1p1d/sa/dynamo-serving")


@pytest.mark.parametrize("version", PROFILES)
def test_every_release_takes_the_recipes_google_service_account(version: str) -> None:
    run = _run(version, workloadIdentity="serviceAccount", projectNumber=None)
    account = run.find(name="r1-1p1d-service-account").inputs["metadata"]
    assert "iam.gke.io/gcp-service-account" in account["annotations"]
    member = run.find("gcp:serviceaccount/iAMMember:IAMMember").inputs["member"]
    assert member.endswith(f"[{account['namespace']}/{account['name']}]")

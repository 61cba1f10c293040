"""Who the pods are, what they may do, and where their images come from: the same through every restart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from manifests import graph
from reference.dynamo import DISCOVERY_RULES, IMAGE_LOOKUP_OFF, PROFILES
from reference.registry import NVCR
from tests import graphs
from tests.recorder import Recording, Resource, run_program

KUBERNETES_DISCOVERY = [version for version, profile in PROFILES.items() if profile.pod_rules]
ETCD_DISCOVERY = sorted(set(PROFILES) - set(KUBERNETES_DISCOVERY))


def _run(version: str, stack: str = "dev", **config: Any) -> Recording:
    return run_program(stack, config={"dynamo": {"mode": "create", "version": version}, **config})


def _services(recording: Recording) -> Mapping[str, Any]:
    return recording.find("DynamoGraphDeployment").inputs["spec"]["services"]


@pytest.mark.parametrize("version", PROFILES)
def test_every_role_names_its_pull_secret_and_the_operator_looks_for_none(version: str) -> None:
    services = _services(_run(version))
    assert set(services) == set(graph.SERVICES.values())
    for service in services.values():
        assert service["extraPodSpec"]["imagePullSecrets"] == [{"name": "nvcr-secret"}]
        assert service["annotations"] == {"nvidia.com/disable-image-pull-secret-discovery": "true"}


def test_a_release_that_reads_the_pod_template_finds_the_switch_there() -> None:
    profile = dataclasses.replace(PROFILES["1.0.2"], image_lookup_switch="pod")
    spec = graphs.spec("deepseek-r1-fp8-1p1d", profile)
    for service in spec["services"].values():
        assert service["extraPodMetadata"]["annotations"][IMAGE_LOOKUP_OFF] == "true"
        assert "annotations" not in service


def _pods(manifest: Mapping[str, Any]) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    """Images and spec of each pod that an object describes."""
    for service in manifest.get("spec", {}).get("services", {}).values():
        pod = service["extraPodSpec"]
        yield [pod["mainContainer"]["image"]], pod
    template = manifest.get("spec", {}).get("template", {})
    if "spec" in template:
        pod = template["spec"]
        yield [container["image"] for container in [*pod.get("initContainers", []), *pod["containers"]]], pod


@pytest.mark.parametrize("version", PROFILES)
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_pod_with_an_image_of_nvidias_registry_names_a_pull_secret_of_its_namespace(
    stack: str, version: str
) -> None:
    run = _run(version, stack)
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
    assert {s["extraPodSpec"]["serviceAccountName"] for s in _services(run).values()} == {account["name"]}
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

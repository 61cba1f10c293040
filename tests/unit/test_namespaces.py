"""Namespaces by name, and those that somebody else makes: nothing is created there but what belongs in them."""

from __future__ import annotations

from typing import Any

from reference import namespaces
from settings import parse
from tests.recorder import Recording, run_program
from tests.unit.configs import shipped

NAMESPACE = "kubernetes:core/v1:Namespace"
ADOPT: dict[str, Any] = {"dynamo": {"mode": "adopt"}, "kai": {"mode": "adopt"}, "draDriver": {"mode": "adopt"}}
STACK = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0", "namespace": "team-serving"}
BUCKET = {"mode": "adopt", "name": "models-of-mine", "download": True}


def inside(recording: Recording) -> set[str]:
    """Namespaces of the objects that are created."""
    found = {manifest.get("metadata", {}).get("namespace") for _, manifest in recording.manifests()}
    return {name for name in found if name} - {namespaces.DEFAULT}


def made(recording: Recording) -> set[str]:
    return {resource.inputs["metadata"]["name"] for resource in recording.of_type(NAMESPACE)}


def test_a_stack_and_a_part_are_in_the_namespace_that_they_are_told() -> None:
    names = {"kai": "team-kai", "draDriver": "team-dra"}
    recording = run_program("dev", config={"stacks": [STACK], "namespaces": names})
    assert made(recording) == {"team-serving", "team-kai", "team-dra", "dynamo-cloud"}
    assert {release.inputs["namespace"] for release in recording.of_type("Release")} >= {"team-kai", "team-dra"}
    outputs = str(recording.outputs)
    assert "-n team-serving" in outputs
    assert "-n r1 " not in outputs


def test_where_others_make_namespaces_none_is_created_and_all_is_in_theirs() -> None:
    given = {"create": False, "downloads": "team-weights"}
    recording = run_program("dev", config={**ADOPT, "stacks": [STACK], "namespaces": given, "modelBucket": BUCKET})
    assert made(recording) == set()
    assert {(read.type, read.id) for read in recording.reads} == {
        (NAMESPACE, "team-serving"),
        (NAMESPACE, "team-weights"),
    }
    assert inside(recording) == {"team-serving", "team-weights"}


def test_the_pods_of_a_stack_read_the_bucket_from_their_namespace() -> None:
    recording = run_program("dev", config={"stacks": [STACK], "projectNumber": "123456789012"})
    members = [grant.inputs["member"] for grant in recording.of_type("BucketIAMMember")]
    assert any("/ns/team-serving/sa/" in member for member in members)


def test_a_namespace_of_others_still_announces_what_replaces_the_stack() -> None:
    config = {**ADOPT, "stacks": [STACK], "namespaces": {"create": False}}
    recording = run_program("dev", config=config)
    own = run_program("dev", config={"stacks": [STACK]})
    placement = recording.find("kubernetes:core/v1:ConfigMap", "r1-placement")
    namespace = own.find(NAMESPACE, "r1-namespace")
    assert placement.inputs["metadata"]["annotations"] == namespace.inputs["metadata"]["annotations"]


def test_whoever_makes_the_namespaces_is_told_each() -> None:
    config = shipped("dev") | {"dynamo-a4x:namespaces": {"create": False}, "dynamo-a4x:stacks": []}
    wanted = parse(config, "dev").foreign_namespaces
    assert [one.name for one in wanted] == [
        "dynamo-cloud",
        "kai-scheduler",
        "kai-resource-reservation",
        "nvidia-dra-driver-gpu",
    ]
    commands = {one.name: told.command for one, told in zip(wanted, namespaces.prerequisites(wanted), strict=True)}
    assert "enforce=privileged" in commands["nvidia-dra-driver-gpu"]
    assert "enforce" not in commands["dynamo-cloud"]
    assert parse(shipped("dev"), "dev").foreign_namespaces == []


def test_a_teardown_waits_for_the_finalizer_that_the_barrier_s_own_pod_removes() -> None:
    recording = run_program("dev", config={"stacks": [STACK], "namespaces": {"create": False}})
    barrier = recording.find("kubernetes:apps/v1:Deployment", "r1-barrier-deployment")
    metadata = barrier.inputs["metadata"]
    assert metadata["finalizers"] == ["dynamo-a4x/teardown-barrier"]
    # In the foreground the pod would go before it could remove it.
    assert metadata["annotations"]["pulumi.com/deletionPropagationPolicy"] == "background"
    assert barrier.custom_timeouts["delete"] == "30m"
    assert barrier.inputs["spec"]["minReadySeconds"] == 10

"""A company's labels, annotations and tags reach everything that takes them, and replace nothing of the program's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pulumi_gcp
import pytest

from program.metadata import GOOGLE_LABELS
from reference import labels, pod_security
from tests.conftest import recorded
from tests.recorder import Recording, Resource, run_program

SAID: Mapping[str, Any] = {
    "labels": {"cost-centre": "4711"},
    "kubernetesLabels": {"example.com/team": "ml"},
    "annotations": {"example.com/contact": "ml@example.com"},
    "podLabels": {"sidecar.istio.io/inject": "false"},
    "podAnnotations": {"example.com/scrape": "no"},
    "namespaceLabels": {"pod-security.kubernetes.io/warn": "privileged"},
    "namespaceAnnotations": {"example.com/owner": "a b"},
    "networkTags": ["gpu-nodes"],
    "secureTags": {"tagKeys/1": "tagValues/2"},
    "ignoredNodeLabels": ["example.com/inventory"],
}
STACKS = ["dev", "prod"]
RESOURCE_LABELS = ("labels", "resourceLabels", "nodeConfig.resourceLabels")


@pytest.fixture(params=STACKS)
def labelled(request: pytest.FixtureRequest) -> Recording:
    """An environment with all of `SAID`."""
    return run_program(request.param, config={"metadata": SAID})


def own(recording: Recording) -> list[Resource]:
    """Kubernetes objects of the program, without Helm releases and patches of foreign objects."""
    return [
        resource
        for resource in recording.resources
        if resource.type.startswith("kubernetes:")
        and "helm.sh" not in resource.type
        and not resource.type.endswith("Patch")
    ]


def templates(recording: Recording) -> dict[str, Mapping[str, Any]]:
    """Metadata of every pod, by the name of its resource."""
    found: dict[str, Mapping[str, Any]] = {}
    for resource in own(recording):
        spec = resource.inputs.get("spec") or {}
        if "template" in spec:
            found[resource.name] = spec["template"]["metadata"]
        for role, service in spec.get("services", {}).items():
            found[f"{resource.name} {role}"] = service["extraPodMetadata"]
    return found


def test_every_object_and_every_pod_has_them(labelled: Recording) -> None:
    for resource in own(labelled):
        metadata = resource.inputs["metadata"]
        assert metadata["labels"]["example.com/team"] == "ml", str(resource)
        assert metadata["annotations"]["example.com/contact"] == "ml@example.com", str(resource)
        space = resource.type == "kubernetes:core/v1:Namespace"
        assert (metadata["labels"].get("pod-security.kubernetes.io/warn") == "privileged") == space
        assert ("example.com/owner" in metadata["annotations"]) == space
    pods = templates(labelled)
    assert len(pods) > 4
    for name, metadata in pods.items():
        assert metadata["labels"]["sidecar.istio.io/inject"] == "false", name
        assert metadata["annotations"]["example.com/scrape"] == "no", name


def test_nothing_of_the_program_changes_but_what_is_added(labelled: Recording) -> None:
    plain = recorded(labelled.stack)
    # The readiness check is told the hashes of the pods.
    without = {"metadata", "spec", "data", "labels", "resourceLabels", "nodeConfig", "values"}
    for resource in plain.resources:
        counterpart = labelled.find(name=resource.name)
        assert {k: v for k, v in counterpart.inputs.items() if k not in without} == {
            k: v for k, v in resource.inputs.items() if k not in without
        }
        for path in (
            "metadata.labels",
            "metadata.annotations",
            "labels",
            "resourceLabels",
            "nodeConfig.resourceLabels",
        ):
            kept = {k: v for k, v in _at(resource.inputs, path).items() if k not in SAID["namespaceLabels"]}
            assert kept.items() <= _at(counterpart.inputs, path).items()
        for path in ("spec.selector", "spec.template.spec", "spec.serviceAccountName"):
            assert _at(resource.inputs, path) == _at(counterpart.inputs, path)
        assert _without_metadata(counterpart.inputs.get("values")) == resource.inputs.get("values")


def _without_metadata(values: Any) -> Any:
    """Values of a release without what the charts of NATS and etcd take for their pods."""
    if isinstance(values, Mapping):
        taken = {"podLabels", "podAnnotations", "metadata"}
        return {key: _without_metadata(value) for key, value in values.items() if key not in taken}
    return values


def _at(inputs: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    found: Any = inputs
    for part in path.split("."):
        found = (found or {}).get(part) if isinstance(found, Mapping) else None
    return found or {}


def test_a_stacks_pods_are_known_to_have_changed(labelled: Recording) -> None:
    def hashes(recording: Recording) -> set[str]:
        key = "dynamo-a4x/pod-template"
        return {m["annotations"][key] for m in templates(recording).values() if key in m.get("annotations", {})}

    assert len(hashes(labelled)) == 3
    assert not hashes(labelled) & hashes(recorded(labelled.stack))


def test_google_resources_and_nodes_have_theirs() -> None:
    recording = run_program("prod", config={"metadata": SAID})
    for kind, path in GOOGLE_LABELS.items():
        place = path.replace("resource_labels", "resourceLabels").replace("node_config", "nodeConfig")
        for resource in recording.of_type(kind):
            assert _at(resource.inputs, place)["cost-centre"] == "4711", str(resource)
            assert _at(resource.inputs, place)["environment"] == "prod", str(resource)
    pools = recording.of_type("gcp:container/nodePool:NodePool")
    assert len(pools) == 2
    for pool in pools:
        assert pool.inputs["nodeConfig"]["tags"] == ["gpu-nodes"]
        assert pool.inputs["nodeConfig"]["resourceManagerTags"] == {"tagKeys/1": "tagValues/2"}
        assert 'nodeConfig.labels["example.com/inventory"]' in pool.ignore_changes
        assert "nodeConfig.labels" not in pool.ignore_changes


def test_no_google_resource_that_takes_labels_is_left_out() -> None:
    prod = recorded("prod")
    for kind in {resource.type for resource in prod.resources if resource.type.startswith("gcp:")}:
        module, name = kind.removeprefix("gcp:").split("/")[0], kind.rpartition(":")[2]
        class_ = getattr(getattr(pulumi_gcp, module), name)
        takes = {"labels", "resource_labels", "user_labels"} & set(inspect.signature(class_._internal_init).parameters)
        assert bool(takes) <= (kind in GOOGLE_LABELS), kind


@pytest.mark.parametrize("stack", STACKS)
def test_every_key_that_the_program_sets_is_its_own(stack: str) -> None:
    recording = recorded(stack)
    metadata = [resource.inputs["metadata"] for resource in own(recording)] + list(templates(recording).values())
    for found in metadata:
        for key in found.get("labels") or {}:
            # Standards of Pod Security are the company's, if it names any.
            own_key = key in labels.KUBERNETES_OWN or key.startswith((*labels.PREFIXES_OWN, pod_security.PREFIX))
            assert own_key, key
        for key in found.get("annotations") or {}:
            assert key in labels.ANNOTATIONS_OWN or key.startswith(labels.PREFIXES_OWN), key
    for resource in recording.resources:
        for path in RESOURCE_LABELS:
            if resource.type.startswith("gcp:"):
                assert set(_at(resource.inputs, path)) <= labels.GOOGLE_OWN

"""Patch resources in the embedded cloud, as the plugin and a real API server carry them out. One test, one rule."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from pulumi.provider.experimental import provider as sdk

from rehearsal.simulator import ApiError, CloudResource
from rehearsal.simulator.faults import NotReadyError
from rehearsal.simulator.values import Props, mapping, props_from_plain, props_to_plain
from tests.engine.driver import NAMESPACE, CheckError, Driver, kube_inputs, token, urn

CONFIG_MAP = token("v1", "ConfigMap")


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.cluster()
    return made


@dataclass
class Patch:
    """A patch resource as the engine knows it: its inputs and outputs on record."""

    cloud: Driver
    kind: str
    urn: str
    id: str
    inputs: Props
    state: Props

    def update(self, inputs: Props, *, preview: bool = False) -> None:
        news = self.cloud.check(self.kind, "p", inputs, self.inputs)
        request = sdk.UpdateRequest(
            self.urn, self.id, props_from_plain(self.state), props_from_plain(news), 0, [], preview=preview
        )
        outputs = props_to_plain(asyncio.run(self.cloud.cloud.update(request)).properties)
        if not preview:
            self.inputs, self.state = news, outputs

    def delete(self) -> None:
        request = sdk.DeleteRequest(self.urn, self.id, props_from_plain(self.state), 0)
        asyncio.run(self.cloud.cloud.delete(request))

    def read(self) -> sdk.ReadResponse:
        inputs, state = props_from_plain(self.inputs), props_from_plain(self.state)
        return asyncio.run(self.cloud.cloud.read(sdk.ReadRequest(self.urn, self.id, state, inputs)))


def patch(cloud: Driver, name: str, inputs: Props) -> Patch:
    kind = token(str(inputs["apiVersion"]), f"{inputs['kind']}Patch")
    checked = cloud.check(kind, name, inputs)
    request = sdk.CreateRequest(urn(kind, name), props_from_plain(checked), 0, preview=False)
    response = asyncio.run(cloud.cloud.create(request))
    assert response.resource_id
    return Patch(cloud, kind, request.urn, response.resource_id, checked, props_to_plain(response.properties))


def annotated(key: str, value: str = "yes", *, kind: str = "ConfigMap", name: str = "conf", **more: str) -> Props:
    inputs = kube_inputs("v1", kind, name, "default" if kind == "ConfigMap" else "")
    inputs["metadata"]["annotations"] = {key: value, **more}
    return inputs


def config_map(cloud: Driver, **annotations: str) -> CloudResource:
    inputs = kube_inputs("v1", "ConfigMap", "conf", "default", data={"a": "b"})
    inputs["metadata"]["annotations"] = annotations
    return cloud.create(CONFIG_MAP, "conf", inputs)


def annotations_of(resource: CloudResource) -> Props:
    return mapping(resource.outputs, "metadata.annotations")


def test_a_patch_adds_its_fields_and_its_end_takes_only_them_away(cloud: Driver) -> None:
    resource = config_map(cloud, mine="1")
    first, second = patch(cloud, "p", annotated("user/one")), patch(cloud, "q", annotated("user/two"))
    assert annotations_of(resource) == {"mine": "1", "user/one": "yes", "user/two": "yes"}
    first.delete()
    assert annotations_of(resource) == {"mine": "1", "user/two": "yes"}
    second.delete()
    assert annotations_of(resource) == {"mine": "1"}
    assert resource.outputs["data"] == {"a": "b"}


def test_a_patch_has_a_field_manager_of_its_own_and_keeps_it(cloud: Driver) -> None:
    config_map(cloud)
    first, second = patch(cloud, "p", annotated("user/one")), patch(cloud, "q", annotated("user/two"))
    managers = [first.state["__fieldManager"], second.state["__fieldManager"]]
    assert managers[0] != managers[1]
    first.update(annotated("user/one", "no"))
    assert first.state["__fieldManager"] == managers[0]


def test_a_field_that_a_patch_no_longer_names_goes(cloud: Driver) -> None:
    resource = config_map(cloud)
    made = patch(cloud, "p", annotated("one"))
    made.update(annotated("two"))
    assert annotations_of(resource) == {"two": "yes"}


def test_a_preview_of_a_changed_patch_changes_nothing(cloud: Driver) -> None:
    resource = config_map(cloud)
    patch(cloud, "p", annotated("one")).update(annotated("two"), preview=True)
    assert annotations_of(resource) == {"one": "yes"}


def test_another_managers_field_is_a_conflict_and_the_same_value_is_none(cloud: Driver) -> None:
    resource = config_map(cloud, mine="1")
    patch(cloud, "p", annotated("shared", "1"))
    patch(cloud, "q", annotated("shared", "1")).delete()
    assert annotations_of(resource) == {"mine": "1", "shared": "1"}
    with pytest.raises(
        ApiError, match=r'1 conflict: conflict with "pulumi-kubernetes-.*": .metadata.annotations.shared'
    ):
        patch(cloud, "q", annotated("shared", "2"))
    with pytest.raises(ApiError, match=r'conflict with "pulumi-kubernetes": .metadata.annotations.mine'):
        patch(cloud, "q", annotated("mine", "2"))


def test_a_forced_patch_takes_the_field_and_its_end_removes_it(cloud: Driver) -> None:
    resource = config_map(cloud, mine="1")
    force = {"pulumi.com/patchForce": "true"}
    forced = patch(cloud, "p", annotated("mine", "2", **force))
    assert annotations_of(resource)["mine"] == "2"
    with pytest.raises(ApiError, match="conflict"):
        cloud.update(resource, {**resource.inputs, "data": {"a": "c"}})
    forced.delete()
    assert annotations_of(resource) == {}


def test_an_update_by_the_maker_keeps_what_patches_added(cloud: Driver) -> None:
    made = cloud.namespace("guard")
    patch(cloud, "p", annotated("user/one", kind="Namespace", name="guard"))
    inputs = kube_inputs("v1", "Namespace", "guard")
    inputs["metadata"]["labels"] = {"a": "b"}
    assert not cloud.diff(made, kube_inputs("v1", "Namespace", "guard")).changes
    cloud.update(made, inputs)
    assert annotations_of(made) == {"user/one": "yes"}
    assert mapping(made.outputs, "metadata.labels") == {"a": "b"}


def test_the_makers_read_finds_no_drift_in_what_patches_added(cloud: Driver) -> None:
    made = cloud.namespace("guard")
    patch(cloud, "p", annotated("user/one", kind="Namespace", name="guard"))
    assert props_to_plain(cloud.read(NAMESPACE, "guard").inputs or {}) == made.inputs


def test_a_patch_of_an_absent_object_makes_it_and_its_end_leaves_it(cloud: Driver) -> None:
    made = patch(cloud, "p", annotated("user/one"))
    resource = cloud.state.get(CONFIG_MAP, "default/conf", cloud.state.find("gcp:container/cluster:Cluster")[0].id)
    assert resource is not None
    assert resource in cloud.state.leftovers()
    made.delete()
    assert cloud.state.get(resource.kind, resource.id, resource.scope) is resource
    assert annotations_of(resource) == {}


def test_the_end_of_a_patch_makes_what_went_before_it(cloud: Driver) -> None:
    resource = cloud.namespace("guard")
    made = patch(cloud, "p", annotated("user/one", kind="Namespace", name="guard"))
    cloud.delete(resource)
    made.delete()
    assert [t.id for t in cloud.state.leftovers() if t.kind == NAMESPACE] == ["guard"]


def test_the_end_of_a_patch_fails_in_a_namespace_that_went_before_it(cloud: Driver) -> None:
    namespace = cloud.namespace("guard")
    inputs = kube_inputs("v1", "ConfigMap", "conf", "guard")
    made = patch(cloud, "p", inputs)
    cloud.delete(namespace)
    with pytest.raises(ApiError, match='namespaces "guard" not found'):
        made.delete()


def test_a_patch_of_an_object_that_went_is_gone_after_a_refresh_and_cannot_be_changed(cloud: Driver) -> None:
    resource = config_map(cloud)
    made = patch(cloud, "p", annotated("one"))
    assert props_to_plain(made.read().inputs or {}) == made.inputs
    cloud.delete(resource)
    assert not made.read().resource_id
    with pytest.raises(ApiError, match='configmaps "conf" not found'):
        made.update(annotated("two"))


def test_a_patch_that_would_make_half_an_object_is_refused(cloud: Driver) -> None:
    inputs = kube_inputs("v1", "PersistentVolume", "disk")
    inputs["spec"] = {"persistentVolumeReclaimPolicy": "often", "nonsense": 1}
    with pytest.raises(CheckError, match="nonsense"):
        patch(cloud, "p", inputs)


def test_a_patch_needs_a_name_and_server_side_apply(cloud: Driver) -> None:
    kind = token("v1", "ConfigMapPatch")
    with pytest.raises(ApiError, match=r"require the `\.metadata\.name` field"):
        cloud.check(kind, "p", {"apiVersion": "v1", "kind": "ConfigMap"})
    config: dict[str, Any] = cloud.cloud.kubernetes.clients[""]
    cloud.cloud.kubernetes.configure("", {**config, "enableServerSideApply": False})
    with pytest.raises(ApiError, match="require Server-Side Apply mode"):
        cloud.check(kind, "p", annotated("one"))


def test_a_changed_patch_is_updated_in_place_and_another_target_is_another_patch(cloud: Driver) -> None:
    config_map(cloud)
    made = patch(cloud, "p", kube_inputs("v1", "ConfigMap", "conf", "default", data={"more": "1"}))
    record = CloudResource(made.kind, "", made.id, made.inputs, made.state, urn=made.urn)
    assert not cloud.diff(record, {**made.inputs, "data": {"more": "2"}}).replaces
    assert cloud.diff(record, {**made.inputs, "metadata": {"name": "other", "namespace": "default"}}).replaces


def test_a_custom_kind_is_patched_once_its_definition_is_there() -> None:
    cloud = Driver()
    cloud.platform()
    queues = "queues.scheduling.run.ai"
    definition = cloud.state.find(where=lambda resource: resource.id == queues)[0]
    cloud.state.remove(definition.key)
    inputs = kube_inputs("scheduling.run.ai/v2", "Queue", "root")
    inputs["metadata"]["annotations"] = {"one": "yes"}
    with pytest.raises(ApiError, match="no matches for kind"):
        patch(cloud, "p", inputs)
    cloud.state.add(definition)
    patch(cloud, "p", inputs)
    resource = next(t for t in cloud.state if t.id == "root")
    assert annotations_of(resource) == {"one": "yes"}


@pytest.mark.parametrize("wanted", ["condition=Ready", "jsonpath={.status.phase}=Gone", '["jsonpath={.status.no}"]'])
def test_a_patch_waits_for_what_its_annotation_names(cloud: Driver, wanted: str) -> None:
    cloud.namespace("guard")
    with pytest.raises(NotReadyError, match="timed out waiting") as caught:
        patch(cloud, "p", annotated("pulumi.com/waitFor", wanted, kind="Namespace", name="guard"))
    assert (caught.value.id, bool(caught.value.outputs)) == ("guard", True)


def test_a_patch_ends_when_what_it_waits_for_is_true(cloud: Driver) -> None:
    resource = cloud.namespace("guard")
    resource.outputs["status"] = {"phase": "Active", "conditions": [{"type": "Ready", "status": "True"}]}
    wanted = '["jsonpath={.status.phase}=Active", "condition=Ready"]'
    patch(cloud, "p", annotated("pulumi.com/waitFor", wanted, kind="Namespace", name="guard"))

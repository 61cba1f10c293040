"""Every Kubernetes object that the program makes is one that its API server knows, field by field."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from manifests import graph_api
from manifests.graph_api import V1BETA1
from reference.dynamo import PROFILES, GraphApi
from rehearsal.simulator.workloads import graphs as simulated
from serving_rules import layout
from tests import graphs
from tests.conformance import schemas
from tests.conftest import STACKS, recorded
from tests.recorder import Recording, run_program

pytestmark = pytest.mark.conformance


@pytest.fixture(params=schemas.KUBERNETES)
def kubernetes(request: pytest.FixtureRequest) -> str:
    """Each supported release of Kubernetes."""
    return request.param


def wrong(recording: Recording, kubernetes: str, *, builtin: bool, dynamo: str = "0.7.0") -> list[str]:
    return [
        f"{resource}: {problem}"
        for resource, manifest in recording.manifests()
        if schemas.is_builtin(manifest) is builtin
        for problem in schemas.problems(manifest, kubernetes, patch=resource.type.endswith("Patch"), dynamo=dynamo)
    ]


def test_every_builtin_object_fits_its_schema(deployed: Recording, kubernetes: str) -> None:
    found = wrong(deployed, kubernetes, builtin=True)
    assert not found, "\n".join(found)


def test_every_custom_object_fits_its_definition(deployed: Recording) -> None:
    found = wrong(deployed, schemas.KUBERNETES[0], builtin=False)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("version", PROFILES)
def test_every_custom_object_fits_the_definition_of_its_dynamo(version: str) -> None:
    recording = run_program("dev", config={"dynamo": {"mode": "create", "version": version}})
    found = wrong(recording, "1.34", builtin=False, dynamo=version)
    assert not found, "\n".join(found)
    assert recording.find("DynamoGraphDeployment").inputs["apiVersion"] == PROFILES[version].graph_api


def graph_of(name: str, version: str, api: GraphApi | None = None) -> dict[str, Any]:
    """A layout's graph in the API version of a release, or in another one."""
    profile = PROFILES[version]
    described = graphs.describe(name, profile, frontend_nodes="system", service_account="account")
    api = api or profile.graph_api
    metadata = {"name": "r1-abcd", "namespace": "r1"}
    spec = graph_api.write(described, api)
    return {"apiVersion": api, "kind": "DynamoGraphDeployment", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("version", PROFILES)
@pytest.mark.parametrize("name", layout.available())
def test_every_graph_fits_the_definition_of_its_dynamo(name: str, version: str) -> None:
    assert schemas.problems(graph_of(name, version), "1.34", dynamo=version) == []


@pytest.mark.parametrize("version", [version for version in PROFILES if PROFILES[version].graph_api == V1BETA1])
@pytest.mark.parametrize("name", layout.available())
def test_a_graph_says_the_same_in_both_versions(name: str, version: str) -> None:
    """The first one, too, is what this release takes, and the embedded cloud reads the same from both."""
    first, second = (graph_of(name, version, api) for api in (graph_api.V1ALPHA1, V1BETA1))
    assert schemas.problems(first, "1.34", dynamo=version) == []
    assert simulated.roles(first) == simulated.roles(second)
    assert simulated.gang_priority(first) == simulated.gang_priority(second)


def test_the_kinds_that_serving_stands_on_are_among_the_objects(deployed: Recording) -> None:
    kinds = {schemas.kind_of(manifest)[1] for _, manifest in deployed.manifests()}
    assert {"Namespace", "Secret", "ConfigMap", "Service", "ServiceAccount"} <= kinds
    assert {"DynamoGraphDeployment", "Queue"} <= kinds
    assert all(None not in schemas.kind_of(manifest) for _, manifest in deployed.manifests())


# --- negative controls: what is wrong is refused ----------------------------------------------------------------------


def one_of_each_kind() -> dict[schemas.Kind, dict[str, Any]]:
    """The largest object of every kind that either environment makes."""
    found: dict[schemas.Kind, dict[str, Any]] = {}
    for stack in STACKS:
        for _, manifest in recorded(stack).manifests():
            kind = schemas.kind_of(manifest)
            if len(str(manifest)) > len(str(found.get(kind, ""))):
                found[kind] = manifest
    return found


Path = tuple[str | int, ...]


def places(value: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value within an object, with its path."""
    yield at, value
    inner: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, Mapping):
        inner = iter(value.items())
    elif isinstance(value, list):
        inner = iter(enumerate(value))
    for key, child in inner:
        yield from places(child, (*at, key))


def planted(manifest: dict[str, Any], at: Path, value: Any) -> dict[str, Any]:
    """A copy of `manifest` with `value` at that path."""
    spoiled = copy.deepcopy(manifest)
    target: Any = spoiled
    for key in at[:-1]:
        target = target[key]
    target[at[-1]] = value
    return spoiled


def unnoticed(manifest: dict[str, Any], dynamo: str = "0.7.0") -> list[str]:
    """Places of `manifest` where a foreign field, or a value of a wrong type, is taken without a word."""
    nonsense = [[{}]]
    passed: list[str] = []
    for at, value in places(manifest):
        path = ".".join(map(str, at))
        if isinstance(value, Mapping):
            spoiled = planted(manifest, (*at, "plantedField"), nonsense)
            if not schemas.problems(spoiled, schemas.KUBERNETES[0], dynamo=dynamo):
                passed.append(f"{path}.plantedField")
        elif (
            at
            and not isinstance(value, list)
            and at[0] not in {"kind", "apiVersion"}
            and not schemas.problems(planted(manifest, at, nonsense), schemas.KUBERNETES[0], dynamo=dynamo)
        ):
            passed.append(path)
    return passed


def test_nothing_can_be_planted_into_a_builtin_object() -> None:
    objects = [m for m in one_of_each_kind().values() if schemas.is_builtin(m)]
    assert objects
    assert [(schemas.kind_of(m), p) for m in objects for p in unnoticed(m)] == []


def test_nothing_can_be_planted_into_a_custom_object() -> None:
    objects = [m for m in one_of_each_kind().values() if not schemas.is_builtin(m)]
    assert objects
    assert [(schemas.kind_of(m), p) for m in objects for p in unnoticed(m)] == []


@pytest.mark.parametrize("version", PROFILES)
def test_nothing_can_be_planted_into_a_graph_of_any_release(version: str) -> None:
    assert unnoticed(graph_of("deepseek-r1-fp8-10p8d", version), version) == []


def test_a_kind_that_nobody_serves_is_refused() -> None:
    unknown = {"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "x"}}
    assert schemas.problems(unknown, "1.34") == [
        'kind: no matches for kind "Nonsense" in version "v1" (Kubernetes 1.34)'
    ]


def test_a_kind_that_a_release_no_longer_serves_is_refused() -> None:
    old = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}}
    assert schemas.problems(old, "1.34")

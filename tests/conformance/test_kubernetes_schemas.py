"""Every Kubernetes object that the program makes is one that its API server knows, field by field."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

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


def test_every_custom_object_of_the_newer_dynamo_fits_its_definition() -> None:
    found = wrong(
        run_program("dev", config={"dynamo": {"mode": "create", "version": "1.0.1"}}),
        "1.34",
        builtin=False,
        dynamo="1.0.1",
    )
    assert not found, "\n".join(found)


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


def unnoticed(manifest: dict[str, Any]) -> list[str]:
    """Places of `manifest` where a foreign field, or a value of a wrong type, is taken without a word."""
    nonsense = [[{}]]
    passed: list[str] = []
    for at, value in places(manifest):
        path = ".".join(map(str, at))
        if isinstance(value, Mapping):
            if not schemas.problems(planted(manifest, (*at, "plantedField"), nonsense), schemas.KUBERNETES[0]):
                passed.append(f"{path}.plantedField")
        elif (
            at
            and not isinstance(value, list)
            and at[0] not in {"kind", "apiVersion"}
            and not schemas.problems(planted(manifest, at, nonsense), schemas.KUBERNETES[0])
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


def test_a_kind_that_nobody_serves_is_refused() -> None:
    unknown = {"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "x"}}
    assert schemas.problems(unknown, "1.34") == [
        'kind: no matches for kind "Nonsense" in version "v1" (Kubernetes 1.34)'
    ]


def test_a_kind_that_a_release_no_longer_serves_is_refused() -> None:
    old = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}}
    assert schemas.problems(old, "1.34")

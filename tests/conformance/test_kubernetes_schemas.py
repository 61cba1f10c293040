"""Every Kubernetes object that the program makes is one that its API server knows, field by field."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.conformance import schemas
from tests.conftest import STACKS, recorded
from tests.recorder import Recording

pytestmark = pytest.mark.conformance

needs_crds = pytest.mark.skipif(bool(schemas.MISSING_CRDS), reason=schemas.MISSING_CRDS)


@pytest.fixture(params=schemas.KUBERNETES)
def kubernetes(request: pytest.FixtureRequest) -> str:
    """Each supported release of Kubernetes."""
    return request.param


def wrong(recording: Recording, kubernetes: str, *, builtin: bool) -> list[str]:
    return [
        f"{resource}: {problem}"
        for resource, manifest in recording.manifests()
        if schemas.is_builtin(manifest) is builtin
        for problem in schemas.problems(manifest, kubernetes, patch=resource.type.endswith("Patch"))
    ]


def test_every_builtin_object_fits_its_schema(deployed: Recording, kubernetes: str) -> None:
    found = wrong(deployed, kubernetes, builtin=True)
    assert not found, "\n".join(found)


@needs_crds
def test_every_custom_object_fits_its_definition(deployed: Recording) -> None:
    found = wrong(deployed, schemas.KUBERNETES[0], builtin=False)
    assert not found, "\n".join(found)


def test_the_kinds_that_serving_stands_on_are_among_the_objects(deployed: Recording) -> None:
    kinds = {schemas.kind_of(manifest)[1] for _, manifest in deployed.manifests()}
    assert {"Namespace", "Secret", "ConfigMap", "Service", "ServiceAccount"} <= kinds
    assert {"DynamoGraphDeployment", "Queue"} <= kinds
    assert all(None not in schemas.kind_of(manifest) for _, manifest in deployed.manifests())


# --- twins: what is wrong is refused ----------------------------------------------------------------------


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


@needs_crds
def test_nothing_can_be_planted_into_a_custom_object() -> None:
    objects = [m for m in one_of_each_kind().values() if not schemas.is_builtin(m)]
    assert objects
    assert [(schemas.kind_of(m), p) for m in objects for p in unnoticed(m)] == []


def test_a_kind_that_nobody_serves_is_refused() -> None:
    unknown = {"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "x"}}
    assert schemas.problems(unknown, "1.34") == ["no schema for Nonsense of v1 at Kubernetes 1.34"]


def test_a_kind_that_a_release_no_longer_serves_is_refused() -> None:
    old = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}}
    assert schemas.problems(old, "1.34")


DEFINITION: Mapping[str, Any] = {
    "spec": {
        "group": "example.test",
        "names": {"kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["port"],
                                "properties": {
                                    "port": {
                                        "anyOf": [{"type": "integer"}, {"type": "string"}],
                                        "x-kubernetes-int-or-string": True,
                                    },
                                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                                    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "empty": {"type": "object"},
                                    "maybe": {"type": "string", "nullable": True},
                                    "list": {
                                        "type": "array",
                                        "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
                                    },
                                    "mode": {"type": "string", "enum": ["a", "b"]},
                                },
                            }
                        },
                    }
                },
            },
            {"name": "v0", "served": False, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    }
}


def thing_errors(spec: Mapping[str, Any]) -> list[str]:
    [(kind, validator)] = schemas.validators(DEFINITION)
    assert kind == ("example.test/v1", "Thing")
    manifest = {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "x"}, "spec": spec}
    return [e.message for e in validator.iter_errors(manifest)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"port": "http"},
        {"labels": {"any": "text"}},
        {"open": {"any": [1]}},
        {"maybe": None},
        {"list": [{"n": 1}, {}]},
        {"mode": "b"},
    ],
)
def test_a_custom_object_within_its_definition_is_taken(fields: dict[str, Any]) -> None:
    assert thing_errors({"port": 80, **fields}) == []


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"port": 1.5},
        {"port": 80, "unknown": 1},
        {"port": 80, "labels": {"any": 1}},
        {"port": 80, "list": [{"m": 1}]},
        {"port": 80, "list": [{"n": "1"}]},
        {"port": 80, "empty": {"m": 1}},
        {"port": 80, "mode": "c"},
        {"port": 80, "mode": None},
    ],
)
def test_a_custom_object_beyond_its_definition_is_refused(spec: dict[str, Any]) -> None:
    assert thing_errors(spec)

"""The catalogs of custom kinds are what their tool makes of the definitions, and as strict as it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rehearsal.simulator.kubernetes.custom_kinds import kinds
from tools import catalog_file, custom_kinds

VERSIONS = ("0.7.0", "1.0.2", "1.2.1", "1.5.1")
CATALOGS = sorted(custom_kinds.CATALOG.glob("*.json"))
OPEN = {name: {"config"} for name in ("dynamo-1.0.1", "dynamo-1.2-near", "dynamo-1.5-2026-08")}
"""Types that a definition itself leaves open: the settings of an endpoint picker, which the program has none of."""


def _types(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))["types"]


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_a_catalog_is_as_its_tool_writes_it(path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    made = json.loads(written)
    assert catalog_file.text(made) == written
    assert {name.removesuffix(".yaml") for name in made["header"]} == set(custom_kinds.RELEASES[path.stem])


def test_every_catalog_is_one_that_the_embedded_cloud_reads() -> None:
    assert {path.stem for path in CATALOGS} == set(custom_kinds.RELEASES)
    known = {f"{api}/{kind}" for version in VERSIONS for api, kind in kinds(version)}
    assert known == {name for path in CATALOGS for name in json.loads(path.read_text(encoding="utf-8"))["kinds"]}


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_no_type_of_a_catalog_takes_a_field_that_it_does_not_name(path: Path) -> None:
    open_ones = {name for name, form in _types(path).items() if form.get("additionalProperties") is not False}
    assert open_ones == OPEN.get(path.stem, set())


def test_a_form_that_is_there_twice_is_written_once_and_its_name_is_the_only_one(tmp_path: Path) -> None:
    port = {"type": "object", "properties": {"port": {"type": "integer"}}}
    probe = {"type": "object", "properties": {"get": port, "tcp": port}}
    other = {"type": "object", "properties": {"get": {"type": "object", "properties": {"path": {"type": "string"}}}}}
    spec = {"type": "object", "properties": {"live": probe, "other": other}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    names = {"kind": "Thing"}
    definition = {"group": "g", "scope": "Cluster", "names": names, "versions": [{"name": "v1", "schema": schema}]}
    (tmp_path / "things.yaml").write_text(json.dumps({"spec": definition}), encoding="utf-8")
    made = custom_kinds.catalog(tmp_path, ["things"])
    assert made["kinds"] == {"g/v1/Thing": {"namespaced": False, "spec": {"$ref": "#/types/Thing"}}}
    assert set(made["types"]) == {"Thing", "live", "other", "live.get", "other.get"}
    assert made["types"]["live"]["properties"] == {key: {"$ref": "#/types/live.get"} for key in ("get", "tcp")}


# --- negative controls: what the tool makes of a definition -----------------------------------------------------------


DEFINITION: Mapping[str, Any] = {
    "spec": {
        "group": "example.test",
        "scope": "Namespaced",
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
    [(name, kind)] = custom_kinds.kinds(DEFINITION)
    assert name == "example.test/v1/Thing"
    assert kind["namespaced"]
    return [e.message for e in Draft202012Validator(kind["spec"]).iter_errors(spec)]


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

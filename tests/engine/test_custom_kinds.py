"""The schemas that we wrote of custom kinds say nothing that the real CRDs do not say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.cloud import custom_kinds
from rehearsal.cloud.kubernetes_schema import Schemas, schemas
from rehearsal.run import ROOT

FOLDER = Path(os.environ.get("DYNAMO_A4X_CRDS") or ROOT.parent / "shared" / "reference" / "crds")
FILES = {
    custom_kinds.DGD: "dynamo-0.7.0/nvidia.com_dynamographdeployments.yaml",
    custom_kinds.COMPUTE_DOMAIN: "dra-driver-25.12.0/resource.nvidia.com_computedomains.yaml",
    custom_kinds.QUEUE: "kai-0.17.0/scheduling.run.ai_queues.yaml",
    custom_kinds.SHARD: "kai-0.17.0/kai.scheduler_schedulingshards.yaml",
    custom_kinds.KAI_CONFIG: "kai-0.17.0/kai.scheduler_configs.yaml",
    custom_kinds.DEVICE_NETWORK: "gke/networking.gke.io_networks.yaml",
    custom_kinds.PARAM_SET: "gke/networking.gke.io_gkenetworkparamsets.yaml",
}
CASES = [(kind, "0.7.0", file) for kind, file in FILES.items()]
CASES.append((custom_kinds.DGD, "1.0.1", "dynamo-1.0.1/nvidia.com_dynamographdeployments.yaml"))
POD_DEPTH = 6
"""From here on fields are a pod's own, whose limits are those of Kubernetes."""
RULES = ("enum", "minimum", "maximum", "maxItems", "minItems", "maxProperties")


@pytest.mark.conformance
@pytest.mark.parametrize("kubernetes", ["1.34", "1.35"])
@pytest.mark.parametrize(("kind", "dynamo", "file"), CASES, ids=[f"{c[0][1]}-{c[1]}" for c in CASES])
def test_every_field_of_our_schema_is_a_field_of_the_real_crd(
    kind: tuple[str, str], dynamo: str, file: str, kubernetes: str
) -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"no CRDs at {FOLDER}; name their folder with DYNAMO_A4X_CRDS")
    known = schemas(kubernetes, dynamo)
    ours = known.schema(*kind)
    assert ours is not None
    document = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))
    group, version = kind[0].split("/")
    assert document["spec"]["group"] == group
    namespaced = document["spec"]["scope"] == "Namespaced"
    assert known.namespaced(*kind) == namespaced
    real = next(v for v in document["spec"]["versions"] if v["name"] == version)["schema"]["openAPIV3Schema"]
    problems = list(compare(known, ours["properties"]["spec"], real["properties"]["spec"], "spec"))
    assert not problems, "\n".join(problems)


def compare(known: Schemas, ours: Any, real: Any, path: str) -> Iterator[str]:
    """Where our schema allows a field that the real one lacks, asks for less, or has another type."""
    ours = known.resolve(ours)
    if real.get("x-kubernetes-int-or-string"):
        if "string" not in types(ours) or not types(ours) & {"number", "integer"}:
            yield f"{path}: ours is {types(ours)}, theirs takes numbers and texts"
        return
    if real.get("type") not in types(ours):
        yield f"{path}: ours is {types(ours)}, theirs {real.get('type')}"
        return
    if path.count(".") < POD_DEPTH:
        for rule in RULES:
            if real.get(rule) != ours.get(rule) and not (rule == "minimum" and rule in ours):
                yield f"{path}: {rule} is {ours.get(rule)}, theirs {real.get(rule)}"
    for name in set(real.get("required", [])) - set(ours.get("required", [])):
        yield f"{path}: {name} is required there"
    yield from compare_inside(known, ours, real, path)


def compare_inside(known: Schemas, ours: Any, real: Any, path: str) -> Iterator[str]:
    """As `compare`, for fields and elements."""
    for name, inner in ours.get("properties", {}).items():
        if name in real.get("properties", {}):
            yield from compare(known, inner, real["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name}: there is no such field"
    for key in ("items", "additionalProperties"):
        if isinstance(ours.get(key), dict) and isinstance(real.get(key), dict):
            yield from compare(known, ours[key], real[key], f"{path}[]")
        elif isinstance(ours.get(key), dict):
            yield f"{path}: {key} has no schema there"


def types(schema: Any) -> set[str]:
    """The JSON types that a schema allows, without null."""
    if "oneOf" in schema:
        return {name for option in schema["oneOf"] for name in types(option)}
    named = schema.get("type", [])
    found = {named} if isinstance(named, str) else set(named)
    return found - {"null"}


@pytest.mark.parametrize("kind", list(FILES), ids=[kind[1] for kind in FILES])
def test_our_schemas_allow_no_unknown_field_anywhere(kind: tuple[str, str]) -> None:
    known = schemas("1.34", "0.7.0")
    seen: set[int] = set()

    def walk(schema: Any, path: str) -> None:
        schema = known.resolve(schema)
        if id(schema) in seen:
            return
        seen.add(id(schema))
        if schema.get("properties"):
            assert schema.get("additionalProperties") is False, path
        for name, inner in schema.get("properties", {}).items():
            if (path, name) != ("", "metadata"):
                walk(inner, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                walk(schema[key], f"{path}[]")

    walk(known.schema(*kind), "")


@pytest.mark.parametrize("version", ["1.34", "1.35"])
def test_both_kubernetes_versions_of_the_window_have_schemas(version: str) -> None:
    assert schemas(version).knows("apps/v1", "DaemonSet")


def test_a_kubernetes_version_without_schemas_is_named() -> None:
    with pytest.raises(ValueError, match=r"no schemas of Kubernetes 1\.99"):
        Schemas("1.99")

"""Validators for Kubernetes objects: built-in kinds by release, custom kinds by their CustomResourceDefinition.

Stricter than an API server on purpose: a field that the schema does not know is refused, where the server would
drop it in silence. Weaker in one thing: CEL rules (`x-kubernetes-validations`) are not evaluated; the embedded
cloud of the rehearsal holds those that matter here.

`kubernetes_validate.validate` reads its files anew on each call, so only its data files are used, through
validators that are built once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.recorder import ROOT

KUBERNETES = ("1.34", "1.35")
"""Releases that the program supports with its default Dynamo profile."""

CRDS_VARIABLE = "DYNAMO_A4X_CRDS"
CRDS = Path(os.environ.get(CRDS_VARIABLE) or ROOT / ".." / "shared" / "reference" / "crds").resolve()
"""Folder with one folder of CustomResourceDefinitions per project and release."""

CRD_FOLDERS = ("dynamo-0.7.0", "dra-driver-25.12.0", "kai-0.17.0", "gke")
"""The releases that the program installs, or that GKE brings."""

MISSING_CRDS = next(
    (
        f"no CustomResourceDefinitions in {CRDS / folder}; set {CRDS_VARIABLE} to a folder with {CRD_FOLDERS}"
        for folder in CRD_FOLDERS
        if not (CRDS / folder).is_dir()
    ),
    "",
)
"""Why custom kinds cannot be validated on this machine; empty when they can."""

Kind = tuple[str, str]
"""(apiVersion, kind)."""


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of an object."""
    return str(manifest.get("apiVersion")), str(manifest.get("kind"))


def is_builtin(manifest: Mapping[str, Any]) -> bool:
    """Whether the kind ships with Kubernetes itself: no API group, a plain one, or one below k8s.io."""
    group, _, version = kind_of(manifest)[0].rpartition("/")
    return bool(version) and ("." not in group or group.endswith(".k8s.io"))


# --- built-in kinds ---------------------------------------------------------------------------------------


def _folder(kubernetes: str) -> Traversable:
    return files("kubernetes_validate") / "kubernetes-json-schema" / f"v{kubernetes}.0-local-strict"


@cache
def _definitions(kubernetes: str) -> Registry[Any]:
    name = "_definitions.json"
    document = json.loads((_folder(kubernetes) / name).read_text(encoding="utf-8"))
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    return Registry[Any]().with_resource(name, resource).crawl()


@cache
def builtin(kind: Kind, kubernetes: str) -> Draft202012Validator | None:
    """Strict validator of a built-in kind at a release, or None when that release does not serve it."""
    version = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", kind[0])
    file = _folder(kubernetes) / f"{kind[1].lower()}-{version}.json"
    if not file.is_file():
        return None
    schema = json.loads(file.read_text(encoding="utf-8"))
    return Draft202012Validator(schema, registry=_definitions(kubernetes))


@cache
def _object_meta() -> Draft202012Validator:
    reference = {"$ref": "_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    return Draft202012Validator(reference, registry=_definitions(KUBERNETES[0]))


# --- custom kinds -----------------------------------------------------------------------------------------


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A CRD's structural schema as a JSON schema that refuses fields it does not know.

    Open stays what the CRD opens: maps, and `x-kubernetes-preserve-unknown-fields`. Inside of anyOf, allOf, oneOf and
    not, a structural schema only constrains values, so nothing is closed there.
    """
    closed = _bounded(schema)
    if "properties" in schema:
        closed["properties"] = {name: strict(inner) for name, inner in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed.setdefault("additionalProperties", False)
        if schema.get("x-kubernetes-embedded-resource"):
            closed["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
    elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    if isinstance(schema.get("additionalProperties"), Mapping):
        closed["additionalProperties"] = strict(schema["additionalProperties"])
    if isinstance(schema.get("items"), Mapping):
        closed["items"] = strict(schema["items"])
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
        closed.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    elif schema.get("nullable") and isinstance(schema.get("type"), str):
        closed["type"] = [schema["type"], "null"]
    return closed


def _bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An exclusive bound is a flag beside the bound in OpenAPI 3.0, and the bound itself in JSON schema."""
    bounded = dict(schema)
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if isinstance(bounded.get(exclusive), bool):
            bounded |= {exclusive: bounded.pop(bound)} if bounded.pop(exclusive) else {}
    return bounded


def validators(definition: Mapping[str, Any]) -> Iterator[tuple[Kind, Draft202012Validator]]:
    """One validator for each served version of a CustomResourceDefinition."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if version.get("served", True):
            schema = strict(version["schema"]["openAPIV3Schema"])
            # Object metadata is an empty object in every CRD: the server brings its schema by itself.
            metadata = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
            schema["properties"] = {**schema.get("properties", {}), **metadata}
            schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
            yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), Draft202012Validator(schema)


@cache
def custom() -> Mapping[Kind, Draft202012Validator]:
    """Strict validators of every custom kind in the folders of `CRD_FOLDERS`."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[Kind, Draft202012Validator] = {}
    for folder in CRD_FOLDERS:
        for file in sorted((CRDS / folder).glob("*.yaml")):
            for document in yaml.load_all(file.read_text(encoding="utf-8"), loader):
                if isinstance(document, Mapping) and document.get("kind") == "CustomResourceDefinition":
                    found |= validators(document)
    return found


# --- validating -------------------------------------------------------------------------------------------


def problems(manifest: Mapping[str, Any], kubernetes: str, *, patch: bool = False) -> list[str]:
    """What keeps an API server of release `kubernetes` from taking `manifest` whole; empty when nothing does.

    Args:
        manifest: the object.
        kubernetes: minor release, such as `1.34`.
        patch: a patch may leave out required fields.
    """
    kind = kind_of(manifest)
    validator = builtin(kind, kubernetes) if is_builtin(manifest) else custom().get(kind)
    if validator is None:
        return [f"no schema for {kind[1]} of {kind[0]} at Kubernetes {kubernetes}"]
    errors = list(validator.iter_errors(manifest))
    if not is_builtin(manifest):
        errors += _object_meta().iter_errors(manifest.get("metadata", {}))
    return [_told(e) for e in errors if not (patch and e.validator == "required")]


def _told(error: ValidationError) -> str:
    at = ".".join(str(part) for part in error.absolute_path) or "(top)"
    message = error.message if len(error.message) < 300 else f"{error.message[:300]}..."
    return f"{at}: {message}"

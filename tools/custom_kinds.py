"""Generates the catalogs of custom kinds in rehearsal/simulator/catalog/ from CustomResourceDefinitions.

A catalog has the fields of the kinds that the program creates, as strict JSON schemas: types, required fields, limits
and choices; other fields are rejected unless the definition allows them. Descriptions, defaults, `status` and CEL rules
are left out. Equal object types are written once, so that a pod's fields do not appear three times.

    python -m tools.custom_kinds --crds FOLDER   # the definitions, a folder for each release


The default is the folder of `DYNAMO_A4X_CRDS`, or the one beside the checkout; without any, nothing is done.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tools.catalog_file import text

ROOT: Final = Path(__file__).resolve().parents[1]
CATALOG: Final = ROOT / "rehearsal" / "simulator" / "catalog"
CRDS: Final = Path(os.environ.get("DYNAMO_A4X_CRDS") or ROOT.parent / "shared" / "reference" / "crds")

RELEASES: Final[Mapping[str, tuple[str, ...]]] = {
    "dynamo-0.7.0": ("nvidia.com_dynamographdeployments",),
    "dynamo-1.0.1": ("nvidia.com_dynamographdeployments",),
    "dynamo-1.2-near": ("nvidia.com_dynamographdeployments",),
    "dynamo-1.5-2026-08": ("nvidia.com_dynamographdeployments",),
    "dra-driver-25.12.0": ("resource.nvidia.com_computedomains",),
    "kai-0.17.0": ("kai.scheduler_configs", "kai.scheduler_schedulingshards", "scheduling.run.ai_queues"),
    "gke": ("networking.gke.io_gkenetworkparamsets", "networking.gke.io_networks"),
}
"""Definitions of each release that the program needs: of what it installs, and of GKE."""

_KEPT: Final = (
    *("type", "required", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "allOf", "oneOf", "not"),
)
"""Keywords that constrain a single value, the same in JSON schema."""

Schema = dict[str, Any]
Place = tuple[str, ...]


# Schemas -----------------------------------------------------------------------------------------------------------


def strict(schema: Mapping[str, Any]) -> Schema:
    """A definition's structural schema as a JSON schema that rejects unknown fields.

    Maps and `x-kubernetes-preserve-unknown-fields` stay open. Inside anyOf, allOf, oneOf and not, a structural schema
    only constrains values, so nothing is closed there.
    """
    closed = _bounded({word: schema[word] for word in _KEPT if word in schema})
    if "properties" in schema:
        closed["properties"] = {name: strict(inner) for name, inner in schema["properties"].items()}
        if schema.get("x-kubernetes-embedded-resource"):
            closed["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
    if isinstance(schema.get("additionalProperties"), Mapping):
        closed["additionalProperties"] = strict(schema["additionalProperties"])
    elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed["additionalProperties"] = bool(schema.get("additionalProperties", False))
    if isinstance(schema.get("items"), Mapping):
        closed["items"] = strict(schema["items"])
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
        closed.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    elif schema.get("nullable") and isinstance(schema.get("type"), str):
        closed["type"] = [schema["type"], "null"]
    return closed


def _bounded(schema: Schema) -> Schema:
    """In OpenAPI 3.0 an exclusive bound is a flag beside the bound, in JSON schema the bound itself."""
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if isinstance(schema.get(exclusive), bool):
            schema |= {exclusive: schema.pop(bound)} if schema.pop(exclusive) else {}
    return schema


def kinds(definition: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """`apiVersion/kind` of each served version of a definition, with scope and schema of its spec."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if version.get("served", True):
            fields = version["schema"]["openAPIV3Schema"]["properties"]
            name = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
            yield name, {"namespaced": spec["scope"] == "Namespaced", "spec": strict(fields["spec"])}


# Catalogs ----------------------------------------------------------------------------------------------------------


def catalog(folder: Path, files: Sequence[str]) -> dict[str, Any]:
    """Catalog of the definitions `files` in `folder`."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    header: dict[str, str] = {}
    found: dict[str, Schema] = {}
    for name in files:
        raw = (folder / f"{name}.yaml").read_bytes()
        header[f"{name}.yaml"] = hashlib.sha256(raw).hexdigest()
        found |= dict(kinds(yaml.load(raw, loader)))  # noqa: S506 - one of the two safe loaders
    types = _Types()
    for name, kind in found.items():
        # With the version: two of a kind have forms of the same path.
        kind["spec"] = types.collected(kind["spec"], tuple(name.split("/")[-2:]))
    names = types.names()
    return {
        "header": header,
        "kinds": {name: _referring(kind, names) for name, kind in found.items()},
        "types": {names[key]: _referring(form, names) for key, form in types.forms.items()},
    }


class _Types:
    """Object types with fields, each once."""

    def __init__(self) -> None:
        self.forms: dict[str, Schema] = {}
        """By a hash of the form."""
        self.places: dict[str, Place] = {}
        """Where a form is: the first place that has it."""

    def collected(self, schema: Any, place: Place) -> Any:
        """`schema` with every object type replaced by a reference to its form."""
        if isinstance(schema, list):
            return [self.collected(inner, place) for inner in schema]
        if not isinstance(schema, dict):
            return schema
        inside = {
            word: {name: self.collected(one, (*place, name)) for name, one in inner.items()}
            if word == "properties"
            else self.collected(inner, place)
            for word, inner in schema.items()
        }
        if not inside.get("properties"):
            return inside
        key = hashlib.sha256(json.dumps(inside, sort_keys=True).encode()).hexdigest()
        self.forms[key] = inside
        known = self.places.get(key, place)
        self.places[key] = min(known, place, key=lambda one: (len(one), one))
        return {"$ref": key}

    def names(self) -> dict[str, str]:
        """The name of each form: the shortest unique end of its place."""
        found: dict[str, str] = {}
        for key, place in self.places.items():
            ends = [place[-length:] for length in range(1, len(place) + 1)]
            others = [other for other in self.places.values() if other != place]
            own = next(end for end in ends if not any(other[-len(end) :] == end for other in others))
            found[key] = ".".join(own)
        return found


def _referring(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_referring(inner, names) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return {"$ref": f"#/types/{names[schema['$ref']]}"}
    return {word: _referring(inner, names) for word, inner in schema.items()}


def catalogs(crds: Path) -> dict[str, str]:
    """The file of every catalog, by the release's name."""
    return {release: text(catalog(crds / release, files)) for release, files in RELEASES.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: write the catalogs and print the size of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--crds", type=Path, default=CRDS, help="folder with a folder of definitions for each release")
    crds: Path = parser.parse_args(arguments).crds
    if not crds.is_dir():
        sys.stdout.write(f"no custom resource definitions at {crds}: their catalogs stay as they are\n")
        return
    for release, written in catalogs(crds).items():
        (CATALOG / f"{release}.json").write_text(written, encoding="utf-8")
        made = json.loads(written)
        sys.stdout.write(f"{release}.json: {len(made['kinds'])} kinds, {len(made['types'])} types\n")


if __name__ == "__main__":
    main()

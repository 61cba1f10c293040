"""Writes reference/catalog/gke_fields.json: the fields of a cluster and a node pool, from the installed provider SDK.

python -m tools.provider_fields            # prints the catalog
python -m tools.provider_fields --write    # writes it

The settings check raw provider fields against it, without loading the SDK.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pulumi_gcp as gcp

# The SDK's own helpers for its generated classes: not public, but there is no public equivalent.
from pulumi import _types as sdk_types

from rehearsal.simulator import sdk_schema
from tools import catalog_file, generated

FILE: Final = Path(__file__).resolve().parents[1] / "reference" / "catalog" / "gke_fields.json"
_ROOTS: Final = {"Cluster": gcp.container.ClusterArgs, "NodePool": gcp.container.NodePoolArgs}
_LEFT_OUT: Final = frozenset({"Cluster.nodePools", "Cluster.nodeConfig", "Cluster.nodePoolDefaults"})
"""Large parts of a cluster that the program keeps for itself."""
_SCALARS: Final = {str: "string", bool: "boolean", int: "integer", float: "number"}


def catalog() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """By type and field of the provider: the field's name in the SDK and its type; `[T]` is a list of T."""
    found: dict[str, dict[str, list[str]]] = {}
    todo: list[tuple[str, type[Any]]] = list(_ROOTS.items())
    while todo:
        name, cls = todo.pop()
        if name in found:
            continue
        written = {pulumi: python for python, pulumi in sdk_types.input_type_py_to_pulumi_names(cls).items()}
        fields = found[name] = {}
        for field, hint in sdk_schema.shape(cls).fields.items():
            if f"{name}.{field}" in _LEFT_OUT:
                continue
            text, inner = _type(hint)
            fields[field] = [written[field], text]
            if inner is not None:
                todo.append((_short(inner), inner))
    return dict(sorted(found.items(), key=lambda entry: (entry[0] not in _ROOTS, entry[0])))


def _type(hint: Any) -> tuple[str, type[Any] | None]:
    """A field's type, and the generated class that it names, if any."""
    if isinstance(hint, tuple):
        hint = next(option for option in typing.cast("tuple[Any, ...]", hint) if option in _SCALARS)
    origin = typing.get_origin(hint)
    if origin in (Sequence, list):
        text, inner = _type(sdk_schema.bare(typing.get_args(hint)[0]))
        return f"[{text}]", inner
    if origin in (Mapping, dict):
        return "map", None
    if hint in _SCALARS:
        return _SCALARS[hint], None
    return _short(hint), hint


def _short(cls: type[Any]) -> str:
    return cls.__name__.removesuffix("Args")


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the catalog, or write it."""
    generated.run(__doc__, FILE, lambda: catalog_file.text(catalog()), command)


if __name__ == "__main__":
    main()

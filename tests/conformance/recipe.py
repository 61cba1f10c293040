"""The recipe's rendered chart, and how it is compared with this program's graph.

The recipe's files are not part of the project. They are looked for in the folder that `DYNAMO_A4X_RECIPE` names,
or beside the checkout; without them the comparison is skipped, and says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("DYNAMO_A4X_RECIPE") or ROOT.parent / "shared" / "reference" / "recipe")
RENDERED = {
    "deepseek-r1-fp8-1p1d": FOLDER / "rendered-1p1d.yaml",
    "deepseek-r1-fp8-10p8d": FOLDER / "rendered-10p8d.yaml",
}

# Lists whose order means nothing, with the field that names an entry.
_NAMED = {"envs": "name", "volumes": "name", "volumeMounts": "mountPath", "tolerations": "key", "items": "key"}


def documents(layout: str) -> list[dict[str, Any]]:
    """The objects that the recipe's chart renders for `layout`."""
    return list(yaml.safe_load_all(RENDERED[layout].read_text(encoding="utf-8")))


def graph(layout: str) -> dict[str, Any]:
    """Spec of the recipe's DynamoGraphDeployment for `layout`."""
    return next(d for d in documents(layout) if d["kind"] == "DynamoGraphDeployment")["spec"]


def arguments(layout: str, role: str) -> dict[str, Any]:
    """Server arguments of `role` in the recipe's ConfigMap."""
    maps = [d for d in documents(layout) if d["kind"] == "ConfigMap"]
    config_map = next(d for d in maps if d["metadata"]["name"].endswith(f"-{role}-config"))
    return yaml.safe_load(config_map["data"]["serving-configuration"])


def argv(values: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Flags as the recipe's shell parser makes them: a flag for `true`, a flag with a text for the rest."""
    return sorted((key, None if value is True else str(value)) for key, value in values.items())


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of `value` with its path; entries of named lists go by their name, not by their place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        field = _NAMED.get(path.rsplit(".", 1)[-1])
        for index, inner in enumerate(value):
            name = inner[field] if field and isinstance(inner, dict) else index
            yield from flat(inner, f"{path}[{name}]")
    else:
        yield path, value


@dataclass(frozen=True)
class Difference:
    """One row of docs/differences.md: which fields it explains, and what they must be here."""

    row: str
    """Id of the row in docs/differences.md."""
    path: str
    """Regular expression for the whole path below `spec.services`."""
    recipe: Any = ...
    """The recipe's value, None for "absent", `...` for "any"."""
    ours: Any = ...
    """This program's value, None for "absent", `...` for "any"."""

    def explains(self, path: str, recipe: Any, ours: Any) -> bool:
        """Whether this row is about the field at `path` with these two values."""
        return re.fullmatch(self.path, path) is not None and self.recipe in (..., recipe) and self.ours in (..., ours)


def compare(recipe: Mapping[str, Any], ours: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Paths at which the two differ, with both values (None: absent)."""
    left, right = dict(flat(recipe)), dict(flat(ours))
    return [
        (path, left.get(path), right.get(path))
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]

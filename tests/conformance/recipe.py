"""The recipe's facts, as docs/reference/recipe.md has them, and how they are compared with this program's graph."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "docs" / "reference" / "recipe.md"
LAYOUTS = {"8 GPUs": "deepseek-r1-fp8-1p1d", "72 GPUs": "deepseek-r1-fp8-10p8d"}
"""Layout as the tables call it, to its name here."""
SERVICES = ("frontend", "prefill", "decode")

Key = tuple[str, str]
"""(role, field)."""

_BOTH, _WORKERS = "both", "workers"
_ROW = re.compile(r"\| (?P<layout>[\w ]+) \| (?P<role>\w+) \| `(?P<field>\S+)` \| (?P<value>`.*`|\.\.\.) \| (.* )?\|")
_ARGUMENT = "arguments."

# Lists whose order means nothing, with the field that names an entry; an annotation of that name is a list in JSON.
_NAMED = {
    "envs": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "tolerations": "key",
    "items": "key",
    "claims": "name",
    "resourceClaims": "name",
    "interfaces": "interfaceName",
}


def tables(text: str) -> dict[str, dict[Key, Any]]:
    """Layout, as the tables call it, to its facts; a value that is not kept is `...`."""
    found: dict[str, dict[Key, Any]] = {name: {} for name in LAYOUTS}
    for line in text.splitlines():
        if not line.startswith("|") or line.startswith(("| layout |", "|---")):
            continue
        row = _ROW.fullmatch(line)
        if row is None:
            raise ValueError(f"docs/reference/recipe.md: not a row of a fact: {line}")
        value = ... if row["value"] == "..." else json.loads(row["value"].strip("`"))
        for layout in LAYOUTS if row["layout"] == _BOTH else (row["layout"],):
            for role in ("prefill", "decode") if row["role"] == _WORKERS else (row["role"],):
                if (role, row["field"]) in found[layout]:
                    raise ValueError(f"docs/reference/recipe.md: said twice for {role}, {layout}: {row['field']}")
                found[layout][role, row["field"]] = value
    return found


FACTS = tables(TABLES.read_text(encoding="utf-8"))


def facts(layout: str) -> dict[Key, Any]:
    """All facts of a layout, by its name here."""
    return next(FACTS[name] for name, ours in LAYOUTS.items() if ours == layout)


def services(layout: str) -> dict[str, Any]:
    """The services of the recipe's graph: path to value, as `flat` makes them."""
    return {
        f"{role.capitalize()}.{field}": value
        for (role, field), value in facts(layout).items()
        if role in SERVICES and not field.startswith(_ARGUMENT)
    }


def around(layout: str) -> dict[str, Any]:
    """The facts that are no field of a service of the graph: `role.field` to value."""
    return {f"{role}.{field}": value for (role, field), value in facts(layout).items() if role not in SERVICES}


def arguments(layout: str, role: str) -> dict[str, Any]:
    """Server arguments of `role`."""
    own = {field: value for (of, field), value in facts(layout).items() if of == role}
    return {field.removeprefix(_ARGUMENT): value for field, value in own.items() if field.startswith(_ARGUMENT)}


def variables(layout: str, role: str) -> dict[str, str]:
    """Environment variables of `role` that have a value of their own."""
    found = ((re.fullmatch(r"envs\[(\w+)\]\.value", field), of, value) for (of, field), value in facts(layout).items())
    return {name[1]: value for name, of, value in found if name and of == role}


def argv(values: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Flags as the recipe's shell parser makes them: a flag for `true`, a flag with a text for the rest."""
    return sorted((key, None if value is True else str(value)) for key, value in values.items())


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of `value` with its path; entries of named lists go by their name, not by their place.

    A list of plain values is one leaf, and so is an empty object.
    """
    name = re.split(r"[./]", path)[-1]
    if isinstance(value, str) and name in _NAMED and value.startswith("["):
        value = json.loads(value)
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        named = _NAMED.get(name)
        for index, inner in enumerate(value):
            rest = {key: one for key, one in inner.items() if key != named}
            yield from flat(rest, f"{path}[{inner[named] if named else index}]")
    else:
        yield path, value


@dataclass(frozen=True)
class Difference:
    """One row of docs/explanation/differences.md: which fields it explains, and what they must be here."""

    row: str
    """Id of the row in docs/explanation/differences.md."""
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
    return [
        (path, recipe.get(path), ours.get(path))
        for path in sorted(recipe.keys() | ours.keys())
        if recipe.get(path) != ours.get(path)
    ]

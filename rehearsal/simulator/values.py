"""Property values as plain Python, and the difference between two of them.

The engine uses protobuf and the SDK `PropertyValue`; the rules of the embedded cloud use plain dictionaries. This is
the only module that converts between them. Values that are unknown in a preview become `UNKNOWN`, so that a rule can
skip them instead of checking a placeholder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias, cast

import pulumi
from pulumi.provider.experimental.property_value import Computed, PropertyValue, ResourceReference

Props: TypeAlias = dict[str, Any]
"""Inputs or outputs of one object: JSON values, `UNKNOWN`, or an asset."""


class Unknown(Enum):
    """The type of `UNKNOWN`: a value that is known only after the deployment."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN

_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_TEXTS = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
"""The engine's placeholders of unknown values, one for each type of value (pulumi/pulumi
sdk/go/common/resource/plugin/rpc.go). The SDK passes them on as ordinary strings."""


def to_plain(value: PropertyValue) -> Any:
    """The plain form of one value; secrets are unwrapped, integral numbers become `int`."""
    inner = value.value
    if isinstance(inner, Computed) or (isinstance(inner, str) and inner in UNKNOWN_TEXTS):
        return UNKNOWN
    if isinstance(inner, Mapping):
        return {key: to_plain(item) for key, item in inner.items()}
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [to_plain(item) for item in inner]
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    if isinstance(inner, ResourceReference):
        return to_plain(inner.resource_id) if inner.resource_id is not None else inner.urn
    return inner


def props_to_plain(values: Mapping[str, PropertyValue]) -> Props:
    """The plain form of a property map; null entries are dropped, as providers do."""
    plain = {key: to_plain(item) for key, item in values.items()}
    return {key: item for key, item in plain.items() if item is not None}


def from_plain(value: Any) -> PropertyValue:
    """The engine's form of a plain value."""
    if isinstance(value, Unknown):
        return PropertyValue(_UNKNOWN_STRING)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return PropertyValue(value)
    if isinstance(value, (int, float)):
        return PropertyValue(float(value))
    if isinstance(value, (pulumi.Asset, pulumi.Archive)):
        return PropertyValue(value)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return PropertyValue({key: from_plain(item) for key, item in mapping.items()})
    if isinstance(value, (list, tuple)):
        sequence = cast("Sequence[Any]", value)
        return PropertyValue([from_plain(item) for item in sequence])
    raise TypeError(f"a value of type {type(value).__name__} cannot be handed to the engine")


def props_from_plain(values: Mapping[str, Any]) -> dict[str, PropertyValue]:
    """The engine's form of a property map."""
    return {key: from_plain(item) for key, item in values.items()}


def dig(value: Any, path: str) -> Any:
    """The value at a dotted path; None if a step is missing, `UNKNOWN` if one is unknown."""
    for step in path.split("."):
        if isinstance(value, Unknown):
            return UNKNOWN
        if not isinstance(value, dict):
            return None
        value = cast("Props", value).get(step)
    return value


def text(value: Any, path: str) -> str:
    """The known text at a dotted path, else the empty string."""
    found = dig(value, path)
    return found if isinstance(found, str) else ""


def number(value: Any, path: str, default: int = 0) -> int:
    """The known integer at a dotted path, else `default`."""
    found = dig(value, path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def items(value: Any, path: str) -> list[Props]:
    """The known objects in the list at a dotted path; others are skipped."""
    found = dig(value, path)
    if not isinstance(found, list):
        return []
    return [cast("Props", item) for item in cast("list[Any]", found) if isinstance(item, dict)]


def many(value: Any, path: str) -> list[Any]:
    """The list at a dotted path, else an empty one."""
    found = dig(value, path)
    return cast("list[Any]", found) if isinstance(found, list) else []


def mapping(value: Any, path: str) -> Props:
    """The known object at a dotted path, else an empty one."""
    found = dig(value, path)
    return cast("Props", found) if isinstance(found, dict) else {}


def has_unknown(value: Any) -> bool:
    """Whether any part of the value is unknown."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, dict):
        return any(has_unknown(item) for item in cast("Props", value).values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in cast("list[Any]", value))
    return False


@dataclass(frozen=True)
class Change:
    """A leaf that differs: its `path` from the root, and whether it was added, deleted or updated."""

    path: tuple[str | int, ...]
    kind: str

    def under(self, dotted: str) -> bool:
        """Whether this change is at, below or above the dotted path (list positions are ignored)."""
        names = [step for step in self.path if isinstance(step, str)]
        wanted = dotted.split(".")
        shorter = min(len(names), len(wanted))
        return names[:shorter] == wanted[:shorter]

    def within(self, dotted: str) -> bool:
        """Whether this change is at or below the dotted path (list positions are ignored)."""
        names, wanted = [step for step in self.path if isinstance(step, str)], dotted.split(".")
        return names[: len(wanted)] == wanted

    def __str__(self) -> str:
        """The path in the engine's syntax: `a.b[0]["c/d"]`."""
        out = ""
        for step in self.path:
            if isinstance(step, int):
                out += f"[{step}]"
            elif step.replace("_", "").replace("$", "").isalnum():
                out += f".{step}" if out else step
            else:
                quoted = step.replace('"', '\\"')
                out += f'["{quoted}"]'
        return out


def changes(old: Any, new: Any, path: tuple[str | int, ...] = ()) -> Iterator[Change]:
    """Every leaf in which `new` differs from `old`. An unknown new value is a change."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _changes_in_map(cast("Props", old), cast("Props", new), path)
    elif isinstance(old, list) and isinstance(new, list):
        olds, news = cast("list[Any]", old), cast("list[Any]", new)
        for index in range(max(len(olds), len(news))):
            if index >= len(olds):
                yield Change((*path, index), "add")
            elif index >= len(news):
                yield Change((*path, index), "delete")
            else:
                yield from changes(olds[index], news[index], (*path, index))
    elif isinstance(old, bool) != isinstance(new, bool) or old != new:
        yield Change(path, "update")


def _changes_in_map(olds: Props, news: Props, path: tuple[str | int, ...]) -> Iterator[Change]:
    """As `changes`; null counts as missing."""
    for key in sorted({*olds, *news}):
        old, new = olds.get(key), news.get(key)
        if old is None and new is not None:
            yield Change((*path, key), "add")
        elif old is not None and new is None:
            yield Change((*path, key), "delete")
        elif old is not None:
            yield from changes(old, new, (*path, key))

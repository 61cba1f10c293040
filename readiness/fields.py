"""Access to foreign JSON: a missing field, or one of another type, is an empty value, never an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

Object = Mapping[str, Any]


def as_object(value: object) -> Object:
    """`value`, or an empty object."""
    return cast("Object", value) if isinstance(value, dict) else {}


def inner(source: Object, *path: str) -> Object:
    """The object below `path`."""
    for step in path:
        source = as_object(source.get(step))
    return source


def objects(source: Object, *path: str) -> Iterator[Object]:
    """The objects in the list below `path`."""
    values = inner(source, *path[:-1]).get(path[-1])
    for value in cast("list[object]", values) if isinstance(values, list) else []:
        if isinstance(value, dict):
            yield cast("Object", value)


def first(found: Iterator[Object]) -> Object:
    """The first of `found`, or an empty object."""
    return next(found, as_object(None))


def text(source: Object, *path: str) -> str:
    """The text below `path`."""
    value = inner(source, *path[:-1]).get(path[-1])
    return value if isinstance(value, str) else ""


def number(source: Object, *path: str) -> int:
    """The integer below `path`."""
    value = inner(source, *path[:-1]).get(path[-1])
    return value if isinstance(value, int) and not isinstance(value, bool) else 0

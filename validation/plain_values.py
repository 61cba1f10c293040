"""YAML as JSON: what JSON cannot express becomes a value that a message can show.

YAML has keys that are not strings, lists that contain themselves, dates, and numbers of any size. None of them is valid
in a stack config or a layout; converted, they reach the models, which report each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, cast

_DEEPEST: Final = 50
"""Levels of nesting: more are a mistake, or a list that contains itself."""
WIDEST: Final = 64
"""Bits of an integer. The engine turns a larger one into a float, and so does this."""


def to_json(value: object) -> str:
    """`value`, as a YAML parser returns it, as JSON text."""
    return json.dumps(_plain(value, 0))


def _plain(value: object, depth: int) -> Any:
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {_key(key): _plain(item, depth + 1) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= WIDEST else _float(value)
    # No JSON parser accepts a lone surrogate.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _key(key: object) -> str:
    if isinstance(key, bool) or key is None:
        return json.dumps(key)
    return str(key).encode("utf-8", "replace").decode("utf-8")


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf

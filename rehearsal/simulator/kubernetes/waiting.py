"""What the plugin waits for after it has written an object: the annotation `pulumi.com/waitFor`.

Time stands still between two calls, so a condition that is false now would time out.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from rehearsal.simulator.faults import NotReadyError
from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import Props, dig, items, mapping, text

_WAIT_FOR = "pulumi.com/waitFor"
_SKIP = "pulumi.com/skipAwait"
_CONDITION = re.compile(r"condition=(\w+)(?:=(\w+))?")
_JSON_PATH = re.compile(r"jsonpath=\{\.([\w.]+)\}(?:=(.*))?")


def refuse_unready(id_: str, outputs: Props) -> None:
    """Raise `NotReadyError`, with the object, unless all conditions of its annotation are true."""
    annotations = mapping(outputs, "metadata.annotations")
    if str(annotations.get(_SKIP)).lower() == "true":
        return
    for expression in _expressions(annotations.get(_WAIT_FOR)):
        if not _holds(expression, outputs):
            name = f"{outputs.get('kind')} {text(outputs, 'metadata.name')}"
            late = NotReadyError(f"{name}: timed out waiting for {expression}")
            late.id, late.outputs = id_, outputs
            raise late


def _expressions(value: Any) -> list[str]:
    if not isinstance(value, str) or not value:
        return []
    try:
        loaded = json.loads(value)
    except json.JSONDecodeError:
        return [value]
    return [str(item) for item in cast("list[Any]", loaded)] if isinstance(loaded, list) else [value]


def _holds(expression: str, outputs: Props) -> bool:
    if condition := _CONDITION.fullmatch(expression):
        kind, wanted = condition[1].lower(), (condition[2] or "True").lower()
        found = [c for c in items(outputs, "status.conditions") if text(c, "type").lower() == kind]
        return any(text(c, "status").lower() == wanted for c in found)
    if path := _JSON_PATH.fullmatch(expression):
        found = dig(outputs, path[1])
        return found is not None if path[2] is None else str(found) == path[2]
    raise ApiError(f'expected a "jsonpath=" or "condition=" prefix, got {expression!r}')

"""The fields of resources, read from the installed Python SDKs.

The SDK classes are generated from the providers' schemas and have every argument, nested type, required field and
output. So the embedded cloud knows all resources of an SDK without a table, and follows a new SDK version. Only
primitive types are checked here; rules about values are in `gcp_rules.py`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import typing
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import pulumi

# The SDK's own helpers for its generated classes: not public, but there is no public equivalent.
from pulumi import _types as sdk_types  # pyright: ignore[reportPrivateUsage] - see above

from rehearsal.simulator.service import Failure
from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import UNKNOWN, Props, Unknown

_UNION = type(int | str)
_PACKAGES = {"gcp": "pulumi_gcp", "random": "pulumi_random", "kubernetes": "pulumi_kubernetes"}


@dataclass(frozen=True)
class Shape:
    """The schema of an object: the type of each field, and the required fields."""

    fields: Mapping[str, Any]
    required: frozenset[str]


@dataclass(frozen=True)
class Resource:
    """One resource type of an SDK."""

    token: str
    inputs: Shape
    outputs: Mapping[str, Any]
    always: frozenset[str] = field(default_factory=frozenset[str])
    """Outputs that are always set, given or not."""


@cache
def resource(token: str) -> Resource:
    """The resource type of a token; raises `ApiError` if the installed SDK has none."""
    package, module, name = token.split(":")
    python = _PACKAGES.get(package, "")
    if not python:
        raise ApiError(f"no SDK is known for {token}")
    # gcp:storage/bucket:Bucket is in pulumi_gcp.storage; kubernetes:helm.sh/v3:Release in pulumi_kubernetes.helm.v3.
    path = "helm.v3" if module == "helm.sh/v3" else module.split("/", 1)[0].lower()
    where = python if path == "index" else f"{python}.{path}"
    try:
        # Through sys.modules: as attributes of the package, submodules are lazy stand-ins.
        importlib.import_module(where)
        cls = cast("type[Any]", getattr(sys.modules[where], name))
        home = sys.modules[cls.__module__]
        args = getattr(home, f"{name}Args", None) or getattr(home, f"{name}InitArgs")
    except (ImportError, AttributeError) as error:
        raise ApiError(f"the installed {python} has no {token}") from error
    outputs = cast("dict[str, Any]", sdk_types.resource_types(cls))
    return Resource(token, shape(args), outputs, _always(cls))


@cache
def shape(cls: type[Any]) -> Shape:
    """The fields of one generated input class; nested classes are resolved lazily."""
    types = cast("dict[str, Any]", sdk_types.input_type_types(cls))
    names = sdk_types.input_type_py_to_pulumi_names(cls)
    # Parameters of the generated __init__ without a default are the required fields.
    parameters = inspect.signature(cls.__init__).parameters.values()
    required = frozenset(names[p.name] for p in parameters if p.name in names and p.default is inspect.Parameter.empty)
    return Shape({key: bare(hint) for key, hint in types.items()}, required)


def check(inputs: Props, wanted: Shape, path: str = "") -> list[Failure]:
    """Every unknown field, missing field and wrong type in the inputs, with its path."""
    found: list[Failure] = []
    for key, value in inputs.items():
        if key.startswith("__"):
            continue
        here = f"{path}.{key}" if path else key
        if key in wanted.fields:
            found.extend(_check_value(value, wanted.fields[key], here))
        else:
            near = _nearest(key, wanted.fields)
            found.append(Failure(here, f"unknown field{f', did you mean {near}?' if near else ''}"))
    missing = [key for key in sorted(wanted.required) if inputs.get(key) is None]
    found.extend(Failure(f"{path}.{key}" if path else key, "required field is missing") for key in missing)
    return found


def unknown_outputs(known: Resource, inputs: Props) -> Props:
    """The outputs before the object exists: given values, and `UNKNOWN` for computed ones."""
    given = {key: value for key, value in inputs.items() if not key.startswith("__")}
    return {**dict.fromkeys(known.always, UNKNOWN), **given}


def default_outputs(known: Resource, inputs: Props) -> Props:
    """The default outputs of an existing object: given values, and empty ones of the right type."""
    given = {key: value for key, value in inputs.items() if not key.startswith("__")}
    return {**{key: _empty(known.outputs[key]) for key in known.always}, **given}


def _always(cls: type[Any]) -> frozenset[str]:
    properties: list[tuple[str, str, Any]] = cast("Any", sdk_types)._py_properties(cls)
    hints = {name: str(prop.fget.__annotations__.get("return", "")) for _, name, prop in properties}
    return frozenset(name for name, hint in hints.items() if "Optional[" not in hint and name not in ("id", "urn"))


def bare(hint: Any) -> Any:
    """The type inside Input, Output, Awaitable and Optional."""
    hint = sdk_types.unwrap_type(hint)
    origin = typing.get_origin(hint)
    if origin is not typing.Union and not isinstance(hint, _UNION):
        return hint
    kept = [
        arg
        for arg in typing.get_args(hint)
        if arg is not type(None)
        and typing.get_origin(arg) not in (pulumi.Output, Awaitable)
        and not (isinstance(arg, type) and arg.__name__.endswith("ArgsDict"))
    ]
    return bare(kept[0]) if len(kept) == 1 else tuple(bare(arg) for arg in kept)


_PRIMITIVES: dict[Any, str] = {str: "a string", bool: "a boolean", int: "a whole number", float: "a number"}


def _check_value(value: Any, hint: Any, path: str) -> list[Failure]:
    if value is None or isinstance(value, Unknown) or hint is Any:
        return []
    if isinstance(hint, tuple):
        attempts = [_check_value(value, option, path) for option in cast("tuple[Any, ...]", hint)]
        return min(attempts, key=len)
    expected = _expected(value, hint)
    if expected:
        return [Failure(path, f"must be {expected}, not {_name(value)}")]
    if isinstance(value, list):
        inner = bare(typing.get_args(hint)[0])
        each = [(f"{path}[{index}]", item, inner) for index, item in enumerate(cast("list[Any]", value))]
    elif isinstance(value, dict) and sdk_types.is_input_type(hint):
        return check(cast("Props", value), shape(hint), path)
    elif isinstance(value, dict):
        inner = bare(typing.get_args(hint)[1])
        each = [(f"{path}.{key}", item, inner) for key, item in cast("Props", value).items()]
    else:
        return []
    return [failure for where, item, inner in each for failure in _check_value(item, inner, where)]


def _expected(value: Any, hint: Any) -> str:
    """The expected type in words; empty if the value has it."""
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        allowed = typing.get_args(hint)
        return "" if value in allowed else f"one of {', '.join(map(str, allowed))}"
    if origin in (Sequence, list):
        return "" if isinstance(value, list) else "a list"
    if origin in (Mapping, dict):
        return "" if isinstance(value, dict) else "a map"
    if hint in _PRIMITIVES:
        return "" if _is(value, hint) else _PRIMITIVES[hint]
    if isinstance(hint, type) and sdk_types.is_input_type(cast("type[Any]", hint)):
        return "" if isinstance(value, dict) else "an object"
    return ""


def _is(value: Any, primitive: Any) -> bool:
    if primitive is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if primitive is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, primitive)


def _name(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"{value!r}"


def _empty(hint: Any) -> Any:
    hint = bare(hint)
    origin = typing.get_origin(hint)
    if origin in (Sequence, list):
        return []
    if origin in (Mapping, dict):
        return {}
    empties: dict[Any, Any] = {str: "", bool: False, int: 0, float: 0}
    return empties.get(hint)


def _nearest(key: str, names: Mapping[str, Any]) -> str:
    flat = key.replace("_", "").lower()
    return next((name for name in names if name.lower() == flat), "")

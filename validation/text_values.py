"""Converts values that the Pulumi CLI wrote to the types of the models.

`pulumi config set --path 'domains[0].pricePerGpuHour' 4.5` stores the string "4.5", and `--path
'stacks[0].overrides.decode.environment.UCX_X' 1` the number 1: the CLI recognizes integers and `true` and knows no
key's type (seen on Pulumi 3.259.0; a value with a leading zero or a capital, as in `True`, stays a string). The engine
passes every top-level value as a string, with JSON in it if it is not a scalar.

Only unambiguous values are converted; the models reject everything else as written.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from pydantic import BaseModel

from validation.plain_values import WIDEST

_TRUTH: Final = {"true": True, "True": True, "false": False, "False": False}
"""What Pulumi's own config readers accept as a boolean."""
_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,3})?")


def decoded(value: object, annotation: Any) -> object:
    """The value of a top-level key, as the engine passes it, converted to `annotation`."""
    choices = _choices(annotation)
    if isinstance(value, str) and not {str, bool, int, float} & set(choices):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return typed(value, annotation)
    elif isinstance(value, int) and not isinstance(value, bool) and str in choices:
        # A number such as the project number, written without quotes.
        return str(value) if value.bit_length() <= WIDEST else value
    return typed(value, annotation)


def typed(value: object, annotation: Any) -> object:
    """`value`, with strings converted where numbers or booleans are expected, through models, lists and mappings."""
    choices = _choices(annotation)
    if isinstance(value, str):
        return _scalar(value, choices)
    if isinstance(value, Mapping):
        return _mapping(cast("Mapping[Any, Any]", value), choices)
    if isinstance(value, (list, tuple)):
        inner = next((get_args(choice) for choice in choices if get_origin(choice) in {tuple, list}), ())
        return [typed(item, inner[0]) if inner else item for item in cast("list[Any]", value)]
    return value


def _mapping(value: Mapping[Any, Any], choices: tuple[Any, ...]) -> Mapping[Any, Any]:
    models = [c for c in choices if isinstance(c, type) and issubclass(c, BaseModel)]
    if models:
        # A key that several of them have has the same type in all.
        fields = {info.alias or name: info for model in models for name, info in model.model_fields.items()}
        return {k: typed(v, fields[k].annotation) if k in fields else v for k, v in value.items()}
    inner = next((get_args(choice) for choice in choices if get_origin(choice) is dict), None)
    if inner is None:
        return value
    texts_only = set(_choices(inner[1])) <= {str, type(None)}
    return {k: _text(v) if texts_only else typed(v, inner[1]) for k, v in value.items()}


def _scalar(text: str, choices: tuple[Any, ...]) -> object:
    if str in choices:
        return text
    if bool in choices and text in _TRUTH:
        return _TRUTH[text]
    if int in choices and _WHOLE.fullmatch(text):
        return int(text)
    if float in choices and _NUMBER.fullmatch(text):
        return float(text)
    return text


def _text(value: object) -> object:
    """An integer or boolean as a string, where only strings are valid: an environment variable."""
    if isinstance(value, bool):
        return json.dumps(value)
    return str(value) if isinstance(value, int) and value.bit_length() <= WIDEST else value


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The types that `annotation` allows, without their validators."""
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(choice for part in get_args(annotation) for choice in _choices(part))
    return (annotation,)

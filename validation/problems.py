"""How invalid input is reported: key, value, rule and fix, all problems at once.

Stopping at the first mistake would cost the user a run for each, so every reader of user data (stack config, layout
files) collects `Problem`s and raises them together. Pydantic's own errors are translated here, so that a typo in a
nested key reads like a broken rule.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from validation.unknown_keys import UNKNOWN, nearest

_TYPES: Final[Mapping[int | str, str]] = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}


HIDDEN: Final = "(hidden)"
"""Shown instead of a secret value."""

_SECRET: Final = re.compile(
    r"://[^/\s@'\"]*:[^/\s@]+@|PRIVATE KEY|\bnvapi-|\bhf_[A-Za-z0-9]|"
    r"(?i:TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY|PRIVATE_KEY)\w*['\"]?(: |, 'value': )['\"]?[^\s'\"{\[]"
)
_SECRET_NAME: Final = re.compile(r"(?i)(token|password|secret|api_?key|private_?key)$")
"""What is not repeated: addresses with a password, keys, tokens, what stands under a name of such or is named so."""


@dataclass(frozen=True)
class Problem:
    """One broken rule: key, value, rule and fix."""

    key: str
    value: object
    rule: str
    fix: str

    def __str__(self) -> str:
        shown = repr(HIDDEN) if _SECRET_NAME.search(self.key) and self.value is not None else _shown(self.value)
        return f"{self.key} = {shown}\n    rule: {self.rule}\n    fix: {self.fix}"


class RuleError(ValueError):
    """A value breaks a rule; has the parts of a `Problem`."""

    def __init__(self, key: str, value: object, rule: str, fix: str) -> None:
        super().__init__(f"{key} = {value!r}: {rule}. {fix}")
        self.key = key
        self.value = value
        self.rule = rule
        self.fix = fix


def refused(check: Callable[..., object], *values: object, key: str | None = None) -> Iterator[Problem]:
    """The problem that `check(*values)` raises; under the config's own `key` where the rule has another name for it."""
    try:
        check(*values)
    except RuleError as error:
        yield Problem(key or error.key, error.value, error.rule, error.fix)


def report(subject: str, problems: Sequence[Problem]) -> str:
    """The whole message for `problems` found in `subject` ("stack 'dev'", a file name)."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    body = "\n".join(f"  {problem}" for problem in problems)
    return f"{count} in {subject}; no resource was registered.\n{body}"


def broken(rule: str, fix: str, *, hide: bool = False) -> PydanticCustomError:
    """An error for a pydantic validator to raise; `from_pydantic` turns it back into rule and fix."""
    return PydanticCustomError("broken_rule", "{rule}", {"rule": rule, "fix": fix, "hide": hide})


def from_pydantic(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[Problem]:
    """Translate pydantic's errors about `model`; `prefix` is put before every key."""
    found = error.errors(include_url=False)
    problems: list[Problem] = []
    for place, group in itertools.groupby(found, _place):
        one, *others = group
        problems += [_of_no_type(place, [one, *others], model, prefix)] if others else [_translate(one, model, prefix)]
    return problems


def _place(details: ErrorDetails) -> tuple[int | str, ...]:
    """Location of the value. For a key of several types pydantic reports one error each, with the type at the end."""
    location = details["loc"]
    return location[:-1] if location and location[-1] in _TYPES and details["type"] != "missing" else location


def _of_no_type(
    place: tuple[int | str, ...], errors: Sequence[ErrorDetails], model: type[BaseModel], prefix: str
) -> Problem:
    names = [_TYPES[part] for part in (details["loc"][-1] for details in errors) if part in _TYPES]
    rule = f"must be one of these: {', '.join(dict.fromkeys(names))}"
    spot = _find(model, place)
    return Problem(prefix + spot.path, errors[0]["input"], rule, f"give {spot.description}")


def _translate(details: ErrorDetails, model: type[BaseModel], prefix: str) -> Problem:
    spot = _find(model, details["loc"])
    key = prefix + spot.path
    value: object = details["input"]
    kind = details["type"]
    context = details.get("ctx", {})
    if kind == "broken_rule":
        return Problem(key, HIDDEN if context["hide"] else value, str(context["rule"]), str(context["fix"]))
    if kind == "extra_forbidden":
        return Problem(key, value, *_unknown(spot))
    if kind in ("union_tag_not_found", "union_tag_invalid") and isinstance(value, Mapping):
        # As the user wrote it: pydantic's own `tag` is a string of any value.
        return _no_mode(spot, cast("Mapping[str, object]", value).get("mode"), prefix)
    return Problem(key, None if kind == "missing" else value, *_in_our_words(details, spot.description))


def _unknown(spot: _Spot) -> tuple[str, str]:
    """Rule and fix of a key that its model does not have."""
    moved: Mapping[str, str] = getattr(spot.owner, "moved", {})
    if spot.name in moved:
        return UNKNOWN, moved[spot.name]
    others = [mode for mode, other in spot.modes.items() if spot.name in _keys(other)]
    if others:
        mode = next(mode for mode, other in spot.modes.items() if other is spot.owner)
        instead: Mapping[str, str] = getattr(spot.owner, "instead", {})
        fix = instead.get(spot.name) or f"remove it, or set mode: {' or '.join(others)}"
        return f"this key has no meaning with mode: {mode}", fix
    return UNKNOWN, nearest(spot.name, _keys(spot.owner))


def _no_mode(spot: _Spot, mode: object, prefix: str) -> Problem:
    """A mapping whose `mode` is missing or unknown."""
    known = members(spot.annotation)
    description = next(iter(known.values())).model_fields["mode"].description
    key = f"{prefix}{spot.path}.mode"
    if mode is None:
        return Problem(key, None, "this key is required", f"set it: {description}")
    *first, last = map(repr, known)
    expected = f"{', '.join(first)} or {last}"
    return Problem(key, mode, f"must be one of {expected}", f"choose one: {description}")


_SHAPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "union_tag_not_found"), "mapping"),
    **dict.fromkeys(("tuple_type", "list_type"), "list"),
}
"""What pydantic misses, by its name for that."""


def _in_our_words(details: ErrorDetails, description: str) -> tuple[str, str]:
    """Rule and fix of a value that is missing or has the wrong type or size."""
    kind = details["type"]
    if kind == "missing":
        return "this key is required", f"set it: {description}"
    if kind == "literal_error":
        return f"must be one of {details.get('ctx', {})['expected']}", f"choose one: {description}"
    if kind in _SHAPES:
        return f"must be a {_SHAPES[kind]}", f"give {description}"
    if kind.startswith("bool"):
        return "must be true or false", f"write true or false: {description}"
    if details["type"] == "string_type" and isinstance(details["input"], (int, float)):
        return "must be a string", f"put it in quotes: {description}"
    rule = details["msg"][0].lower() + details["msg"][1:]
    return rule.replace("input should", "must"), f"give {description}"


@dataclass
class _Spot:
    """A place in a model, found by walking annotations along the location that pydantic gives."""

    owner: type[BaseModel]
    """The model that holds the key."""
    annotation: Any
    """Of the value there; None if no model has the key."""
    path: str = ""
    """As the user writes it: without the modes that pydantic adds after a key of several models."""
    name: str = ""
    """The last key of the path."""
    description: str = "a mapping of the keys in the config reference"
    modes: Mapping[str, type[BaseModel]] = field(default_factory=dict[str, type[BaseModel]])
    """All models by `mode`, the owner among them."""


def _find(model: type[BaseModel], location: Sequence[int | str]) -> _Spot:
    spot = _Spot(model, model)
    for part in location:
        choices = members(spot.annotation)
        if isinstance(part, int):
            spot.path += f"[{part}]"
        elif part in choices:
            spot.owner, spot.modes, spot.annotation = choices[part], choices, choices[part]
        else:
            owner = _inner_model(spot.annotation)
            if owner is not None and owner is not spot.owner:
                spot.owner, spot.modes = owner, {}
            named = (f for n, f in owner.model_fields.items() if part in (n, f.alias)) if owner else iter(())
            known = next(named, None)
            spot.name, spot.path = part, f"{spot.path}.{part}" if spot.path else part
            spot.annotation = known.annotation if known else None
            spot.description = (known and known.description) or f"a value for {part}"
    return spot


def members(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models that a value may be, by their `mode`; empty if no mode distinguishes them."""
    found: dict[str, type[BaseModel]] = {}
    for model in models(annotation):
        mode = model.model_fields.get("mode")
        if mode is not None and get_origin(mode.annotation) is Literal:
            found.update({str(value): model for value in get_args(mode.annotation)})
    return found if len(set(found.values())) > 1 else {}


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, also inside unions, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models(argument)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    return next(models(annotation), None)


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _shown(value: object) -> str:
    if value is None:
        return "(not set)"
    text = repr(list(value) if isinstance(value, tuple) else value)  # pyright: ignore[reportUnknownArgumentType]
    if _SECRET.search(text):
        return repr(HIDDEN)
    return text if len(text) <= 120 else f"{text[:117]}..."

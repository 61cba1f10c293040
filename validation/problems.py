"""What a wrong input is told: key, value, rule and cure, all problems at once.

A run that stops at the first mistake costs a user one round trip per mistake, so every reader of user data
(stack config, layout files) collects `Problem`s and raises them together. Pydantic's own errors are translated
here, so that a typo in a nested key reads the same as a broken rule of the field.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

_WORD_MAX: Final = 100
"""Characters of a word that is compared with others: comparing takes the square of the length."""

_TYPES: Final[Mapping[int | str, str]] = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}


@dataclass(frozen=True)
class Problem:
    """One broken rule: where it was broken, with what value, what the rule is and what to do."""

    key: str
    value: object
    rule: str
    cure: str

    def __str__(self) -> str:
        return f"{self.key} = {_shown(self.value)}\n    rule: {self.rule}\n    cure: {self.cure}"


class RuleError(ValueError):
    """A value breaks a rule of the field; carries the parts of a `Problem`."""

    def __init__(self, key: str, value: object, rule: str, cure: str) -> None:
        super().__init__(f"{key} = {value!r}: {rule}. {cure}")
        self.key = key
        self.value = value
        self.rule = rule
        self.cure = cure


def report(subject: str, problems: Sequence[Problem]) -> str:
    """The whole message for `problems` found in `subject` ("stack 'dev'", a file name)."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    body = "\n".join(f"  {problem}" for problem in problems)
    return f"{count} in {subject}; no resource was registered.\n{body}"


HIDDEN: Final = "(hidden)"
"""Stands for a value that holds a secret."""


def broken(rule: str, cure: str, *, hide: bool = False) -> PydanticCustomError:
    """An error for a pydantic validator to raise; `from_pydantic` turns it back into rule and cure."""
    return PydanticCustomError("broken_rule", "{rule}", {"rule": rule, "cure": cure, "hide": hide})


def nearest(word: str, known: Iterable[str]) -> str:
    """A cure for a name that is not known: the nearest right one first, then all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word[:_WORD_MAX], names, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}known: {', '.join(names)}"


def from_pydantic(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[Problem]:
    """Translate pydantic's errors about `model`; `prefix` is put before every key."""
    found = error.errors(include_url=False)
    problems: list[Problem] = []
    for place, group in itertools.groupby(found, _place):
        one, *others = group
        problems += [_of_no_type(place, [one, *others], model, prefix)] if others else [_translate(one, model, prefix)]
    return problems


def _place(details: ErrorDetails) -> tuple[int | str, ...]:
    """Where the value is. Of a key that takes several types, pydantic tells each by itself, its name at the end."""
    location = details["loc"]
    return location[:-1] if location and location[-1] in _TYPES and details["type"] != "missing" else location


def _of_no_type(
    place: tuple[int | str, ...], errors: Sequence[ErrorDetails], model: type[BaseModel], prefix: str
) -> Problem:
    names = [_TYPES[part] for part in (details["loc"][-1] for details in errors) if part in _TYPES]
    rule = f"must be one of these: {', '.join(dict.fromkeys(names))}"
    return Problem(prefix + _path(place), errors[0]["input"], rule, f"give {_description(model, place)}")


def _translate(details: ErrorDetails, model: type[BaseModel], prefix: str) -> Problem:
    location = details["loc"]
    key = prefix + _path(location)
    value: object = details["input"]
    kind = details["type"]
    context = details.get("ctx", {})
    if kind == "broken_rule":
        return Problem(key, HIDDEN if context["hide"] else value, str(context["rule"]), str(context["cure"]))
    if kind == "extra_forbidden":
        owner = _model_at(model, location[:-1]) or model
        names = [field.alias or name for name, field in owner.model_fields.items()]
        moved: Mapping[str, str] = getattr(owner, "moved", {})
        cure = moved.get(str(location[-1])) or nearest(str(location[-1]), names)
        return Problem(key, value, "this key does not exist", cure)
    description = _description(model, location)
    if kind == "missing":
        return Problem(key, None, "this key is required", f"set it: {description}")
    if kind == "literal_error":
        return Problem(key, value, f"must be one of {context['expected']}", f"choose one: {description}")
    if kind.startswith("bool"):
        return Problem(key, value, "must be true or false", f"write true or false: {description}")
    return Problem(key, value, *_in_our_words(details, description))


def _in_our_words(details: ErrorDetails, description: str) -> tuple[str, str]:
    """Rule and cure of a value that has the wrong type or size."""
    if details["type"] == "string_type" and isinstance(details["input"], (int, float)):
        return "must be a text", f"put it in quotes: {description}"
    rule = details["msg"][0].lower() + details["msg"][1:]
    return rule.replace("input should", "must"), f"give {description}"


def _path(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that holds the keys at `location`, found by walking field annotations."""
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        if current is None:
            return None
        field = next((f for n, f in current.model_fields.items() if part in (n, f.alias)), None)
        if field is None:
            return None
        current = _inner_model(field.annotation)
    return current


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None


def _description(model: type[BaseModel], location: Sequence[int | str]) -> str:
    names = [part for part in location if isinstance(part, str)]
    if not names:
        return "a mapping of the keys in the README's config reference"
    owner = _model_at(model, location[: len(location) - 1 - list(reversed(location)).index(names[-1])])
    for name, field in (owner or model).model_fields.items():
        if names[-1] in (name, field.alias) and field.description:
            return field.description
    return f"a value for {names[-1]}"


def _shown(value: object) -> str:
    if value is None:
        return "(not set)"
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."

"""Validators of pydantic fields that several models share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from validation.problems import HIDDEN, RuleError, broken


def ruled(check: Callable[[str], object]) -> Callable[[str], str]:
    """A validator from a rule that raises `RuleError`."""

    def validate(value: str) -> str:
        try:
            check(value)
        except RuleError as error:
            raise broken(error.rule, error.fix, hide=error.value == HIDDEN) from None
        return value

    return validate


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Reject a value that is listed twice."""
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise broken(f"each is listed once, and {twice[0]!r} is listed again", "remove it")
    return values


def mode_or_create(value: object) -> object:
    """Mode of a mapping, or of its model; `create` where it names none."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value).get("mode", "create")
    return getattr(value, "mode", None)

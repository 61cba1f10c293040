"""The configs that ship, with one thing changed, and what the settings say of them."""

from __future__ import annotations

from typing import Any

import settings
from tests import stacks
from validation.problems import Problem

Config = dict[str, Any]


def shipped(environment: str) -> Config:
    """The config of an environment, as its file has it."""
    return stacks.config(environment)


def put(config: Config, path: str, value: object) -> Config:
    """`config` with `value` at `path`, written as a message writes it: `domains[0].zone`."""
    place, last = _place(config, path)
    place[last] = value
    return config


def remove(config: Config, path: str) -> Config:
    """`config` with nothing at `path`."""
    place, last = _place(config, path)
    del place[last]
    return config


def _place(config: Config, path: str) -> tuple[Any, Any]:
    first, *steps = [int(s) if s.isdigit() else s for s in path.replace("[", ".").replace("]", "").split(".")]
    place: Any = config
    last: Any = first if ":" in str(first) else f"dynamo-a4x:{first}"
    for step in steps:
        place, last = (place[last] if isinstance(last, int) else place.setdefault(last, {})), step
    return place, last


def problems(config: Config, environment: str) -> list[Problem]:
    """What is reported of a config; nothing where it is accepted."""
    try:
        settings.parse(config, environment)
    except settings.SettingsError as error:
        return error.problems
    return []

"""The configuration of the barrier, one JSON object that the program writes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, cast

FINALIZER: Final = "dynamo-a4x/teardown-barrier"
"""Finalizer of the barrier's Deployment, which only the barrier removes."""


class ConfigError(Exception):
    """An invalid configuration; the text says what is wrong."""


@dataclass(frozen=True)
class Config:
    """What the barrier waits for."""

    stack: str
    """Name of the serving stack: the names of its graphs begin with it."""

    deployment: str
    """Name of the barrier's own Deployment."""

    poll_seconds: float = 3.0
    """Pause between two looks."""

    def dump(self) -> str:
        """The file's content."""
        return json.dumps(asdict(self), indent=2)


def parse(source: str) -> Config:
    """The configuration in `source`. Raises `ConfigError`."""
    try:
        value: Any = json.loads(source)
    except json.JSONDecodeError as error:
        raise ConfigError(f"the configuration is not JSON: {error}") from None
    known = {field.name for field in fields(Config)}
    if not isinstance(value, dict) or set(cast("dict[str, Any]", value)) != known:
        raise ConfigError(f"the configuration must be an object with {', '.join(sorted(known))}")
    return Config(**cast("dict[str, Any]", value))

"""What a rule is, and what it sees of a resource."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, TypeGuard

Level = Literal["mandatory", "advisory"]


class _Unknown:
    def __repr__(self) -> str:
        return "(known after the up)"


UNKNOWN: Final = _Unknown()
"""A value that a preview does not know. No rule judges it; the `up` does, before the resource is created."""


@dataclass(frozen=True)
class Provider:
    """The provider of a resource."""

    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """A resource as the program registers it."""

    type: str
    name: str
    urn: str
    inputs: Mapping[str, Any]
    protect: bool = False
    provider: Provider | None = None
    secrets: frozenset[tuple[str, ...]] | None = None
    """Paths of the inputs that are marked as secret; None if the engine has not told."""


@dataclass(frozen=True)
class Run:
    """One preview or up."""

    project: str
    stack: str
    config: Callable[[str], str | None]
    """A value of the stack's config by its full key, such as `gcp:project`; secrets in plaintext."""
    seen: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    """What rules about several resources remember: by rule, then by URN, because a resource may come twice."""

    def remember(self, rule: str, urn: str, value: Any) -> dict[str, Any]:
        """Note a resource's value; returns the values of the other resources of this run."""
        noted = self.seen.setdefault(rule, {})
        noted[urn] = value
        return {other: known for other, known in noted.items() if other != urn}


@dataclass(frozen=True)
class Finding:
    """What is wrong with a resource, and what to do."""

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}. {self.fix}"


@dataclass(frozen=True)
class Setting:
    """A part of a rule that a company may change without changing the rule."""

    meaning: str
    default: Any
    schema: Mapping[str, Any]
    """JSON schema of the value."""


Settings = Mapping[str, Any]
Check = Callable[[Resource, Settings, Run], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """One rule of the pack."""

    name: str
    text: str
    """The rule in one sentence; begins every message."""
    level: Level
    check: Check
    settings: Mapping[str, Setting] = field(default_factory=dict[str, Setting])
    sees_secrets: bool = False
    """Whether the check needs `Resource.secrets`."""

    def findings(self, resource: Resource, settings: Settings, run: Run) -> list[Finding]:
        """What the resource violates; `settings` override the defaults."""
        defaults = {name: setting.default for name, setting in self.settings.items()}
        return [*self._misspelt(settings, run), *self.check(resource, {**defaults, **settings}, run)]

    def _misspelt(self, settings: Settings, run: Run) -> Iterator[Finding]:
        """Settings that the rule does not have, once in a run: ignored ones would protect nothing."""
        for name in settings.keys() - self.settings.keys():
            if not run.remember(f"{self.name}.{name}", "config", True):
                run.remember(f"{self.name}.{name}", "told", True)
                yield Finding(f"the pack's config sets {name}, which this rule does not have", self.choices())

    def choices(self) -> str:
        """The settings to choose from, for a message."""
        return f"Settings: {', '.join(self.settings)}" if self.settings else "It has no settings"


def matches(value: str, pattern: str, *, below: bool = False) -> bool:
    """Whether a value matches a pattern, segment by segment: `*` stays between two slashes.

    `below`: also what lies below the pattern, as an image lies below its registry.
    """
    parts, wanted = value.split("/"), pattern.rstrip("/").split("/")
    fits = len(parts) >= len(wanted) if below else len(parts) == len(wanted)
    return fits and all(map(fnmatchcase, parts, wanted))


def filled(patterns: Iterable[Any], run: Run) -> list[str]:
    """Patterns with the project's id for {project}; without those that need it where it is not set."""
    project = run.config("gcp:project") or ""
    return [str(one).replace("{project}", project) for one in patterns if project or "{project}" not in str(one)]


def mappings(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every mapping in a value, the outer ones first, with its path."""
    if is_mapping(value):
        yield path, value
    inner = value.items() if is_mapping(value) else enumerate(value) if is_list(value) else ()
    for key, item in inner:
        yield from mappings(item, (*path, str(key)))


def strings(meaning: str, *default: str) -> Setting:
    """A setting that is a list of strings."""
    return Setting(meaning, list(default), {"type": "array", "items": {"type": "string"}})


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether an input is a mapping."""
    return isinstance(value, Mapping)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether an input is a list."""
    return isinstance(value, list)


def at(value: Any, path: str) -> Any:
    """The value at a dotted path: None if there is none, UNKNOWN if it or a parent is not known."""
    for step in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(step) if is_mapping(value) else None
    return value


def items(value: Any) -> list[Any]:
    """The known items of what should be a list."""
    return [item for item in value if item is not UNKNOWN] if is_list(value) else []


def differs(resource: Resource, path: str, *allowed: Any) -> bool:
    """Whether the input at `path` is known and has none of the allowed values."""
    found = at(resource.inputs, path)
    return found is not UNKNOWN and found not in allowed


def shown(resource: Resource, path: str) -> str:
    """`path = value`, for a message."""
    found = at(resource.inputs, path)
    return f"{path} is not set" if found is None else f"{path} = {text(found)}"


def text(value: Any) -> str:
    """A value as JSON, whole numbers without the fraction that the wire gives them."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr(value) if value is UNKNOWN else json.dumps(value, default=repr)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is neither a mapping nor a list, with its path."""
    if is_mapping(value):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif is_list(value):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, str(index)))
    else:
        yield path, value

"""What differs between the inputs of a resource before and after, field by field."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import yaml

from change_report.model import MOST, FieldChange, short
from policy.cleartext import CREDENTIALS
from rehearsal.simulator.values import UNKNOWN_TEXTS

Names: TypeAlias = Mapping[str, str]
"""Random values of a rehearsal, and what to write in their place."""

_ABSENT: Final = object()
_KNOWN_LATER: Final = "(known after up)"
_HASHED: Final = re.compile(r"(?P<stem>.*-)?[0-9a-f]{8}([0-9a-f]{8})?", re.DOTALL)
_HASHED_PATHS: Final = (".name", "/pod-template")
"""Ends of paths whose values may follow from other content: names of ConfigMaps, and the hash of a pod template."""
_HIDDEN: Final = "(hidden)"
_CIPHERTEXT: Final = "(secret, "
"""Begins the mask of an encrypted value."""
_SECRET_NAME: Final = re.compile(
    r"(?:^|[.:_\-]|(?<=[a-z]))(?:[Tt]oken|TOKEN|[Ss]ecret|SECRET|[Pp]assword|PASSWORD|api[_-]?key|[Aa]piKey|API_?KEY)(?=$|[.\[])"
)
"""Names of fields whose values are secrets, encrypted or not."""
_LINES: Final = 6
"""Lines of a text that are shown."""


def differences(
    before: Any, after: Any, names: Names | None = None, *, recreated: bool = False
) -> tuple[FieldChange, ...]:
    """Every field that differs, in the order of its path; at most `MOST`.

    A list of mappings with names is compared by name, a text that is a YAML mapping by key, another text of several
    lines by line. What follows from other fields (a hash of content in a name) is left out, and of a resource that is
    `recreated` what is known only then.
    """
    found = [
        FieldChange(path=short(path), before=_shown(path, old, names), after=_shown(path, new, names))
        for path, old, new in _differences(before, after, "")
        if not _derived(path, old, new, names) and not (recreated and _unknown(new))
    ]
    return tuple(sorted(found, key=lambda one: one.path)[:MOST])


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    pair = _as_mappings(before, after)
    if pair is not None:
        old, new = pair
        for key in (*old, *(key for key in new if key not in old)):
            yield from _differences(_value(old, key), _value(new, key), _joined(path, key))
    elif isinstance(before, list) and isinstance(after, list):
        olds, news = cast("list[Any]", before), cast("list[Any]", after)
        for index in range(max(len(olds), len(news))):
            yield from _differences(_at(olds, index), _at(news, index), f"{path}[{index}]")
    elif before == after and isinstance(before, bool) == isinstance(after, bool):
        return
    elif isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield (path, *_lines(before, after))
    else:
        yield path, before, after


def _value(values: Mapping[str, Any], key: str) -> Any:
    """The value of a key; null counts as missing, as it does for the engine."""
    found = values.get(key)
    return _ABSENT if found is None else found


def _as_mappings(before: Any, after: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Both values as mappings, where that is what they are at heart."""
    for read in (_mapping, _by_name, _parsed):
        # What is new or gone is shown leaf by leaf as well.
        old = {} if before is _ABSENT else read(before)
        new = {} if after is _ABSENT else read(after)
        if old is not None and new is not None and (old or new):
            return old, new
    return None


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _by_name(value: Any) -> dict[str, Any] | None:
    """A list of mappings by their `name`; None unless each has one of its own."""
    if not isinstance(value, list):
        return None
    every = cast("list[Any]", value)
    named = [cast("dict[str, Any]", item) for item in every if isinstance(item, dict) and "name" in item]
    if any(_unknown(item["name"]) for item in named):
        return None
    found = {str(item["name"]): {key: inner for key, inner in item.items() if key != "name"} for item in named}
    return found if len(found) == len(every) else None


def _parsed(value: Any) -> dict[str, Any] | None:
    """A text of several lines that is a YAML or JSON mapping."""
    if not isinstance(value, str) or "\n" not in value.strip():
        return None
    try:
        content: Any = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return {str(key): item for key, item in cast("dict[Any, Any]", content).items()}


def _lines(before: str, after: str) -> tuple[Any, Any]:
    """The lines that only one of two texts has."""
    compared = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    gone = [line[2:].strip() for line in compared if line.startswith("- ")]
    new = [line[2:].strip() for line in compared if line.startswith("+ ")]
    return _some(gone), _some(new)


def _some(lines: Sequence[str]) -> Any:
    if not lines:
        return _ABSENT
    return " ⏎ ".join([*lines[:_LINES], *(["…"] if lines[_LINES:] else [])])


def _at(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else _ABSENT


def _joined(path: str, key: str) -> str:
    key = key if re.fullmatch(r"[\w:-]+", key) else f"[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path and not key.startswith("[") else f"{path}{key}"


def _derived(path: str, old: Any, new: Any, names: Names | None) -> bool:
    """Whether a difference follows from another one: a hash of content, a random suffix."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    if _unknown(new) and any(random in old for random in names or ()):
        return True
    if not path.rstrip('"]').endswith(_HASHED_PATHS):
        return False
    was, becomes = _HASHED.fullmatch(old), _HASHED.fullmatch(new)
    return was is not None and (_unknown(new) or (becomes is not None and was["stem"] == becomes["stem"]))


def _shown(path: str, value: Any, names: Names | None) -> str | None:
    if value is _ABSENT:
        return None
    if _SECRET_NAME.search(path) and not (isinstance(value, str) and value.startswith(_CIPHERTEXT)):
        return _HIDDEN
    if _unknown(value):
        return _KNOWN_LATER
    text = value if isinstance(value, str) else json.dumps(_cleaned(value), ensure_ascii=False, sort_keys=True)
    return short(with_names(text, names or {}))


def with_names(text: str, names: Names) -> str:
    """A text with a word in place of each random value, and without what looks like a secret."""
    for random, word in names.items():
        text = text.replace(random, word)
    return CREDENTIALS.sub(_HIDDEN, text)


def _unknown(value: Any) -> bool:
    return isinstance(value, str) and value in UNKNOWN_TEXTS


def _cleaned(value: Any) -> Any:
    """Unknown values inside a structure in words."""
    if _unknown(value):
        return _KNOWN_LATER
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in cast("list[Any]", value)]
    return value


def below(path: str, changes: Iterable[FieldChange]) -> list[FieldChange]:
    """The same changes, with `path` before theirs."""
    return [change.model_copy(update={"path": short(f"{path}.{change.path}")}) for change in changes]

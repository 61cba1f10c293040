"""What is wrong with the pack's config.

    python -m policy.config [FILE]    # default: the project's own, policy/config.json

The engine ignores a rule or a setting that the pack does not have, and so would whoever misspelt one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from policy.catalog import RULES
from policy.rule import Rule, Setting, is_list, is_mapping

FILE: Final = Path(__file__).with_name("config.json")
_LEVELS: Final = ("advisory", "mandatory", "disabled")
_BY_NAME: Final = {rule.name: rule for rule in RULES}
_LEVEL: Final = "enforcementLevel"


def problems(file: Path = FILE) -> list[str]:
    """One message for each thing that is wrong with a file for `--policy-pack-config`."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return [f"{file.name} cannot be read: {getattr(error, 'strerror', None) or error}"]
    except ValueError as error:
        return [f"{file.name} is not valid JSON: {error}"]
    if not is_mapping(content):
        return [f"{file.name} is not a JSON object of rules"]
    return [f"{file.name}: {problem}" for name, value in content.items() for problem in _of(name, value)]


def _of(name: str, value: Any) -> Iterator[str]:
    rule = _BY_NAME.get(name)
    if rule is None and name != "all":
        yield f"there is no rule {name}{_meant(name, _BY_NAME)}"
    elif isinstance(value, str):
        yield from _level(name, value)
    elif not is_mapping(value):
        yield f"{name} is neither a level ({', '.join(_LEVELS)}) nor an object of settings"
    else:
        yield from _level(name, value.get(_LEVEL, "mandatory"))
        for key in value.keys() - {_LEVEL}:
            yield from _setting(rule, name, key, value[key])


def _level(name: str, level: Any) -> Iterator[str]:
    if level not in _LEVELS:
        yield f"{name}: {json.dumps(level)} is not a level; choose one of {', '.join(_LEVELS)}"


def _setting(rule: Rule | None, name: str, key: str, value: Any) -> Iterator[str]:
    settings: Mapping[str, Setting] = rule.settings if rule else {}
    if key not in settings:
        yield f"{name} has no setting {key}{_meant(key, settings)}"
    elif not _fits(settings[key], value):
        kind = {"array": "a list of strings", "integer": "a whole number from 0"}[settings[key].schema["type"]]
        yield f"{name}.{key} = {json.dumps(value)} is not {kind}"


def _fits(setting: Setting, value: Any) -> bool:
    if setting.schema["type"] == "array":
        return is_list(value) and all(isinstance(item, str) for item in value)
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _meant(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is wrong; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    found = problems(Path(given[0])) if given else problems()
    for problem in found:
        print(f"policy: {problem}", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

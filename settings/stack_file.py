"""`Pulumi.<stack>.yaml` parsed as the engine parses it, for tools that run without the engine.

PyYAML follows YAML 1.1, where `on` is true, `12:30` is a number and `1e3` a string. The engine's parser (yaml.v3) does
not, and rejects a duplicate key, where PyYAML takes the last. Seen on Pulumi 3.259.0: `on` stays a string, `0123` and
`0o17` are octal, a number without a fraction is an integer however it is written, and a top-level key without a value
is an empty string.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final, cast

import yaml


class StackFileError(ValueError):
    """Not a valid stack file. The text is the whole message."""


def of_stack(stack: str, root: Path) -> dict[Any, Any]:
    """The `config:` mapping of `stack`, from its file in the folder `root`.

    Raises:
        StackFileError: there is no such file, it is not YAML, or has no such mapping.
    """
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in root.glob("Pulumi.*.yaml"))
        raise StackFileError(f"there is no {path.name}; stacks with a file: {', '.join(known) or 'none'}")
    return read(path)


def read(path: Path) -> dict[Any, Any]:
    """The `config:` mapping of the stack file at `path`.

    Raises:
        StackFileError: the file is not YAML, or has no such mapping.
    """
    try:
        content: Any = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StackFileError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    config: Any = cast("dict[Any, Any]", content).get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise StackFileError(f"{path.name} has no config: mapping")
    return {key: "" if value is None else value for key, value in cast("dict[Any, Any]", config).items()}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of yaml.v3."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


_INTEGER: Final = r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)"
_FLOAT: Final = r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_TAG}merge"
_BASES: Final = {"0b": 2, "0o": 8, "0x": 16}


def _bool(_: yaml.SafeLoader, node: Any) -> bool:
    return str(node.value).lower() == "true"


def _int(_: yaml.SafeLoader, node: Any) -> int:
    text = str(node.value).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    octal = digits.startswith("0") and digits.isdigit()
    return sign * int(digits, 8 if octal else _BASES.get(digits[:2], 10))


def _float(_: yaml.SafeLoader, node: Any) -> float | int:
    value = float(str(node.value).lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    return int(value) if value.is_integer() else value


def _mapping(loader: Any, node: yaml.MappingNode) -> Any:
    seen: set[Hashable] = set()
    for key, _ in node.value:
        if key.tag == _MERGE:
            continue
        name = loader.construct_object(key, deep=True)
        if not isinstance(name, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key must not be a list or a mapping", key.start_mark)
        if name in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {name} stands here twice", key.start_mark)
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


def _text(_: yaml.SafeLoader, node: Any) -> str:
    return str(node.value)


def _teach(loader: Any) -> None:
    """Register the scalars of yaml.v3: pattern, first characters and constructor of each."""
    for tag, pattern, first, construct in (
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF"), _bool),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""], None),
        ("merge", "<<", ["<"], _text),
        ("int", _INTEGER, list("-+0123456789"), _int),
        ("float", _FLOAT, list("-+.0123456789"), _float),
    ):
        loader.add_implicit_resolver(f"{_TAG}{tag}", re.compile(rf"(?:{pattern})\Z"), first)
        if construct is not None:
            loader.add_constructor(f"{_TAG}{tag}", construct)
    loader.add_constructor(f"{_TAG}map", _mapping)


_teach(_Loader)

"""The stack files of both sides: what differs in them, and which secrets they set. No secret is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from change_report import fields
from change_report.model import FieldChange
from change_report.trees import Tree
from rehearsal.simulator.values import mapping, text

PROJECT_FILE: Final = "Pulumi.yaml"
_DEEPEST: Final = 40


@dataclass(frozen=True)
class StackFile:
    """A stack file; empty if there is none that can be read (the program says what is wrong with it)."""

    content: Mapping[str, Any]

    @property
    def secrets(self) -> Mapping[str, str]:
        """Ciphertexts by key without namespace."""
        return {_short(key): secret for key, value in self._config.items() if (secret := text(value, "secure"))}

    @property
    def shown(self) -> dict[str, Any]:
        """Config and everything beside it; of secrets only whether they differ."""
        config = {key: _masked(value) for key, value in self._config.items()}
        rest = {key: value for key, value in self.content.items() if key != "config"}
        if "encryptedkey" in rest:
            rest["encryptedkey"] = _masked({"secure": str(rest["encryptedkey"])})
        return {**rest, **config}

    @property
    def _config(self) -> dict[str, Any]:
        return mapping(self.content, "config")


def read(tree: Tree, name: str) -> StackFile:
    """The file of a stack."""
    return StackFile(_content(tree.root / f"Pulumi.{name}.yaml"))


def changes(base: Tree, head: Tree, name: str) -> tuple[FieldChange, ...]:
    """What differs in the file of a stack."""
    after = read(head, name)
    return fields.differences(read(base, name).shown, after.shown) if after.content else ()


def project_changes(base: Tree, head: Tree) -> tuple[FieldChange, ...]:
    """What differs in the project file."""
    return fields.differences(*(_content(tree.root / PROJECT_FILE) for tree in (base, head)))


def project_name(tree: Tree) -> str:
    """Name of the project: part of the identity of every resource."""
    return text(_content(tree.root / PROJECT_FILE), "name")


def other_secrets(base: Tree, head: Tree, name: str) -> dict[str, str]:
    """Made-up values for secrets whose ciphertext differs, so that the engine sees a change."""
    before, after = read(base, name).secrets, read(head, name).secrets
    return {key: f"made-up-{key}-changed" for key in after if before.get(key, after[key]) != after[key]}


def _content(path: Path) -> dict[str, Any]:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        plain = _plain(content)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return cast("dict[str, Any]", plain) if isinstance(plain, dict) else {}


def _plain(value: Any, depth: int = 0) -> Any:
    """YAML as JSON: keys and dates are texts. Raises `ValueError` for what is nested without end."""
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _masked(value: Any) -> Any:
    secret = text(value, "secure")
    return f"(secret, ciphertext …{secret[-6:]})" if secret else value


def _short(key: str) -> str:
    return key.rsplit(":", 1)[-1]

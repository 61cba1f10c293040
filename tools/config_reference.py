"""Writes docs/reference/config.md, the reference of the stack config, from the settings' models.

python -m tools.config_reference            # prints the page
python -m tools.config_reference --write    # writes it
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from settings import SECRETS, Settings
from settings.fields import Change
from tools import generated
from validation.problems import members, models

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "config.md"

_HEAD: Final = """\
# Config reference

<!-- Generated from the models in settings/ by `make generated`; do not edit. -->

Keys of `Pulumi.<stack>.yaml`, in the namespace `dynamo-a4x:` unless they have another. `gcp:project` and `gcp:region`
are the provider's own keys. A key that is not listed is an error, and so is a key that its mode does not have. Numbers
and booleans are also read as `pulumi config set --path` stores them.
"""

_SECRETS: Final = "`pulumi config set --secret KEY`. A preview runs without them, `pulumi up` does not."


@dataclass(frozen=True)
class Row:
    """One key: path, meaning, default, and the modes that have it, if not all do."""

    key: str
    meaning: str
    default: str
    modes: tuple[str, ...] = ()
    chooses: str = "mode"
    """The key with the mode: `mode` beside the key, or the path of another."""

    def __str__(self) -> str:
        only = f" (`{self.chooses}: {'`, `'.join(self.modes)}` only)" if self.modes else ""
        return f"| `{self.key}` | {self.meaning}{only} | {self.default} |"


def rows(model: type[BaseModel], path: str = "", parent: str = "", cost: Change | None = None) -> Iterator[Row]:
    """Every key of a model, each followed by the keys of its inner models; `parent` is an optional key, `cost` what a
    change of the whole costs.
    """
    for name, field in model.model_fields.items():
        key = field.alias or name
        if path or key != "environment":
            yield from _of_field(path, key, field, parent, cost)


def _of_field(path: str, key: str, field: FieldInfo, parent: str, cost: Change | None) -> Iterator[Row]:
    cost = next((mark for mark in field.metadata if isinstance(mark, Change)), cost)
    inner = list(models(field.annotation))
    if not inner:
        yield _row(path + key, field, parent, cost)
        return
    below = path + key + ("[]." if get_origin(field.annotation) is tuple else ".")
    parent = key if type(None) in get_args(field.annotation) else parent
    modes = members(field.annotation) or {"": inner[0]}
    found: dict[str, tuple[Row, list[str]]] = {}
    for mode, model in modes.items():
        for row in rows(model, below, parent, cost):
            found.setdefault(row.key, (row, []))[1].append(mode)
    # The mode first: the other keys depend on it.
    for row, having in sorted(found.values(), key=lambda entry: entry[0].key != f"{below}mode"):
        if row.key == f"{below}mode":
            yield replace(row, default="required" if field.is_required() else "`create`")
        elif row.modes:
            # A mode inside of this one says more.
            chooses = row.chooses if "." in row.chooses else f"{row.key.rpartition('.')[0]}.mode"
            yield replace(row, chooses=chooses)
        elif len(having) < len(modes):
            yield replace(row, modes=tuple(having))
        else:
            yield row


def _row(key: str, field: FieldInfo, parent: str, cost: Change | None) -> Row:
    text, _, stated = (field.description or "").replace("|", "\\|").partition("; default: ")
    value: Any = None if field.is_required() else field.get_default(call_default_factory=True)
    if field.is_required():
        default = f"required with `{parent}`" if parent else "required"
    elif value in (None, (), {}):
        default = stated or "none"
    else:
        default = f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"
    return Row(key, f"{text}. A change {cost.value}" if cost else text, default)


def page() -> str:
    """The content of docs/reference/config.md."""
    sections: dict[str, list[Row]] = {}
    for row in rows(Settings):
        top = row.key.partition(".")[0].removesuffix("[]")
        sections.setdefault(top if "." in row.key else "Environment", []).append(row)
    lines = [_HEAD]
    for title, found in sections.items():
        lines += [f"## {title}", "", "| key | meaning | default |", "|---|---|---|", *map(str, found), ""]
    lines += ["## Secrets", "", _SECRETS, "", "| key | value |", "|---|---|"]
    lines += [f"| `{key}` | {where} |" for key, where in SECRETS.items()]
    return "\n".join([*lines, ""])


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page, or write it."""
    generated.run(__doc__, DOCUMENT, page, command)


if __name__ == "__main__":
    main()

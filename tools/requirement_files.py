"""Reads the requirement files: what a person pins (`.in`), and what `make lock` makes of it (`.txt`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

_ENTRY: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^\s;]+)\s*(;\s*(?P<marker>.*))?")


@dataclass(frozen=True)
class Pin:
    """One exact requirement of a `.in` or `.txt` file."""

    name: str
    """As the index compares names: lower case, with hyphens."""
    version: str
    marker: str = ""
    hashes: tuple[str, ...] = ()
    """`sha256:...` of every file that may be installed; only in a `.txt`."""
    sources: tuple[str, ...] = ()
    """`.in` files that name the package; none if only another package needs it. Only in a `.txt`."""


def sources(root: Path = ROOT) -> list[Path]:
    """Every `.in` file that `make lock` reads: in the root and one folder below it."""
    return sorted([*root.glob("requirements*.in"), *root.glob("[!.]*/requirements*.in")])


def pins(text: str) -> list[Pin]:
    """The entries of a requirement file, `-r` lines not followed."""
    found: list[Pin] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", f"\n{text}")[1:]:
        entry = _ENTRY.match(block.partition("#")[0].partition("\\")[0].strip())
        if entry is None:
            continue
        comment = "\n".join(line for line in block.splitlines()[1:] if line.lstrip().startswith("#"))
        found.append(
            Pin(
                re.sub(r"[-_.]+", "-", entry["name"]).lower(),
                entry["version"],
                (entry["marker"] or "").strip(),
                tuple(re.findall(r"--hash=(sha256:[0-9a-f]{64})(?![0-9a-f])", block)),
                tuple(re.findall(r"-r (\S+\.in)", comment)),
            )
        )
    return found


def included(text: str) -> list[str]:
    """The files that a requirement file takes in by `-r`."""
    return re.findall(r"^-r (\S+)", text, re.MULTILINE)

"""The faults of `catalog.yaml`: by file, what is wrong, the right text, the wrong one, and the test that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from mutants.mutant import Mutant

FILE: Final = Path(__file__).with_name("catalog.yaml")


def _read() -> tuple[Mutant, ...]:
    listed: dict[str, list[dict[str, str]]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(
        Mutant(entry["fault"], path, entry["old"], entry["new"], entry["test"])
        for path, entries in listed.items()
        for entry in entries
    )


MUTANTS: Final = _read()

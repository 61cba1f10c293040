"""How generated catalogs are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def text(catalog: Mapping[str, Any]) -> str:
    """The file of a catalog: sorted, one entry per line, so that a new release is a small diff."""
    parts: list[str] = []
    for part, entries in catalog.items():
        lines = (f"    {json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in sorted(entries.items()))
        parts.append(f"  {json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(parts) + "\n}\n"

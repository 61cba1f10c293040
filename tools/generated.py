"""The command line of a tool that makes one file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def run(description: str | None, file: Path, content: Callable[[], str], command: Sequence[str] | None) -> None:
    """Print the content, or with `--write` write it into the file; `description` is the tool's docstring."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {file.name}")
    write: bool = parser.parse_args(command).write
    text = content()
    if write:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)

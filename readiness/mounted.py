"""Code of this program that runs in a pod: files in a ConfigMap, mounted below a working directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]


def read(paths: Iterable[str]) -> dict[str, str]:
    """Content of each file, by its path below the working directory, which is that below the project's folder."""
    return {path: (_ROOT / path).read_text(encoding="utf-8") for path in paths}


def key(path: str) -> str:
    """The key of a file in the ConfigMap, whose keys cannot contain slashes."""
    return path.replace("/", ".")


def command(module: str, config: str) -> list[str]:
    """The command that runs a package with the configuration in the file `config`.

    `-u`: unbuffered, so that the log can be followed. `-B`: the files are mounted read-only.
    """
    return ["python3", "-u", "-B", "-m", module, config]

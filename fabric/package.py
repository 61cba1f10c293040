"""What the test needs in its pods: its files, the command that runs it, and a variable."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CONFIG_KEY: Final = "fabric.json"
"""Key of the configuration in the ConfigMap, see `fabric.config`."""

NODE: Final = "NODE_NAME"
"""Variable with the name of the pod's node."""

_ROOT: Final = Path(__file__).resolve().parents[1]
_BORROWED: Final = ("readiness/__init__.py", "readiness/message.py")


def source_files() -> dict[str, str]:
    """Content of every file that the command needs, by path below the working directory."""
    own = sorted(path.relative_to(_ROOT).as_posix() for path in Path(__file__).parent.glob("*.py"))
    return {path: (_ROOT / path).read_text(encoding="utf-8") for path in (*own, *_BORROWED)}


def key(path: str) -> str:
    """The key of a file in the ConfigMap, whose keys cannot contain slashes."""
    return path.replace("/", ".")


def command(config_folder: str) -> str:
    """The container's shell command, with the configuration mounted at `config_folder`.

    `-u`: unbuffered, so that the log can be followed. `-B`: the files are mounted read-only.
    """
    return f"exec python3 -u -B -m fabric {config_folder}/{CONFIG_KEY}"

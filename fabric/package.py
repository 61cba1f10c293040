"""What the program must give the test: its files, the command that runs it, and a variable."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CONFIG_KEY: Final = "fabric.json"
"""Key of the ConfigMap that holds the configuration, see `fabric.config`."""

NODE: Final = "NODE_NAME"
"""Variable with the name of the pod's node."""

_ROOT: Final = Path(__file__).resolve().parents[1]
_BORROWED: Final = ("readiness/__init__.py", "readiness/message.py")


def source_files() -> dict[str, str]:
    """Path below the working directory to content, of every file that the command needs."""
    own = sorted(path.relative_to(_ROOT).as_posix() for path in Path(__file__).parent.glob("*.py"))
    return {path: (_ROOT / path).read_text(encoding="utf-8") for path in (*own, *_BORROWED)}


def key(path: str) -> str:
    """The key of a file in the ConfigMap, which allows no slash."""
    return path.replace("/", ".")


def command(config_folder: str) -> str:
    """What the container's shell runs, with the configuration mounted at `config_folder`.

    `-u`: the log is followed while the test runs. `-B`: the files are mounted read-only.
    """
    return f"exec python3 -u -B -m fabric {config_folder}/{CONFIG_KEY}"

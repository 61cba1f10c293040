"""What the test needs in its pods: its files, the command that runs it, and a variable."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from readiness import mounted

CONFIG_KEY: Final = "fabric.json"
"""Key of the configuration in the ConfigMap, see `fabric.config`."""

NODE: Final = "NODE_NAME"
"""Variable with the name of the pod's node."""

_BORROWED: Final = ("readiness/__init__.py", "readiness/message.py", "readiness/mounted.py")


def source_files() -> dict[str, str]:
    """Content of every file that the command needs, by path below the working directory."""
    return mounted.read([*(f"fabric/{path.name}" for path in sorted(Path(__file__).parent.glob("*.py"))), *_BORROWED])


def command(config_folder: str) -> str:
    """The container's shell command, with the configuration mounted at `config_folder`."""
    return f"exec {' '.join(mounted.command('fabric', f'{config_folder}/{CONFIG_KEY}'))}"

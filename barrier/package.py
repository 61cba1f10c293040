"""What the barrier needs in the cluster, as data: its files, its command and its permissions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from barrier.remains import KINDS
from readiness.package import PolicyRule

CONFIG_KEY: Final = "barrier.json"
"""Key of the configuration in the ConfigMap, see `barrier.config`."""

_ROOT: Final = Path(__file__).resolve().parents[1]
_FILES: Final = (
    *(f"barrier/{name}.py" for name in ("__init__", "__main__", "config", "remains")),
    *(f"readiness/{name}.py" for name in ("__init__", "config", "fields", "kubernetes", "web")),
)


def rules() -> list[PolicyRule]:
    """All permissions of the barrier, in the namespace of its stack: it reads, and releases its own Deployment."""
    plurals: dict[str, list[str]] = {}
    for kind in KINDS:
        plurals.setdefault(kind.group, []).append(kind.plural)
    return [
        {"api_groups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
        *({"api_groups": [group], "resources": names, "verbs": ["list"]} for group, names in plurals.items()),
    ]


def source_files() -> dict[str, str]:
    """Content of every file that the command needs, by path below the working directory."""
    return {path: (_ROOT / path).read_text(encoding="utf-8") for path in _FILES}


def key(path: str) -> str:
    """The key of a file in the ConfigMap, whose keys cannot contain slashes."""
    return path.replace("/", ".")


def command(config_folder: str) -> list[str]:
    """The container's command, with the configuration mounted at `config_folder`.

    `-u`: unbuffered, so that the log can be followed. `-B`: the files are mounted read-only.
    """
    return ["python3", "-u", "-B", "-m", "barrier", f"{config_folder}/{CONFIG_KEY}"]

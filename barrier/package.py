"""What the barrier needs in the cluster, as data: its files, its command and its permissions."""

from __future__ import annotations

from typing import Final

from barrier.leftovers import KINDS
from readiness import mounted
from readiness.package import PolicyRule

CONFIG_KEY: Final = "barrier.json"
"""Key of the configuration in the ConfigMap, see `barrier.config`."""

_FILES: Final = (
    *(f"barrier/{name}.py" for name in ("__init__", "__main__", "config", "leftovers")),
    *(f"readiness/{name}.py" for name in ("__init__", "config", "fields", "kubernetes", "web")),
)


def rules(deployment: str) -> list[PolicyRule]:
    """All permissions of the barrier, in the namespace of its stack: it lists, and releases its own Deployment."""
    plurals: dict[str, list[str]] = {}
    for kind in KINDS:
        plurals.setdefault(kind.group, []).append(kind.plural)
    return [
        {
            "api_groups": ["apps"],
            "resources": ["deployments"],
            "resource_names": [deployment],
            "verbs": ["get", "patch"],
        },
        *({"api_groups": [group], "resources": names, "verbs": ["list"]} for group, names in plurals.items()),
    ]


def source_files() -> dict[str, str]:
    """Content of every file that the command needs, by path below the working directory."""
    return mounted.read(_FILES)


def command(config_folder: str) -> list[str]:
    """The container's command, with the configuration mounted at `config_folder`."""
    return mounted.command("barrier", f"{config_folder}/{CONFIG_KEY}")

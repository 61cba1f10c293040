"""What the program must give the check: its files and its rights. Both as data, so that neither is written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypedDict

PACKAGE: Final = "readiness"
"""The folder that holds the files of `source_files`; its parent is the working directory of `COMMAND`."""

CONFIG_KEY: Final = "check.json"
"""Key of the ConfigMap that holds the configuration, see `readiness.config`."""


class PolicyRule(TypedDict):
    """One rule of a Role, in the form that pulumi_kubernetes takes."""

    api_groups: list[str]
    resources: list[str]
    verbs: list[str]


RULES: Final[tuple[PolicyRule, ...]] = (
    {"api_groups": [""], "resources": ["pods"], "verbs": ["list"]},
    # the last words of a container that crashed without a termination message
    {"api_groups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    # reads why pods wait; writes its progress on its own Job
    {"api_groups": [""], "resources": ["events"], "verbs": ["list", "create", "patch"]},
    {"api_groups": ["grove.io"], "resources": ["podcliques"], "verbs": ["list"]},
    {"api_groups": ["nvidia.com"], "resources": ["dynamographdeployments"], "verbs": ["get"]},
)
"""All that the check asks of the Kubernetes API, in the namespace of its stack."""


def source_files() -> dict[str, str]:
    """The package's own files by name, in order: the data of the ConfigMap that carries it into the cluster."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))}


def command(config_folder: str) -> list[str]:
    """What the container runs, with the configuration mounted at `config_folder`.

    `-u`: the log is followed while the check runs. `-B`: the files are mounted read-only.
    """
    return ["python3", "-u", "-B", "-m", PACKAGE, f"{config_folder}/{CONFIG_KEY}"]

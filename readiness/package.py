"""What the check needs in the cluster, as data: its files and its permissions."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NotRequired, TypedDict

from readiness import mounted

PACKAGE: Final = "readiness"
"""The folder for the files of `source_files`; its parent is the working directory of `command`."""

CONFIG_KEY: Final = "check.json"
"""Key of the configuration in the ConfigMap, see `readiness.config`."""


class PolicyRule(TypedDict):
    """One rule of a Role, in the format of pulumi_kubernetes."""

    api_groups: list[str]
    resources: list[str]
    resource_names: NotRequired[list[str]]
    verbs: list[str]


RULES: Final[tuple[PolicyRule, ...]] = (
    {"api_groups": [""], "resources": ["pods"], "verbs": ["list"]},
    # the log of a container that crashed without a termination message
    {"api_groups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    # reads why pods wait; writes progress events on its own Job
    {"api_groups": [""], "resources": ["events"], "verbs": ["list", "create", "patch"]},
    {"api_groups": ["grove.io"], "resources": ["podcliques"], "verbs": ["list"]},
    {"api_groups": ["nvidia.com"], "resources": ["dynamographdeployments"], "verbs": ["get"]},
    # why a gang is not placed
    {"api_groups": ["scheduling.run.ai"], "resources": ["podgroups"], "verbs": ["list"]},
)
"""All permissions of the check, in the namespace of its stack."""


def source_files() -> dict[str, str]:
    """The package's own files by name, sorted: the data of its ConfigMap."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))}


def command(config_folder: str) -> list[str]:
    """The container's command, with the configuration mounted at `config_folder`."""
    return mounted.command(PACKAGE, f"{config_folder}/{CONFIG_KEY}")

"""A small pod that runs this program's own Python code from a ConfigMap, without any privilege."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from manifests import restricted
from reference import machines
from reference.capacity import Size

CODE_FOLDER, CONFIG_FOLDER = "/opt/code", "/config"


class PythonPodArgs(TypedDict):
    """Inputs of `python_pod`."""

    name: str
    """Name of its container."""

    image: str
    """Image with Python."""

    account: pulumi.Input[str]
    """Service account, with whose token the code asks the API server."""

    config_map: pulumi.Input[str]
    """ConfigMap with the code and its configuration."""

    files: Mapping[str, str]
    """Path of each file of the code below the working directory, and its key in the ConfigMap."""

    config_key: str
    """Key of the configuration in the ConfigMap, and its name in `CONFIG_FOLDER`."""

    command: list[str]
    """The container's command."""

    requests: Size
    """CPU and memory."""

    tolerations: list[machines.Toleration]
    """For the taints of its nodes."""

    on_a4x: bool
    """Whether it may run on A4X nodes; else it runs on an amd64 node."""


def python_pod(args: PythonPodArgs) -> kubernetes.core.v1.PodSpecArgsDict:
    """The spec of the pod, without restart policy: the code as packages in one folder, the configuration in another."""
    code: list[kubernetes.core.v1.KeyToPathArgsDict] = [
        {"key": key, "path": path} for path, key in args["files"].items()
    ]
    config: list[kubernetes.core.v1.KeyToPathArgsDict] = [{"key": args["config_key"], "path": args["config_key"]}]
    return {
        "service_account_name": args["account"],
        "automount_service_account_token": True,
        "enable_service_links": False,
        "node_selector": {} if args["on_a4x"] else {machines.ARCH_KEY: "amd64"},
        "tolerations": [{**toleration} for toleration in args["tolerations"]],
        "security_context": restricted.pod(),
        "containers": [
            {
                "name": args["name"],
                "image": args["image"],
                "working_dir": CODE_FOLDER,
                "command": args["command"],
                "resources": {"requests": args["requests"].requests(), "limits": {"cpu": "1", "memory": "256Mi"}},
                "security_context": restricted.container(read_only=True),
                "volume_mounts": [
                    {"name": "code", "mount_path": CODE_FOLDER, "read_only": True},
                    {"name": "config", "mount_path": CONFIG_FOLDER, "read_only": True},
                ],
            }
        ],
        "volumes": [
            {"name": "code", "config_map": {"name": args["config_map"], "items": code}},
            {"name": "config", "config_map": {"name": args["config_map"], "items": config}},
        ],
    }

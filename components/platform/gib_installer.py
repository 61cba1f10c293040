"""Google's NCCL gIB plugin on every A4X node: what makes NCCL use the CX-7 NICs."""

from __future__ import annotations

from typing import Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from reference import gib, machines, naming
from reference.machines import A4X

_PAUSE: Final = "gke.gcr.io/pause:3.8@sha256:880e63f94b145e46f1b1082bb71b85e21f16b99b180b9996407d61240ceb9830"
_APP: Final = "nccl-rdma-installer"
_NAMESPACE: Final = "kube-system"
_MOUNT_ROOT: Final = "/usr/local/home/kubernetes/bin"


class GibInstallerArgs(TypedDict):
    """Inputs of `GibInstaller`."""

    environment: str
    """Label value: which environment of the program owns the installer."""
    provider: kubernetes.Provider
    """Kubernetes provider of the cluster."""
    node_pools: pulumi.Input[list[str]]
    """The A4X node pools, each told from a successor of the same name (`name@place`). Written on the DaemonSet, so
    that a further pool, or a new one in the place of an old one, is a change of it that ends when the plugin is
    there too; outside its pod template, a change of which would run the installer again underneath the libraries
    of running workloads. No values of the pools themselves, or the DaemonSet would be deleted before a pool is
    replaced: let the component depend on them."""
    version: str
    """Tag of the plugin's image. After a change restart the serving stacks, so
    that they read the plugin's environment (set_nccl_env.sh) again."""
    install_nccl: bool
    """Whether the plugin's own NCCL is put beside it, where the serving image's library path finds it before
    the image's NCCL, as the recipe was tuned. Switch it off for an image that needs a newer
    NCCL than the plugin brings (symptom: an undefined symbol such as ncclWaitSignal)."""


class GibInstaller(pulumi.ComponentResource):
    """The DaemonSet `nccl-rdma-installer`, which copies the plugin to the host.

    Hides where Container-Optimized OS keeps the driver and the plugin (`machines.DRIVER_ROOT`, `machines.GIB_ROOT`):
    pods mount both from there. It is done when every A4X node has finished the copy.
    """

    version: pulumi.Output[str]
    """Installed version, once it is on every node."""

    def __init__(self, name: str, args: GibInstallerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:GibInstaller", name, {}, opts)
        version = args["version"]
        selector = {"k8s-app": _APP}
        install = "/scripts/container_entry.sh install"
        if args["install_nccl"]:
            install += " --install-nccl"
        script = "\n".join(
            [
                "set -ex",
                install,
                f"cp -r /var/lib/gib/lib64/. {_MOUNT_ROOT}/nvidia/lib64",
                f"cp -r /var/lib/gib/. {_MOUNT_ROOT}/gib",
            ]
        )

        def joined(pools: list[str]) -> str:
            return ",".join(sorted(pools))

        daemon_set = kubernetes.apps.v1.DaemonSet(
            f"{name}-installer",
            metadata={
                "name": _APP,
                "namespace": _NAMESPACE,
                "labels": {**naming.kubernetes_labels(args["environment"]), **selector},
                "annotations": {
                    f"{naming.PROJECT}/node-pools": pulumi.Output.from_input(args["node_pools"]).apply(joined),
                    f"{naming.PROJECT}/gib-version": version,
                },
            },
            spec={
                "selector": {"match_labels": selector},
                # One node at a time, the default, would take longer over many domains than the time-out allows.
                "update_strategy": {"type": "RollingUpdate", "rolling_update": {"max_unavailable": "50%"}},
                "template": {
                    "metadata": {"labels": {**selector, "name": _APP}},
                    "spec": {
                        "priority_class_name": "system-node-critical",
                        "host_network": True,
                        "host_pid": True,
                        "affinity": {
                            "node_affinity": {
                                "required_during_scheduling_ignored_during_execution": {
                                    "node_selector_terms": [
                                        {
                                            "match_expressions": [
                                                {
                                                    "key": machines.ACCELERATOR_KEY,
                                                    "operator": "In",
                                                    "values": [A4X.accelerator],
                                                },
                                                {
                                                    "key": machines.ARCH_KEY,
                                                    "operator": "In",
                                                    "values": [A4X.architecture],
                                                },
                                            ]
                                        }
                                    ]
                                }
                            }
                        },
                        # Every taint: the plugin belongs on a node before any workload, whatever keeps those
                        # off.
                        "tolerations": [{"operator": "Exists"}],
                        "volumes": [
                            {
                                "name": "libraries",
                                "host_path": {"path": f"{machines.DRIVER_ROOT}/lib64", "type": "DirectoryOrCreate"},
                            },
                            {"name": "gib", "host_path": {"path": machines.GIB_ROOT}},
                            # Mounted nowhere: type Directory holds the pod back until GKE has put the driver
                            # there.
                            {"name": "driver", "host_path": {"path": machines.DRIVER_ROOT, "type": "Directory"}},
                        ],
                        "init_containers": [
                            {
                                "name": _APP,
                                "image": f"{gib.IMAGE}:{version}",
                                "command": ["/bin/sh", "-c"],
                                "args": [script],
                                "resources": {"requests": {"cpu": "150m"}},
                                "security_context": {"privileged": True},
                                "volume_mounts": [
                                    {"name": "libraries", "mount_path": f"{_MOUNT_ROOT}/nvidia/lib64"},
                                    {"name": "gib", "mount_path": f"{_MOUNT_ROOT}/gib"},
                                ],
                            }
                        ],
                        "containers": [{"name": "pause", "image": _PAUSE}],
                    },
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=args["provider"],
                custom_timeouts=pulumi.CustomTimeouts(create="30m", update="30m"),
            ),
        )

        def installed(annotations: dict[str, str]) -> str:
            return annotations[f"{naming.PROJECT}/gib-version"]

        self.version = daemon_set.metadata.annotations.apply(installed)
        self.register_outputs({"version": self.version})

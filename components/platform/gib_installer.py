"""Google's NCCL gIB plugin, through which NCCL uses the CX-7 NICs, on every A4X node."""

from __future__ import annotations

from typing import Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from reference import gib, machines, naming
from reference.machines import A4X
from reference.mirrors import ImageMirrors

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
    """The A4X node pools as `name@place`, which distinguishes a pool from its replacement. In an annotation of the
    DaemonSet, so that an added or replaced pool is an update that waits until the plugin is there too; not in its pod
    template, a change of which would rerun the installer under the libraries of running workloads. Not outputs of the
    pools, or the DaemonSet would be deleted before a pool is replaced: let the component depend on them."""
    version: str
    """Tag of the plugin's image. After a change restart the serving stacks, so that they reread the plugin's
    environment (set_nccl_env.sh)."""
    mirrors: ImageMirrors
    """Mirrors of the images."""
    install_nccl: bool
    """Whether to install the plugin's own NCCL, which precedes the image's on the library path of the serving image, as
    in the recipe. Turn it off for an image that needs a newer NCCL than the plugin has (symptom: an undefined symbol
    such as ncclWaitSignal)."""


class GibInstaller(pulumi.ComponentResource):
    """The DaemonSet `nccl-rdma-installer`, which copies the plugin to the host.

    Pods mount driver and plugin from the host (`machines.DRIVER_ROOT`, `machines.GIB_ROOT`). Ready when every A4X node
    has finished the copy.
    """

    version: pulumi.Output[str]
    """Installed version, known once it is on every node."""

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
                # One node at a time, the default, would exceed the timeout with many domains.
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
                        # Every taint: the plugin must be on a node before any workload.
                        "tolerations": [{"operator": "Exists"}],
                        "volumes": [
                            {
                                "name": "libraries",
                                "host_path": {"path": f"{machines.DRIVER_ROOT}/lib64", "type": "DirectoryOrCreate"},
                            },
                            {"name": "gib", "host_path": {"path": machines.GIB_ROOT}},
                            # Not mounted: type Directory delays the pod until GKE has installed the driver.
                            {"name": "driver", "host_path": {"path": machines.DRIVER_ROOT, "type": "Directory"}},
                        ],
                        "init_containers": [
                            {
                                "name": _APP,
                                "image": args["mirrors"].of(f"{gib.IMAGE}:{version}"),
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
                        "containers": [{"name": "pause", "image": args["mirrors"].of(gib.PAUSE)}],
                    },
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=args["provider"],
                # Another label or annotation would run the installer again, under the libraries of running workloads.
                ignore_changes=["spec.template.metadata.labels", "spec.template.metadata.annotations"],
                custom_timeouts=pulumi.CustomTimeouts(create="30m", update="30m"),
            ),
        )

        def installed(annotations: dict[str, str]) -> str:
            return annotations[f"{naming.PROJECT}/gib-version"]

        self.version = daemon_set.metadata.annotations.apply(installed)
        self.register_outputs({"version": self.version})

"""NVIDIA's DRA driver: ComputeDomains, which let pods on different nodes share NVLink memory (IMEX)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from reference import charts, machines, namespaces, naming
from reference.machines import A4X
from reference.registry import NGC_USER

CHART: Final = "nvidia-dra-driver-gpu"
CHARTS: Final = "https://helm.ngc.nvidia.com/nvidia/charts"
"""Where NVIDIA publishes the chart, readable without an account."""

NAMESPACE: Final = namespaces.DRA_DRIVER

DEFAULT_VERSION: Final = "25.12.0"
"""First release that works on every GKE minor from 1.34 on; 25.3.0 and 25.3.1 make v1beta1 device classes,
which a 1.34 cluster does not serve."""

TIMEOUT_SECONDS: Final = 1200
"""Until all kubelet plugins run; a new node pulls the image through the NAT first."""


class DraDriverArgs(TypedDict):
    """Inputs of `DraDriver`."""

    environment: str
    """Label value: which environment of the program owns the driver."""
    provider: kubernetes.Provider
    """Kubernetes provider of the cluster."""
    nodes: pulumi.Input[int]
    """A4X nodes of the cluster, over all domains: the sum of their `nodes`. No value of a pool itself, or the quota
    would be deleted before the pool is replaced."""
    node_pools: NotRequired[Sequence[pulumi.Resource]]
    """The pools of these nodes: when the release is installed it ends once the driver runs on all of them, and it
    goes before them."""
    version: NotRequired[str]
    """Version of the chart; default `DEFAULT_VERSION`."""
    chart_source: NotRequired[str | None]
    """Mirror of the charts (URL, folder or `oci://`); default: NVIDIA's own place."""
    chart_key: NotRequired[pulumi.Input[str]]
    """NGC key to fetch the chart with; default: without a login."""
    system_tolerations: NotRequired[Sequence[machines.Toleration]]
    """Tolerations of the controller, for clusters whose system nodes are tainted; default none."""


class DraDriver(pulumi.ComponentResource):
    """Namespace, quota and Helm release of the DRA driver.

    Hides three traps: GKE admits pods of the system priority classes only into namespaces with a quota for
    them (without it the pods never appear, and Helm runs into its timeout); the driver root on
    Container-Optimized OS is not the chart's `/`; the chart's controller wants a control-plane node, which
    GKE does not show.
    """

    namespace: pulumi.Output[str]
    """Namespace of the driver."""
    status: pulumi.Output[str]
    """Status of the release; known once its kubelet plugins run, for what needs ComputeDomains to wait on."""

    def __init__(self, name: str, args: DraDriverArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:DraDriver", name, {}, opts)
        provider, labels = args["provider"], naming.kubernetes_labels(args["environment"])
        version = args.get("version", DEFAULT_VERSION)
        repository: kubernetes.helm.v3.RepositoryOptsArgsDict = (
            {"username": NGC_USER, "password": args["chart_key"]} if "chart_key" in args else {}
        )

        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": NAMESPACE, "labels": labels},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        quota = kubernetes.core.v1.ResourceQuota(
            f"{name}-quota",
            metadata={
                "name": f"{NAMESPACE}-quota",
                "namespace": namespace.metadata.name,
                "labels": labels,
            },
            spec={
                "hard": {"pods": pulumi.Output.from_input(args["nodes"]).apply(pod_quota)},
                "scope_selector": {
                    "match_expressions": [
                        {
                            "operator": "In",
                            "scope_name": "PriorityClass",
                            "values": ["system-node-critical", "system-cluster-critical"],
                        }
                    ]
                },
            },
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        release = kubernetes.helm.v3.Release(
            f"{name}-release",
            name=CHART,
            namespace=namespace.metadata.name,
            chart=charts.address(args.get("chart_source") or CHARTS, CHART, version),
            version=version,
            repository_opts=repository,
            values=_values(args.get("system_tolerations", [])),
            atomic=True,
            timeout=TIMEOUT_SECONDS,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                # The chart names neither: none of its pods is admitted without the quota, and they run on the pools.
                depends_on=[quota, *args.get("node_pools", [])],
            ),
        )

        def state(status: Any) -> str:
            return str(status.status)

        self.namespace = namespace.metadata.name
        self.status = release.status.apply(state)
        self.register_outputs({"namespace": self.namespace, "status": self.status})


def pod_quota(nodes: int) -> str:
    """Pods of system priority that the namespace admits.

    Google's guide asks for at least 2 * nodes + 1: a kubelet plugin and a ComputeDomain daemon on each node,
    and the controller. Ten more leave room for pods that are ending while their successors start; 100 is the
    blueprint's figure, and serves small clusters.
    """
    return str(max(100, 2 * nodes + 11))


def _values(system_tolerations: Sequence[machines.Toleration]) -> dict[str, Any]:
    return {
        "nvidiaDriverRoot": machines.DRIVER_ROOT,
        # GPUs stay with GKE's device plugin; the chart refuses to run beside it otherwise.
        "resources": {"gpus": {"enabled": False}, "computeDomains": {"enabled": True}},
        "controller": {
            # Takes the place of the chart's demand for a control-plane node; the taints keep it off A4X.
            "affinity": _affinity({"key": "nvidia.com/gpu", "operator": "DoesNotExist"}),
            "tolerations": [dict(toleration) for toleration in system_tolerations],
        },
        "kubeletPlugin": {
            "affinity": _affinity(
                {"key": machines.ACCELERATOR_KEY, "operator": "In", "values": [A4X.accelerator]},
                {"key": machines.ARCH_KEY, "operator": "In", "values": [A4X.architecture]},
            ),
            "tolerations": [dict(toleration) for toleration in A4X.tolerations()],
        },
    }


def _affinity(*expressions: dict[str, Any]) -> dict[str, Any]:
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": list(expressions)}]
            }
        }
    }

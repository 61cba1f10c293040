"""NVIDIA's DRA driver: ComputeDomains, which let pods on different nodes share NVLink memory (IMEX)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.network_policies import Specs, network_policies
from components.platform.chart_login import chart_login
from components.platform.owned_namespace import namespace_for
from reference import chart_images, charts, dra_driver, machines, naming
from reference.machines import A4X
from reference.mirrors import ImageMirrors

TIMEOUT_SECONDS: Final = 1200
"""Time until all kubelet plugins run; a new node pulls the image through the NAT first."""


class DraDriverArgs(TypedDict):
    """Inputs of `DraDriver`."""

    environment: str
    """Label value: which environment of the program owns the driver."""
    provider: kubernetes.Provider
    """Kubernetes provider of the cluster."""
    nodes: pulumi.Input[int]
    """A4X nodes of the cluster: the sum of its domains' `nodes`. Not an output of a pool, or the quota would be deleted
    before the pool is replaced."""
    node_pools: Sequence[pulumi.Resource]
    """The pools of these nodes: installing the release waits until the driver runs on all of them, and it is deleted
    before them."""
    version: str
    """Version of the chart."""
    namespace: str
    """Namespace of the driver."""
    create_namespace: bool
    """Whether the namespace is created; else it exists, and stays."""

    policies: Specs
    """NetworkPolicies of the namespace; none: every pod of the cluster reaches it."""
    chart_source: str | None
    """Mirror of the charts (URL, folder or `oci://`); None: NVIDIA's own repository."""
    chart_key: pulumi.Input[str] | None
    """NGC key to fetch the chart with; None: without a login."""
    tolerations: Sequence[machines.Toleration]
    """Tolerations of the kubelet plugin: for the taints of all A4X nodes."""
    mirrors: ImageMirrors
    """Mirrors of the chart's image."""
    system_tolerations: Sequence[machines.Toleration]
    """Tolerations of the controller, for clusters whose system nodes are tainted."""


class DraDriver(pulumi.ComponentResource):
    """Namespace, quota and Helm release of the DRA driver.

    Avoids three pitfalls: GKE admits pods of the system priority classes only into namespaces with a quota for them
    (without it the pods never appear, and Helm times out); the driver root on Container-Optimized OS is not the chart's
    `/`; the chart's controller requires a control-plane node, which GKE does not expose.
    """

    namespace: pulumi.Output[str]
    """Namespace of the driver."""
    status: pulumi.Output[str]
    """Status of the release, known once its kubelet plugins run; resources that need ComputeDomains wait for it."""

    def __init__(self, name: str, args: DraDriverArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:DraDriver", name, {}, opts)
        provider, labels = args["provider"], naming.kubernetes_labels(args["environment"])
        version = args["version"]

        namespace = namespace_for(
            self, name, args["namespace"], labels, provider, part="dra-driver", create=args["create_namespace"]
        )
        isolation = network_policies(self, name, {"namespace": namespace, "labels": labels}, args["policies"], provider)
        quota = kubernetes.core.v1.ResourceQuota(
            f"{name}-quota",
            metadata={
                "name": f"{dra_driver.NAMESPACE}-quota",
                "namespace": namespace,
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
            name=dra_driver.CHART,
            namespace=namespace,
            chart=charts.address(args["chart_source"] or dra_driver.CHARTS, dra_driver.CHART, version),
            version=version,
            repository_opts=chart_login(args["chart_key"]),
            values=chart_images.moved(
                values(args["tolerations"], args["system_tolerations"]),
                chart_images.of_dra_driver(version),
                args["mirrors"],
            ),
            atomic=True,
            timeout=TIMEOUT_SECONDS,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                # Without the quota none of the chart's pods is admitted, and they run on the pools; none listens before
                # it is isolated.
                depends_on=[quota, *isolation, *args["node_pools"]],
            ),
        )

        def state(status: Any) -> str:
            return str(status.status)

        self.namespace = namespace
        self.status = release.status.apply(state)
        self.register_outputs({"namespace": self.namespace, "status": self.status})


def pod_quota(nodes: int) -> str:
    """Pods of system priority that the namespace admits.

    Google's guide requires at least 2 * nodes + 1: a kubelet plugin and a ComputeDomain daemon on each node, and the
    controller. Ten more leave room for terminating pods whose successors start; the minimum of 100 is the blueprint's
    figure.
    """
    return str(max(100, 2 * nodes + 11))


def values(
    tolerations: Sequence[machines.Toleration], system_tolerations: Sequence[machines.Toleration]
) -> dict[str, Any]:
    """Helm values of the chart, before mirrors."""
    return {
        "nvidiaDriverRoot": machines.DRIVER_ROOT,
        # GPUs stay with GKE's device plugin; otherwise the chart refuses to run beside it.
        "resources": {"gpus": {"enabled": False}, "computeDomains": {"enabled": True}},
        "controller": {
            # Replaces the chart's affinity for control-plane nodes; the taints keep it off A4X.
            "affinity": _affinity({"key": "nvidia.com/gpu", "operator": "DoesNotExist"}),
            "tolerations": [dict(toleration) for toleration in system_tolerations],
        },
        "kubeletPlugin": {
            "affinity": _affinity(
                {"key": machines.ACCELERATOR_KEY, "operator": "In", "values": [A4X.accelerator]},
                {"key": machines.ARCH_KEY, "operator": "In", "values": [A4X.architecture]},
            ),
            "tolerations": [dict(toleration) for toleration in tolerations],
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

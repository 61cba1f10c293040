"""The benchmark client: a permanent pod with SGLang's own `bench_serving`.

The recipe's client installs packages and clones a personal branch at start. The runtime image already contains a
benchmark of the same load, so this client downloads nothing and cannot drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from manifests import commands, gcsfuse, graph, restricted
from reference import naming, pod_security
from reference.footprint import BENCHMARK
from reference.machines import Toleration
from serving_rules.layout import Layout


class BenchmarkClientArgs(TypedDict):
    """Inputs of a `BenchmarkClient`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    stack: str
    """Name of the serving stack to measure."""

    layout: Layout
    """Its layout."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    namespace: pulumi.Input[str]
    """Namespace of the serving stack."""

    image: pulumi.Input[str]
    """Runtime image with SGLang, that of the frontends."""

    nodes: graph.NodeKind
    """Nodes for the client, those of the frontends."""

    node_pool: pulumi.Input[str]
    """Node pool of the stack's domain."""

    tolerations: Sequence[Toleration]
    """For the taints of that pool."""

    bucket: pulumi.Input[str]
    """Model bucket: the client reads the tokenizer from it."""

    service_account: pulumi.Input[str]
    """Kubernetes service account that may read the bucket."""

    pull_secret: pulumi.Input[str] | None
    """Pull secret for the image, in the stack's namespace; None: it needs none."""


class BenchmarkClient(pulumi.ComponentResource):
    """A Deployment of one pod that waits for benchmark commands."""

    commands: pulumi.Output[dict[str, str]]
    """`client` and `frontend`: the recipe's two benchmark commands, ready to paste."""

    def __init__(self, name: str, args: BenchmarkClientArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:serving:BenchmarkClient", name, {}, opts)
        stack, layout = args["stack"], args["layout"]
        labels = naming.kubernetes_labels(args["environment"], stack=stack)
        # Without the stack label, which would count this pod among the stack's own.
        selector = {naming.NAME_LABEL: commands.bench_name(stack)}
        tolerations: Any = [dict(toleration) for toleration in args["tolerations"]]
        environment: list[kubernetes.core.v1.EnvVarArgsDict] = [
            {"name": name, "value": value} for name, value in pod_security.ENVIRONMENT.items()
        ]
        deployment = kubernetes.apps.v1.Deployment(
            f"{name}-client",
            metadata={
                "name": commands.bench_name(stack),
                "namespace": args["namespace"],
                "labels": labels,
                # The image is 20 GB, and no other resource needs this pod.
                "annotations": {"pulumi.com/skipAwait": "true"},
            },
            spec={
                "replicas": 1,
                "selector": {"match_labels": selector},
                "template": {
                    "metadata": {
                        "labels": selector,
                        "annotations": dict(gcsfuse.ANNOTATIONS),
                    },
                    "spec": {
                        "service_account_name": args["service_account"],
                        "automount_service_account_token": False,
                        "security_context": restricted.pod(owns_volumes=True),
                        "image_pull_secrets": None if args["pull_secret"] is None else [{"name": args["pull_secret"]}],
                        "node_selector": graph.node_selector(args["nodes"], args["node_pool"]),
                        "tolerations": tolerations,
                        "termination_grace_period_seconds": 5,
                        "containers": [
                            {
                                "name": "bench",
                                "image": args["image"],
                                "command": ["sleep", "infinity"],
                                # It writes its results where it is started, and what it downloads to /tmp.
                                "working_dir": pod_security.HOME,
                                "env": environment,
                                "security_context": restricted.container(read_only=True),
                                "resources": {
                                    "requests": BENCHMARK.requests(),
                                    "limits": {"memory": "16Gi"},
                                },
                                "volume_mounts": [
                                    {
                                        "name": gcsfuse.VOLUME,
                                        "mount_path": gcsfuse.MODEL_ROOT,
                                        "read_only": True,
                                    },
                                    {"name": "scratch", "mount_path": pod_security.HOME},
                                ],
                            }
                        ],
                        "volumes": [
                            gcsfuse.cached_volume(args["bucket"], chunk_megabytes=50),
                            {"name": "scratch", "empty_dir": {}},
                        ],
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        self.commands = deployment.metadata.apply(
            lambda metadata: {
                "client": commands.benchmark(stack, metadata.namespace or stack, layout),
                "frontend": commands.benchmark_in_frontend(stack, metadata.namespace or stack, layout),
            }
        )
        self.register_outputs({"commands": self.commands})

"""The fabric test: a Job that measures an NVLink domain before its first stack is created.

One pod on each node, built like a worker (`gpu_pod`) and with the image that will serve, runs the package `fabric`. A
failed Job ends `pulumi up` with its reason, and what depends on it is not created. It works like the readiness check,
but needs the GPUs that the stacks occupy afterwards:

- It exists as long as the domain has stacks, so it runs before the first one, and again after the domain has been
  empty.
- Once it has succeeded, no change of image, nodes or minimum runs it again: `ignore_changes`. Seen on Pulumi 3.259.0:
  the replacement of a failed Job (`#initerror`) still takes the new inputs, so a wrong minimum or image can be
  corrected.
- Its ComputeDomain may stay. A node belongs to the ComputeDomain whose channel was prepared there, and any other is
  rejected meanwhile (the driver's AddNodeLabel). The kubelet releases the channel when a pod's containers have ended,
  before it reports the pod as ended (SyncTerminatingPod), and the driver then removes its label from the node. So when
  the Job is complete, the nodes are free. Read in the sources of both, not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.network_policies import Specs, network_policies
from components.serving import pod_objects, rollout_warnings
from components.serving.kinds import ComputeDomain
from fabric import config as fabric_config
from fabric import package
from fabric.config import Config
from manifests import gpu_pod
from readiness import mounted
from reference import gke, machines, naming, pod_security
from reference.machines import A4X

NAME: Final = "fabric-test"
"""Name of the Job and of its other objects, one of each in its namespace."""

START_SECONDS: Final = 900
"""How long the pods may take to start, including the image pull. Kubernetes ends the Job after this plus all deadlines
of the test itself: the only limit if no pod gets a node."""

SHARED_MEMORY: Final = "1Gi"
"""What NCCL requires in containers (its user guide, "Shared memory")."""

_CODE_FOLDER, _CONFIG_FOLDER = "/opt/fabric", "/config"
_NAMESPACE_MAX: Final = 63


class FabricTestArgs(TypedDict):
    """Inputs of a `FabricTest`."""

    environment: str
    """Name of the environment (the Pulumi stack), for names, labels and the command in a failure message."""

    domain: str
    """Name of the domain."""

    node_pool: pulumi.Input[str]
    """Its node pool."""

    tolerations: Sequence[machines.Toleration]
    """For the taints of the pool's nodes."""

    nodes: int
    """Nodes to test."""

    all_gather: float
    """Least bus bandwidth of an all_gather in GB/s."""

    all_reduce: float
    """Least bus bandwidth of an all_reduce in GB/s."""

    image: pulumi.Input[str]
    """Image of the workers that will run there (arm64)."""

    variables: Mapping[str, str]
    """The workers' NCCL variables."""

    privileged: bool
    """Whether the workers are privileged."""

    root_image: bool
    """Whether the user of the image is root."""

    rdma: gke.RdmaMode
    """How pods reach the RDMA NICs."""

    ngc_api_key: pulumi.Input[str] | None
    """NGC API key, a secret: pulls the image from nvcr.io; None: it needs none."""

    policies: Specs
    """NetworkPolicies of its namespace; none: every pod of the cluster reaches it."""

    provider: kubernetes.Provider
    """Provider of the cluster."""


class FabricTest(pulumi.ComponentResource):
    """A Job that succeeds if the GPUs of a domain exchange data fast enough."""

    logs: pulumi.Output[str]
    """The command that follows the test."""

    def __init__(self, name: str, args: FabricTestArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:serving:FabricTest", name, {}, opts)
        provider, labels = args["provider"], naming.kubernetes_labels(args["environment"], domain=args["domain"])
        space = naming.bounded(f"{naming.FABRIC_NAMESPACE}-{args['environment']}-{args['domain']}", _NAMESPACE_MAX)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={
                "name": space,
                "labels": {**labels, **pod_security.labels("fabric-test")},
                "annotations": {rollout_warnings.FABRIC: _description(args)},
            },
            opts=pulumi.ResourceOptions(
                parent=self, provider=provider, hooks=rollout_warnings.of_fabric_test(name, args["domain"])
            ),
        )
        metadata: Any = {"name": NAME, "namespace": namespace.metadata["name"], "labels": labels}
        isolation = network_policies(
            self, name, {"namespace": namespace.metadata["name"], "labels": labels}, args["policies"], provider
        )
        secret = pod_objects.pull_secret(self, name, metadata, args["ngc_api_key"], provider)
        nics = None
        if args["rdma"] == "dranet":
            nics = pod_objects.rdma_claims(self, name, metadata, provider)
        channel = ComputeDomain(
            f"{name}-compute-domain",
            metadata=metadata,
            spec={"numNodes": args["nodes"], "channel": {"resourceClaimTemplate": {"name": f"{NAME}-channel"}}},
            opts=pulumi.ResourceOptions(parent=self, provider=provider, replace_on_changes=["spec"]),
        ).claim_template
        kubernetes.core.v1.Service(
            f"{name}-service",
            # The pods look up pod 0 by name before it is ready; nothing waits for the Service.
            metadata=metadata | {"annotations": {"pulumi.com/skipAwait": "true"}},
            spec={
                "cluster_ip": "None",
                "selector": {naming.NAME_LABEL: NAME},
                "publish_not_ready_addresses": True,
            },
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        config = _config(args, space)
        config_map = kubernetes.core.v1.ConfigMap(
            f"{name}-config",
            metadata=metadata,
            data={
                **{mounted.key(path): content for path, content in package.source_files().items()},
                package.CONFIG_KEY: fabric_config.write(config),
            },
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        pod: Any = _pod(args, config_map.metadata["name"], secret, gpu_pod.claims(channel, nics))
        seconds = START_SECONDS + int(config.longest)
        job = kubernetes.batch.v1.Job(
            f"{name}-job",
            metadata=metadata,
            spec={
                # Each node once, and the first failure fails the test. No TTL: a refresh would find the Job missing.
                "completion_mode": "Indexed",
                "completions": args["nodes"],
                "parallelism": args["nodes"],
                "backoff_limit": 0,
                "active_deadline_seconds": seconds,
                "template": {
                    "metadata": {
                        "labels": {naming.NAME_LABEL: NAME},
                        "annotations": gpu_pod.nic_annotations(nics),
                    },
                    "spec": pod,
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                depends_on=isolation,
                ignore_changes=["spec"],
                delete_before_replace=True,
                replace_on_changes=["#initerror"],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{seconds + START_SECONDS}s"),
            ),
        )
        self.logs = job.metadata.apply(
            lambda metadata: (
                f"kubectl logs -n {metadata.namespace} -l job-name={NAME} --prefix -f --max-log-requests 18"
            )
        )
        self.register_outputs({"logs": self.logs})


def _description(args: FabricTestArgs) -> str:
    return f"{args['nodes']} nodes, all_gather {args['all_gather']:g}, all_reduce {args['all_reduce']:g} GB/s"


def _config(args: FabricTestArgs, namespace: str) -> Config:
    return Config(
        domain=args["domain"],
        namespace=namespace,
        # Pods of an Indexed Job have the host name <job>-<index>, which the headless Service makes resolvable.
        host=f"{NAME}-0.{NAME}",
        nodes=args["nodes"],
        gpus=A4X.gpus,
        all_gather=args["all_gather"],
        all_reduce=args["all_reduce"],
        next=f"pulumi up --stack {args['environment']}",
    )


def _pod(
    args: FabricTestArgs, config_map: pulumi.Input[str], secret: pulumi.Input[str] | None, claims: dict[str, Any]
) -> dict[str, Any]:
    """A worker's pod without weights: the same devices, another program."""
    preamble = gpu_pod.preamble(privileged=args["privileged"])
    # NCCL logs its topology and transports.
    variables = {"NCCL_DEBUG": "INFO", "NCCL_DEBUG_SUBSYS": "INIT", **args["variables"]}
    environment: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in variables.items()]
    environment.append({"name": package.NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})
    code = [{"key": mounted.key(path), "path": path} for path in package.source_files()]
    config = [{"key": package.CONFIG_KEY, "path": package.CONFIG_KEY}]
    return {
        "subdomain": NAME,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        **gpu_pod.pull_secrets(secret),
        "nodeSelector": {machines.NODE_POOL_KEY: args["node_pool"]},
        "tolerations": [dict(toleration) for toleration in args["tolerations"]],
        "affinity": gpu_pod.affinity(),
        "resourceClaims": gpu_pod.resource_claims(claims),
        "containers": [
            {
                "name": NAME,
                "image": args["image"],
                "workingDir": _CODE_FOLDER,
                "command": ["/bin/bash", "-c", preamble + package.command(_CONFIG_FOLDER)],
                "env": environment,
                # If the container ends without a termination message, the end of its log is used.
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "resources": {
                    "limits": {"nvidia.com/gpu": str(A4X.gpus)},
                    "claims": [{"name": claim} for claim in claims],
                },
                "securityContext": gpu_pod.security_context(privileged=args["privileged"], root=args["root_image"]),
                "volumeMounts": [
                    *gpu_pod.volume_mounts(),
                    {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 - where POSIX has it
                    {"name": "code", "mountPath": _CODE_FOLDER, "readOnly": True},
                    {"name": "config", "mountPath": _CONFIG_FOLDER, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            *gpu_pod.volumes(),
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
            {"name": "code", "configMap": {"name": config_map, "items": code}},
            {"name": "config", "configMap": {"name": config_map, "items": config}},
        ],
    }

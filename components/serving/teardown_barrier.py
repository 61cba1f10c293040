"""The teardown barrier of a stack in somebody else's namespace (docs/decisions/0001).

A namespace of our own is gone only when everything in it is, and Pulumi waits for that. Where the namespace stays, this
Deployment takes its place: it has a finalizer, which its own pod removes when nothing of the stack is left. Deleted in
the background it keeps its pod until then, and Pulumi waits until it is gone. Whatever cleans up the stack must be
deleted after it.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from barrier import package
from barrier.config import FINALIZER, Config
from components.serving.python_pod import CONFIG_FOLDER, python_pod
from manifests.commands import BARRIER_NAME as NAME
from readiness import mounted
from reference import machines, naming
from reference.footprint import TEARDOWN_BARRIER

DELETE_MINUTES: Final = 30
"""How long `pulumi destroy` waits for the end of a stack, by this or by its namespace."""

MIN_READY_SECONDS: Final = 10
"""How long the pod must run before it counts: one that may not read the API ends at once, and `pulumi up` says so."""


class TeardownBarrierArgs(TypedDict):
    """Inputs of a `TeardownBarrier`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    stack: str
    """Name of the serving stack."""

    namespace: pulumi.Input[str]
    """Namespace of the serving stack."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    image: str
    """Image with Python."""

    tolerations: list[machines.Toleration]
    """For the taints of its nodes."""

    on_a4x: bool
    """Whether its pod may run on A4X nodes; else it runs on an amd64 node."""


class TeardownBarrier(pulumi.ComponentResource):
    """A Deployment of one pod whose deletion takes until nothing of a stack is left."""

    namespace: pulumi.Output[str]
    """The stack's namespace, once the barrier is in it. What uses it is deleted before the barrier, also when the stack
    moves to another namespace.
    """

    def __init__(self, name: str, args: TeardownBarrierArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:serving:TeardownBarrier", name, {}, opts)
        options = pulumi.ResourceOptions(parent=self, provider=args["provider"])
        labels = naming.kubernetes_labels(args["environment"], stack=args["stack"])

        def metadata(after: pulumi.Input[str]) -> Any:
            # Each takes the namespace from the one before, so that a move to another one deletes the rights last.
            return {"name": NAME, "namespace": after, "labels": labels}

        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=metadata(args["namespace"]),
            automount_service_account_token=False,
            opts=options,
        )
        rules: Any = package.rules(NAME)
        role = kubernetes.rbac.v1.Role(
            f"{name}-role", metadata=metadata(account.metadata["namespace"]), rules=rules, opts=options
        )
        binding = kubernetes.rbac.v1.RoleBinding(
            f"{name}-role-binding",
            metadata=metadata(role.metadata["namespace"]),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata["name"]},
            subjects=[{"kind": "ServiceAccount", "name": account.metadata["name"], "namespace": args["namespace"]}],
            opts=options,
        )
        files = package.source_files()
        config = Config(stack=args["stack"], deployment=NAME).dump()
        data = {**{mounted.key(path): content for path, content in files.items()}, package.CONFIG_KEY: config}
        content = naming.content_hash(data, 16)
        config_map = kubernetes.core.v1.ConfigMap(
            f"{name}-config",
            # Named by content: a pod that waits has its files until its end.
            metadata={"name": f"{NAME}-{content}", "namespace": args["namespace"], "labels": labels},
            data=data,
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"], delete_before_replace=False),
        )
        # Not the stack label, which would count this pod among the stack's own.
        selector = {naming.NAME_LABEL: NAME}
        pod = python_pod(
            {
                "name": NAME,
                "image": args["image"],
                "account": account.metadata["name"],
                "config_map": config_map.metadata["name"],
                "files": {path: mounted.key(path) for path in files},
                "config_key": package.CONFIG_KEY,
                "command": package.command(CONFIG_FOLDER),
                "requests": TEARDOWN_BARRIER,
                "tolerations": args["tolerations"],
                "on_a4x": args["on_a4x"],
            }
        )
        held: Any = {
            **metadata(binding.metadata["namespace"]),
            "finalizers": [FINALIZER],
            "annotations": {"pulumi.com/deletionPropagationPolicy": "background"},
        }
        deployment = kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=held,
            spec={
                "replicas": 1,
                "min_ready_seconds": MIN_READY_SECONDS,
                "selector": {"match_labels": selector},
                "template": {
                    "metadata": {"labels": selector},
                    "spec": {**pod, "termination_grace_period_seconds": 1},
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=args["provider"],
                custom_timeouts=pulumi.CustomTimeouts(delete=f"{DELETE_MINUTES}m"),
            ),
        )
        self.namespace = deployment.metadata["namespace"]
        self.register_outputs({"namespace": self.namespace})

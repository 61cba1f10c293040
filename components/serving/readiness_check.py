"""The readiness check: a Job that ends `pulumi up`, with success if the stack answers and otherwise with the reason.

The graph's own status is no signal: on Dynamo 0.7.0 and 1.0.1 it can stay `pending` forever although every pod is
ready, and after a change it is `successful` before the rollout has begun. The Job runs the package `readiness` from a
ConfigMap; what it waits for is in its config, generated from the settings and never from the cluster's state.

Pulumi waits for a Job and shows the termination message of a failed one. A failed Job is recorded with an
initialization error, and `replace_on_changes=["#initerror"]` makes the next `pulumi up` run it again although nothing
has changed. Pulumi does not show why a Job's own pod cannot start, hence the small pod, the default scheduler and an
image that every cluster can pull.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.serving.python_pod import CONFIG_FOLDER, python_pod
from manifests.commands import READINESS_NAME as NAME
from readiness import package
from reference import machines, naming
from reference.footprint import READINESS_CHECK

HASH_ANNOTATION: Final = f"{naming.PROJECT}/readiness-check"
"""Annotation of the Job's pod: hash of its code and config, so that a change of either replaces the Job."""

UID_ANNOTATION: Final = f"{naming.PROJECT}/graph-uid"
"""Annotation of the Job's pod: the object that is checked, so that one recreated under the old name is checked
again."""

START_SECONDS: Final = 900
"""How long the check's own pod may take to start. Kubernetes ends the Job after the check's deadline plus this; nothing
else ends the wait if the pod cannot start (the provider's timeout restarts at every event in the namespace)."""


class ReadinessCheckArgs(TypedDict):
    """Inputs of a `ReadinessCheck`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels and the command in a failure message."""

    stack: str
    """Name of the serving stack."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    namespace: pulumi.Input[str]
    """Namespace of the serving stack."""

    deployment: pulumi.Input[str]
    """Name of the DynamoGraphDeployment."""

    deployment_uid: pulumi.Input[str]
    """Its uid: if it is deleted by hand and recreated, it is checked again."""

    replicas: Mapping[str, int]
    """Replicas of each role."""

    pods_per_replica: Mapping[str, int]
    """Pods of one replica of each role: its nodes."""

    minimum: Mapping[str, int]
    """Replicas of each role without which the check fails; if only others are missing, the stack is degraded."""

    templates: Mapping[str, pulumi.Input[str]]
    """Hash on the pods of each role."""

    url: pulumi.Input[str]
    """Address of the stack's OpenAI-compatible API inside the cluster."""

    model: str
    """Name under which the model is served."""

    deadline_minutes: int
    """Minutes until the check gives up."""

    unschedulable_minutes: int
    """Minutes that a pod may be without a node."""

    image: str
    """Image with Python."""

    tolerations: list[machines.Toleration]
    """Of the check's pod, for the taints of its nodes."""

    on_a4x: bool
    """Whether the check's pod may run on A4X nodes; else it runs on an amd64 node."""


class ReadinessCheck(pulumi.ComponentResource):
    """A Job that succeeds when the pods of a stack are ready, at least of its minimum, and the stack has answered."""

    def __init__(self, name: str, args: ReadinessCheckArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:serving:ReadinessCheck", name, {}, opts)
        provider = args["provider"]
        metadata: Any = {
            # With a new name for each change, a failed check would stay beside its successor.
            "name": NAME,
            "namespace": args["namespace"],
            "labels": naming.kubernetes_labels(args["environment"], stack=args["stack"]),
        }
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        role = kubernetes.rbac.v1.Role(
            f"{name}-role",
            metadata=metadata,
            rules=_rules(),
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        binding = kubernetes.rbac.v1.RoleBinding(
            f"{name}-role-binding",
            metadata=metadata,
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata["name"]},
            subjects=[
                {"kind": "ServiceAccount", "name": account.metadata["name"], "namespace": account.metadata["namespace"]}
            ],
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        config = pulumi.Output.from_input(_config(args)).apply(lambda values: json.dumps(values, indent=2))
        config_map = kubernetes.core.v1.ConfigMap(
            f"{name}-config",
            metadata=metadata,
            data={**package.source_files(), package.CONFIG_KEY: config},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        seconds = 60 * args["deadline_minutes"] + START_SECONDS
        pod_labels = {naming.NAME_LABEL: NAME}
        kubernetes.batch.v1.Job(
            f"{name}-job",
            metadata=metadata,
            spec={
                # One pod, once: its termination message is the reason that Pulumi shows. No TTL: a refresh would find
                # the Job missing.
                "backoff_limit": 0,
                "active_deadline_seconds": seconds,
                "template": {
                    "metadata": {
                        "labels": pod_labels,
                        "annotations": {
                            HASH_ANNOTATION: config.apply(_content),
                            UID_ANNOTATION: args["deployment_uid"],
                        },
                    },
                    "spec": _pod(account.metadata["name"], config_map.metadata["name"], args),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                # It reads pods from the start, and uses no output of the binding.
                depends_on=[binding],
                # Its name is fixed, and it runs again after a failure.
                delete_before_replace=True,
                replace_on_changes=["#initerror"],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{seconds + START_SECONDS}s"),
            ),
        )
        self.register_outputs({})


def _rules() -> list[kubernetes.rbac.v1.PolicyRuleArgsDict]:
    return [
        {"api_groups": [*rule["api_groups"]], "resources": [*rule["resources"]], "verbs": [*rule["verbs"]]}
        for rule in package.RULES
    ]


def _config(args: ReadinessCheckArgs) -> dict[str, Any]:
    """The config file of `readiness`, where its format is described."""
    return {
        "namespace": args["namespace"],
        "deployment": args["deployment"],
        "job": NAME,
        "roles": {
            role: {
                "replicas": replicas,
                "podsPerReplica": args["pods_per_replica"][role],
                "minimum": args["minimum"][role],
                "template": args["templates"][role],
            }
            for role, replicas in args["replicas"].items()
        },
        "url": args["url"],
        "model": args["model"],
        "deadlineSeconds": 60 * args["deadline_minutes"],
        "unschedulableSeconds": 60 * args["unschedulable_minutes"],
        "next": f"pulumi up --stack {args['environment']}",
    }


def _content(config: str) -> str:
    return naming.content_hash({**package.source_files(), package.CONFIG_KEY: config}, 16)


def _pod(
    account: pulumi.Input[str], config_map: pulumi.Input[str], args: ReadinessCheckArgs
) -> kubernetes.core.v1.PodSpecArgsDict:
    pod = python_pod(
        {
            "name": NAME,
            "image": args["image"],
            "account": account,
            "config_map": config_map,
            "files": {f"{package.PACKAGE}/{name}": name for name in package.source_files()},
            "config_key": package.CONFIG_KEY,
            "command": package.command(CONFIG_FOLDER),
            "requests": READINESS_CHECK,
            "tolerations": args["tolerations"],
            "on_a4x": args["on_a4x"],
        }
    )
    return {**pod, "restart_policy": "Never"}

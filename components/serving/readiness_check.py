"""The readiness check: a Job with which `pulumi up` ends, well when the stack answers and else with the reason.

The graph's own status is no signal: on Dynamo 0.7.0 and 1.0.1 it can stay `pending` for ever although every pod is
ready, and after a change it says `successful` before the roll has begun. The Job runs the package `readiness` from a
ConfigMap; what it waits for is in its config, written from the settings and never from what happens to exist.

Pulumi waits for a Job and shows the last words of a failed one. A Job that failed is recorded with an initialization
error, and `replace_on_changes=["#initerror"]` makes the next `pulumi up` run it again although nothing has changed.
What it does not show is a Job whose own pod cannot start, hence the small pod, the default scheduler and an image that
every cluster can pull.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from manifests.commands import READINESS_NAME as NAME
from readiness import package
from reference import machines, naming
from reference.footprint import READINESS_CHECK
from reference.registry import PYTHON_IMAGE

HASH_ANNOTATION: Final = f"{naming.PROJECT}/readiness-check"
"""Annotation of the Job's pod: hash of its code and config, so that a change of either is another Job."""

UID_ANNOTATION: Final = f"{naming.PROJECT}/graph-uid"
"""Annotation of the Job's pod: which object is checked, so that one made again under the old name is as well."""

START_SECONDS: Final = 900
"""How long the check's own pod may take to start. Kubernetes ends the Job after the check's deadline and this; only
that ends the wait when the pod cannot start (the provider's time-out starts again at every event in the namespace)."""

_CODE_FOLDER, _CONFIG_FOLDER = "/opt/check", "/config"
_USER = 65532


class ReadinessCheckArgs(TypedDict):
    """Inputs of a `ReadinessCheck`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels and for the command that a failure ends with."""

    stack: str
    """Name of the serving stack."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    namespace: pulumi.Input[str]
    """Namespace of the serving stack."""

    deployment: pulumi.Input[str]
    """Name of the DynamoGraphDeployment."""

    deployment_uid: pulumi.Input[str]
    """Its uid: one that was deleted by hand and made again is checked again."""

    pods: Mapping[str, int]
    """Role to the number of its pods: replicas times nodes of a replica."""

    templates: Mapping[str, pulumi.Input[str]]
    """Role to the hash that its pods carry."""

    url: pulumi.Input[str]
    """Address of the stack's OpenAI-compatible API inside the cluster."""

    model: str
    """Name under which the model is served."""

    deadline_minutes: int
    """Minutes until the check gives up."""

    unschedulable_minutes: int
    """Minutes that a pod may be without a node."""

    tolerations: list[machines.Toleration]
    """Taints that the check's pod tolerates. Empty: it runs on the x86 system nodes; else on any node."""


class ReadinessCheck(pulumi.ComponentResource):
    """A Job that succeeds when every pod of a stack is ready and the stack has answered."""

    def __init__(self, name: str, args: ReadinessCheckArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:serving:ReadinessCheck", name, {}, opts)
        provider = args["provider"]
        metadata: Any = {
            # With another name for each change, a check that failed would stay beside its successor.
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
        pod_labels = {"app.kubernetes.io/name": NAME}
        kubernetes.batch.v1.Job(
            f"{name}-job",
            metadata=metadata,
            spec={
                # One pod, once: its last words are the reason that Pulumi shows. A finished Job stays, else a refresh
                # would miss it.
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
                    "spec": _pod(account.metadata["name"], config_map.metadata["name"], args["tolerations"]),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                # It may read pods from its first second on; no value of the binding flows into it.
                depends_on=[binding],
                # It has a fixed name, and runs again after it has failed.
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
    """What `readiness` reads: the file's form is described there."""
    return {
        "namespace": args["namespace"],
        "deployment": args["deployment"],
        "job": NAME,
        "roles": {role: {"pods": pods, "template": args["templates"][role]} for role, pods in args["pods"].items()},
        "url": args["url"],
        "model": args["model"],
        "deadlineSeconds": 60 * args["deadline_minutes"],
        "unschedulableSeconds": 60 * args["unschedulable_minutes"],
        "next": f"pulumi up --stack {args['environment']}",
    }


def _content(config: str) -> str:
    return naming.content_hash({**package.source_files(), package.CONFIG_KEY: config}, 16)


def _pod(
    account: pulumi.Input[str], config_map: pulumi.Input[str], tolerations: list[machines.Toleration]
) -> kubernetes.core.v1.PodSpecArgsDict:
    """The pod: the code as a package below one folder, the config in another, and no privilege at all."""
    code: list[kubernetes.core.v1.KeyToPathArgsDict] = [
        {"key": name, "path": f"{package.PACKAGE}/{name}"} for name in package.source_files()
    ]
    tolerated: Any = tolerations
    return {
        "service_account_name": account,
        "automount_service_account_token": True,
        "enable_service_links": False,
        "restart_policy": "Never",
        "node_selector": {} if tolerations else {machines.ARCH_KEY: "amd64"},
        "tolerations": tolerated,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": _USER,
            "run_as_group": _USER,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": NAME,
                "image": PYTHON_IMAGE,
                "working_dir": _CODE_FOLDER,
                "command": package.command(_CONFIG_FOLDER),
                "resources": {
                    "requests": READINESS_CHECK.requests(),
                    "limits": {"memory": "256Mi"},
                },
                "security_context": {
                    "allow_privilege_escalation": False,
                    "read_only_root_filesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volume_mounts": [
                    {"name": "code", "mount_path": _CODE_FOLDER, "read_only": True},
                    {"name": "config", "mount_path": _CONFIG_FOLDER, "read_only": True},
                ],
            }
        ],
        "volumes": [
            {"name": "code", "config_map": {"name": config_map, "items": code}},
            {
                "name": "config",
                "config_map": {"name": config_map, "items": [{"key": package.CONFIG_KEY, "path": package.CONFIG_KEY}]},
            },
        ],
    }

"""Keeps a platform that other environments use from being destroyed: Helm uninstalls it under them and refuses nothing.

Plain `pulumi destroy` does not run the program, so the refusal is the API server's. Each part of the platform has a
guard, a ConfigMap that is deleted before the part is; one more, of the environment, is deleted before anything else.
An admission policy refuses their deletion while another environment says that it uses what they guard. It says so
with an annotation on the namespace `default`, where the guards are: that namespace is always there and cannot be
deleted, whoever installed the platform and in whatever order environments come and go.

What this avoids was seen on Kubernetes 1.34: a ConfigMap as the policy's parameter is no longer enforced after the
last such binding was deleted; guards chosen by conditions in place of names keep a namespace in Terminating; a guard's
namespace that can be deleted takes the guard with it; a patch of an object that is not there makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from reference import naming

Part = Literal["dynamo", "kai", "dra-driver"]
"""A part of the platform: one installation a cluster, made by one environment and used by all."""

NAMESPACE: Final = "default"
"""Where guards and users meet; the API server never deletes it."""
USERS: Final = f"{naming.PROJECT}-users"
"""Prefix of the annotations by which environments say what they use."""


@dataclass(frozen=True)
class OwnedPart:
    """A part of the platform that this environment makes."""

    resources: Sequence[pulumi.Resource]
    """What the part is made of: its guard is deleted before them."""
    namespace: pulumi.Input[str]
    """Name of its namespace: in another namespace it is another part, and users of the old one lose theirs."""


class PlatformGuardArgs(TypedDict):
    """Inputs of a `PlatformGuard`."""

    environment: str
    """Name of the environment (the Pulumi stack)."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    parts: Mapping[Part, OwnedPart]
    """What the environment makes and others may use; at least one."""

    everything: Sequence[pulumi.Resource]
    """All resources of the environment: its guard is deleted before them."""


class PlatformGuard(pulumi.ComponentResource):
    """The policy, a guard for each part, and the environment's own."""

    def __init__(self, name: str, args: PlatformGuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:PlatformGuard", name, {}, opts)
        environment, provider, parts = args["environment"], args["provider"], args["parts"]
        labels = naming.kubernetes_labels(environment)
        policy = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{name}-policy",
            metadata={"name": policy_name(environment), "labels": labels},
            spec=policy_spec(environment, list(parts)),
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        binding = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-binding",
            metadata={"name": policy_name(environment), "labels": labels},
            spec={"policy_name": policy.metadata["name"], "validation_actions": ["Deny"]},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )

        def guard(child: str, what: str, data: Mapping[str, Any], before: Sequence[pulumi.Resource]) -> pulumi.Resource:
            return kubernetes.core.v1.ConfigMap(
                f"{name}-{child}",
                metadata={"name": what, "namespace": NAMESPACE, "labels": labels},
                # Another value recreates it, which is refused as a deletion is: only what names the part stands here.
                data={"guards": child, **data},
                # Deleted before what it guards, and while it is enforced.
                opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[binding, *before]),
            )

        guards = [
            guard(part, part_guard(part), {"namespace": made.namespace}, made.resources) for part, made in parts.items()
        ]
        guard("environment", environment_guard(environment), {}, [*guards, *args["everything"]])
        self.register_outputs({})


def part_guard(part: Part) -> str:
    """Name of the ConfigMap that guards a part."""
    return f"{naming.PROJECT}-guard.{part}"


def environment_guard(environment: str) -> str:
    """Name of the ConfigMap that guards an environment."""
    return f"{naming.PROJECT}-guard.environment.{environment}"


def policy_name(environment: str) -> str:
    """Name of an environment's admission policy and of its binding."""
    return f"{naming.PROJECT}-guard-{environment}"


def policy_spec(
    environment: str, parts: Sequence[Part]
) -> kubernetes.admissionregistration.v1.ValidatingAdmissionPolicySpecArgsDict:
    """The admission policy: a guard stays while anybody says that they use what it guards.

    A part's guard asks for the users of that part; the environment's guard for those of all parts that the
    environment makes. The guards of all parts are named, made or not: an `up` that gives up a part changes the policy
    before it deletes the part's guard.
    """
    every: tuple[Part, ...] = ("dynamo", "kai", "dra-driver")
    all_made = ", ".join(f"'{_mark(part)}'" for part in parts)
    one = " : ".join(f"oldObject.metadata.name == '{part_guard(part)}' ? ['{_mark(part)}']" for part in every)
    return {
        "failure_policy": "Fail",
        "match_constraints": {
            "resource_rules": [
                {
                    "api_groups": [""],
                    "api_versions": ["v1"],
                    "operations": ["DELETE"],
                    "resources": ["configmaps"],
                    "resource_names": [*map(part_guard, every), environment_guard(environment)],
                    "scope": "Namespaced",
                }
            ]
        },
        "variables": [
            {"name": "guarded", "expression": f"{one} : [{all_made}]"},
            {
                "name": "annotations",
                "expression": "has(namespaceObject.metadata.annotations) ? namespaceObject.metadata.annotations : {}",
            },
            {
                "name": "users",
                "expression": (
                    f"variables.annotations.filter(key, key.startsWith('{USERS}/') && "
                    "variables.guarded.exists(part, variables.annotations[key].contains(part)))"
                ),
            },
        ],
        "validations": [
            {
                "expression": "variables.users.size() == 0",
                # With any other reason the API server garbles the text.
                "reason": "Forbidden",
                "message": "the platform is in use: destroy the environments that use it first",
                "message_expression": (
                    "'the platform is in use by ' + "
                    "variables.users.map(key, variables.annotations[key]).join(', ') + "
                    "': destroy these stacks first. If one of them is gone for good: kubectl annotate namespace "
                    f"{NAMESPACE} ' + variables.users.map(key, key + '-').join(' ')"
                ),
            }
        ],
    }


class PlatformUseArgs(TypedDict):
    """Inputs of a `PlatformUse`."""

    environment: str
    """Name of the environment (the Pulumi stack)."""

    identity: str
    """Organization, project and stack: what a user calls the environment in `pulumi stack select`."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    parts: Sequence[Part]
    """What the environment uses and does not make; at least one."""


class PlatformUse(pulumi.ComponentResource):
    """The word of this environment that it uses parts of the platform which it does not make, until it is destroyed.

    A patch owns nothing but its annotation; its destroy takes that away. Whether the part has a guard, and whether the
    program made it at all, makes no difference here.
    """

    def __init__(self, name: str, args: PlatformUseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:PlatformUse", name, {}, opts)
        said = " ".join([args["identity"], *map(_mark, sorted(args["parts"]))])
        kubernetes.core.v1.NamespacePatch(
            f"{name}-annotation",
            metadata={
                "name": NAMESPACE,
                "annotations": {
                    user_annotation(args["environment"], args["identity"]): said,
                    # An earlier patch of this environment may have been lost with its state; nobody else has this key.
                    "pulumi.com/patchForce": "true",
                },
            },
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        self.register_outputs({})


def user_annotation(environment: str, identity: str) -> str:
    """The annotation of one environment; two that are called alike have one each."""
    return f"{USERS}/{environment}.{naming.content_hash(identity, 6)}"


def _mark(part: Part) -> str:
    """A part as it stands in an annotation: in brackets, which no name of a stack has."""
    return f"[{part}]"

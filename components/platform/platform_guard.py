"""Prevents the destroy of a platform that other environments use; Helm would uninstall it without any check.

Plain `pulumi destroy` does not run the program, so the API server must refuse. Each part of the platform has a guard, a
ConfigMap that is deleted before the part; one more, of the environment, is deleted before anything else. An admission
policy denies their deletion while another environment declares that it uses what they guard. It does so with an
annotation on the namespace `default`, where the guards are: that namespace always exists and cannot be deleted, whoever
installed the platform and in whatever order environments are created and destroyed.

Reasons for this design, seen on Kubernetes 1.34: a policy whose parameter is a ConfigMap is no longer enforced after
the last such binding was deleted; guards selected by conditions instead of names keep a namespace in Terminating; a
guard in a namespace that can be deleted is deleted with it; a patch of a missing object creates it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, get_args

import pulumi
import pulumi_kubernetes as kubernetes

from reference import naming

Part = Literal["dynamo", "kai", "dra-driver"]
"""A part of the platform: one installation per cluster, created by one environment and used by all."""

NAMESPACE: Final = "default"
"""Namespace of the guards and of the users' annotations; the API server never deletes it."""
USERS: Final = f"{naming.PROJECT}-users"
"""Prefix of the annotations in which environments declare what they use."""


@dataclass(frozen=True)
class OwnedPart:
    """A part of the platform that this environment creates."""

    resources: Sequence[pulumi.Resource]
    """The part's resources: its guard is deleted before them."""
    namespace: pulumi.Input[str]
    """Name of its namespace: in another namespace it is another part, which users of the old one lose."""
    line: str | None = None
    """Its line of releases, of which the same holds; None: all releases replace each other in place."""


class PlatformGuardArgs(TypedDict):
    """Inputs of a `PlatformGuard`."""

    environment: str
    """Name of the environment (the Pulumi stack)."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    parts: Mapping[Part, OwnedPart]
    """What the environment creates and others may use; at least one."""

    everything: Sequence[pulumi.Resource]
    """All resources of the environment: its guard is deleted before them."""


class PlatformGuard(pulumi.ComponentResource):
    """The policy, a guard for each part, and the environment's guard."""

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
                # A changed value replaces the ConfigMap, which is denied like a deletion: only the part's identity.
                data={"guards": child, **data},
                # Deleted before what it guards, and while the policy is enforced.
                opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[binding, *before]),
            )

        guards = [
            guard(
                part,
                part_guard(part),
                {"namespace": made.namespace, **({} if made.line is None else {"line": made.line})},
                made.resources,
            )
            for part, made in parts.items()
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
    """The admission policy: a guard cannot be deleted while any environment declares that it uses what it guards.

    A part's guard considers the users of that part; the environment's guard those of all parts that the environment
    creates. The guards of all parts are named, created or not: an `up` that removes a part changes the policy before it
    deletes the part's guard.
    """
    all_made = ", ".join(f"'{_mark(part)}'" for part in parts)
    one = " : ".join(f"oldObject.metadata.name == '{part_guard(part)}' ? ['{_mark(part)}']" for part in get_args(Part))
    return {
        "failure_policy": "Fail",
        "match_constraints": {
            "resource_rules": [
                {
                    "api_groups": [""],
                    "api_versions": ["v1"],
                    "operations": ["DELETE"],
                    "resources": ["configmaps"],
                    "resource_names": [*map(part_guard, get_args(Part)), environment_guard(environment)],
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
                # With any other reason the API server garbles the message.
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
    """Organization, project and stack, as in `pulumi stack select`."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    parts: Sequence[Part]
    """What the environment uses and does not create; at least one."""


class PlatformUse(pulumi.ComponentResource):
    """Declares, until it is destroyed, that this environment uses parts of the platform that it does not create.

    The patch owns only its annotation, which its destroy removes. Whether the part has a guard, or was created by this
    program, makes no difference here.
    """

    def __init__(self, name: str, args: PlatformUseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:PlatformUse", name, {}, opts)
        declaration = " ".join([args["identity"], *map(_mark, sorted(args["parts"]))])
        kubernetes.core.v1.NamespacePatch(
            f"{name}-annotation",
            metadata={
                "name": NAMESPACE,
                "annotations": {
                    user_annotation(args["environment"], args["identity"]): declaration,
                    # An earlier patch of this environment may have been lost with its state; no other has this key.
                    "pulumi.com/patchForce": "true",
                },
            },
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        self.register_outputs({})


def user_annotation(environment: str, identity: str) -> str:
    """The annotation of one environment; two of the same name have one each."""
    return f"{USERS}/{environment}.{naming.content_hash(identity, 6)}"


def _mark(part: Part) -> str:
    """A part as written in an annotation: in brackets, which no stack name contains."""
    return f"[{part}]"

"""The right that Kubernetes 1.36 asks of a scheduler and that KAI v0.9.4 does not bring."""

from __future__ import annotations

from typing import Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.base import naming

_RBAC: Final = "rbac.authorization.k8s.io"
BINDER: Final = "binder"
"""Service account of KAI's binder, in the namespace of its release."""


class KaiBindingRoleArgs(TypedDict):
    """Inputs of `KaiBindingRole`."""

    environment: str
    """Label value, and part of the objects' name: they belong to the whole cluster."""
    provider: kubernetes.Provider
    """Kubernetes provider of the cluster."""
    namespace: pulumi.Input[str]
    """Namespace that KAI runs in."""


class KaiBindingRole(pulumi.ComponentResource):
    """Lets KAI's binder write `resourceclaims/binding`.

    From 1.36 the API server lets only identities with that right allocate a ResourceClaim; without it every
    pod with a ComputeDomain claim stays unbound (403). Below 1.36 the subresource does not exist, and the
    rule does nothing. KAI has the rule itself since its pull request 1372. Not run on a 1.36 cluster.
    """

    role: pulumi.Output[str]
    """Name of the cluster role, once it is bound."""

    def __init__(self, name: str, args: KaiBindingRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:KaiBindingRole", name, {}, opts)
        provider, labels = args["provider"], naming.kubernetes_labels(args["environment"])
        object_name = naming.bounded(f"{naming.PROJECT}-{args['environment']}-kai-binding", 63)
        role = kubernetes.rbac.v1.ClusterRole(
            f"{name}-role",
            metadata={"name": object_name, "labels": labels},
            rules=[
                {
                    "api_groups": ["resource.k8s.io"],
                    "resources": ["resourceclaims/binding"],
                    "verbs": ["update", "patch"],
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        binding = kubernetes.rbac.v1.ClusterRoleBinding(
            f"{name}-binding",
            metadata={"name": object_name, "labels": labels},
            role_ref={"api_group": _RBAC, "kind": "ClusterRole", "name": role.metadata.name},
            subjects=[{"kind": "ServiceAccount", "name": BINDER, "namespace": args["namespace"]}],
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        self.role = binding.metadata.name
        self.register_outputs({"role": self.role})

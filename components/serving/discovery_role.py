"""Permissions of a serving stack's pods in their namespace if Kubernetes is Dynamo's discovery backend.

The operator creates such a Role too, but binds it only to a service account of its own. Pods that run as another
account, which they must to access the model bucket, cannot register: the workers load their weights and no frontend
ever discovers them (seen on the operator near 1.0.1 and on 1.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from reference import naming


class DiscoveryRoleArgs(TypedDict):
    """Inputs of a `DiscoveryRole`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    stack: str
    """Name of the serving stack, for labels."""

    rules: Sequence[Mapping[str, list[str]]]
    """Rules of the Role that the Dynamo release requires."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    namespace: pulumi.Input[str]
    """Namespace of the serving stack."""

    service_account: pulumi.Input[str]
    """Kubernetes service account of the pods."""


class DiscoveryRole(pulumi.ComponentResource):
    """A Role with the permissions of discovery, bound to the pods' account."""

    def __init__(self, name: str, args: DiscoveryRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:serving:DiscoveryRole", name, {}, opts)
        metadata: Any = {
            "name": f"{naming.SERVING_ACCOUNT}-discovery",
            "namespace": args["namespace"],
            "labels": naming.kubernetes_labels(args["environment"], stack=args["stack"]),
        }
        rules: Any = [dict(rule) for rule in args["rules"]]
        role = kubernetes.rbac.v1.Role(
            f"{name}-role",
            metadata=metadata,
            rules=rules,
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        kubernetes.rbac.v1.RoleBinding(
            f"{name}-binding",
            metadata=metadata,
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata["name"]},
            subjects=[{"kind": "ServiceAccount", "name": args["service_account"], "namespace": args["namespace"]}],
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        self.register_outputs({})

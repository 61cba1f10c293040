"""Keeps RDMA interfaces for serving stacks and fabric tests, with an admission policy of the cluster."""

from __future__ import annotations

from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from manifests import rdma_admission
from reference import naming


class RdmaAdmissionArgs(TypedDict):
    """Inputs of an `RdmaAdmission`."""

    environment: str
    """Name of the environment (the Pulumi stack)."""

    provider: kubernetes.Provider
    """Provider of the cluster."""


class RdmaAdmission(pulumi.ComponentResource):
    """The policy and its binding."""

    def __init__(self, name: str, args: RdmaAdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:RdmaAdmission", name, {}, opts)
        options = pulumi.ResourceOptions(parent=self, provider=args["provider"])
        metadata: Any = {
            "name": rdma_admission.name(args["environment"]),
            "labels": naming.kubernetes_labels(args["environment"]),
        }
        spec: Any = rdma_admission.policy()
        policy = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{name}-policy", metadata=metadata, spec=spec, opts=options
        )
        bound: Any = rdma_admission.binding(policy.metadata["name"])
        kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-binding", metadata=metadata, spec=bound, opts=options
        )
        self.register_outputs({})

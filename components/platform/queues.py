"""KAI queues of an environment's pods.

KAI requires two levels, a root and a child that pods reference. The Dynamo chart creates its own pair in a Helm hook
and never deletes it; this pair is named after the environment and deleted with it, so that two environments can share a
cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from reference import naming


class Queue(kubernetes.apiextensions.CustomResource):
    """A queue of the KAI scheduler."""

    metadata: pulumi.Output[Mapping[str, Any]]
    """The metadata, as the API returns it."""

    def __init__(self, name: str, metadata: Any, spec: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        # The SDK leaves two deprecated parameters of this constructor without a type.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            name, "scheduling.run.ai/v2", "Queue", spec, metadata, opts
        )


class ServingQueuesArgs(TypedDict):
    """Inputs of `ServingQueues`."""

    environment: str
    """Name of the environment (the Pulumi stack): both queues are named after it."""

    provider: kubernetes.Provider
    """Provider of the cluster."""


class ServingQueues(pulumi.ComponentResource):
    """A root queue and a child queue, both without quota or limit."""

    queue: pulumi.Output[str]
    """Name of the child queue, for the annotation on a DynamoGraphDeployment."""

    def __init__(self, name: str, args: ServingQueuesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:ServingQueues", name, {}, opts)
        environment = args["environment"]
        labels = naming.kubernetes_labels(environment)
        # -1: no quota, no limit.
        unlimited = {
            resource: {"quota": -1, "limit": -1, "overQuotaWeight": 1} for resource in ("cpu", "gpu", "memory")
        }
        root = Queue(
            f"{name}-root",
            metadata={"name": f"{naming.PROJECT}-{environment}", "labels": labels},
            spec={"resources": unlimited},
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        child = Queue(
            f"{name}-serving",
            metadata={"name": f"{naming.PROJECT}-{environment}-serving", "labels": labels},
            spec={"parentQueue": root.metadata["name"], "resources": unlimited},
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        self.queue = child.metadata["name"]
        self.register_outputs({"queue": self.queue})

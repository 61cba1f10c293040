"""The namespace of a part of the platform: made for it, or somebody else's."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as kubernetes


def namespace_for(
    parent: pulumi.Resource,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    provider: kubernetes.Provider,
    *,
    create: bool,
) -> pulumi.Output[str]:
    """The name of `namespace`, known once it is created if it is; `name` is the prefix of the resource's name."""
    if not create:
        return pulumi.Output.from_input(namespace)
    return kubernetes.core.v1.Namespace(
        f"{name}-namespace",
        metadata={"name": namespace, "labels": labels},
        opts=pulumi.ResourceOptions(parent=parent, provider=provider),
    ).metadata["name"]

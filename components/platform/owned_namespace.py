"""The namespace of a part of the platform: made for it, or somebody else's."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as kubernetes

from reference import pod_security
from reference.flows import Part


def namespace_for(
    parent: pulumi.Resource,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    provider: kubernetes.Provider,
    *,
    part: Part,
    create: bool,
) -> pulumi.Output[str]:
    """The name of `namespace` of a part, known once it exists; `name` is the prefix of the resource's name.

    One of somebody else is read, under the name that one of ours would have: so the engine gives up a namespace that it
    created in an earlier run. Otherwise it would delete it, with everything in it.
    """
    options = pulumi.ResourceOptions(parent=parent, provider=provider)
    if not create:
        return kubernetes.core.v1.Namespace.get(f"{name}-namespace", namespace, options).metadata["name"]
    return kubernetes.core.v1.Namespace(
        f"{name}-namespace",
        metadata={"name": namespace, "labels": {**labels, **pod_security.labels(part)}},
        opts=options,
    ).metadata["name"]

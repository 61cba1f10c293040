"""NetworkPolicies of a namespace, as resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from reference.naming import PROJECT

Specs = Mapping[str, Mapping[str, Any]]
"""Specs of policies by name (`manifests.network_policies`)."""


def network_policies(
    parent: pulumi.Resource,
    name: str,
    metadata: Mapping[str, Any],
    specs: Specs,
    provider: kubernetes.Provider,
) -> list[pulumi.Resource]:
    """The policies `specs`; `name` is the prefix of the resources' names, `metadata` has namespace and labels."""
    made: list[pulumi.Resource] = []
    for which, spec in specs.items():
        described: Any = spec
        named: Any = {"name": f"{PROJECT}-{which}", **metadata}
        made.append(
            kubernetes.networking.v1.NetworkPolicy(
                f"{name}-{which}-policy",
                metadata=named,
                spec=described,
                opts=pulumi.ResourceOptions(parent=parent, provider=provider),
            )
        )
    return made

"""The two custom kinds of a serving stack.

`CustomResource` declares no outputs; these classes do, so that a name can be taken from the object itself, and what
uses the name waits for the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes


class ComputeDomain(kubernetes.apiextensions.CustomResource):
    """An IMEX domain of NVIDIA's DRA driver; its spec is immutable."""

    spec: pulumi.Output[Mapping[str, Any]]
    """The spec, as the API returns it."""

    def __init__(self, name: str, metadata: Any, spec: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        # The SDK leaves two deprecated parameters of this constructor without a type.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            name, "resource.nvidia.com/v1beta1", "ComputeDomain", spec, metadata, opts
        )

    @property
    def claim_template(self) -> pulumi.Output[str]:
        """Name of the ResourceClaimTemplate that the driver's controller creates for this domain."""
        return self.spec.apply(lambda spec: str(spec["channel"]["resourceClaimTemplate"]["name"]))


class DynamoGraphDeployment(kubernetes.apiextensions.CustomResource):
    """A graph of services, which the Dynamo operator turns into pods."""

    metadata: pulumi.Output[Mapping[str, Any]]
    """The metadata, as the API returns it."""

    def __init__(
        self,
        name: str,
        api_version: str,
        metadata: Any,
        spec: Any,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        # The SDK leaves two deprecated parameters of this constructor without a type.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            name, api_version, "DynamoGraphDeployment", spec, metadata, opts
        )

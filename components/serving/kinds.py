"""The two custom kinds of a serving stack, with their API versions said once.

`CustomResource` declares no outputs; these classes do, so that a name can be read off the object that has it and
whoever uses the name waits for the object.
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
        """Name of the ResourceClaimTemplate that the driver's controller makes for this domain."""
        return self.spec.apply(lambda spec: str(spec["channel"]["resourceClaimTemplate"]["name"]))


class DynamoGraphDeployment(kubernetes.apiextensions.CustomResource):
    """What the Dynamo operator turns into pods."""

    metadata: pulumi.Output[Mapping[str, Any]]
    """Name, namespace and the rest, as the API returns them."""

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

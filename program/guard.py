"""Tracks who creates the cluster's platform and who uses it, so that it is not destroyed under its users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components import platform
from program.infrastructure import Infrastructure
from settings import Settings


def track_resources() -> Sequence[pulumi.Resource]:
    """A list to which every resource that is registered later is added. Call it before the first resource."""
    resources: list[pulumi.Resource] = []

    def remember(args: pulumi.ResourceTransformationArgs) -> None:
        # Components are covered by their children.
        if isinstance(args.resource, pulumi.CustomResource) and not isinstance(args.resource, pulumi.ProviderResource):
            resources.append(args.resource)

    pulumi.runtime.register_stack_transformation(remember)
    return resources


def build_guard(
    settings: Settings,
    infrastructure: Infrastructure,
    parts: Mapping[platform.Part, platform.OwnedPart],
    everything: Sequence[pulumi.Resource],
) -> None:
    """Guard what the environment creates and others may use. Call it after the last resource."""
    if not parts:
        return
    platform.PlatformGuard(
        "guard",
        {
            "environment": settings.environment,
            "provider": infrastructure.cluster.provider,
            "parts": parts,
            "everything": list(everything),
        },
    )


def platform_use(settings: Settings, provider: kubernetes.Provider) -> Sequence[pulumi.Resource]:
    """Declare what the environment uses and does not create; created before and deleted after what uses it."""
    modes: dict[platform.Part, str] = {
        "dynamo": settings.dynamo.mode,
        "kai": settings.kai.mode,
        "dra-driver": settings.dra_driver.mode,
    }
    adopted: list[platform.Part] = [part for part, mode in modes.items() if mode == "adopt"]
    if not adopted:
        return []
    identity = f"{pulumi.get_organization()}/{pulumi.get_project()}/{settings.environment}"
    args: platform.PlatformUseArgs = {
        "environment": settings.environment,
        "identity": identity,
        "provider": provider,
        "parts": adopted,
    }
    return [platform.PlatformUse("platform-use", args)]

"""The Google Cloud APIs that the program uses, enabled in the project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.joined_outputs import once


class ProjectApisArgs(TypedDict):
    """Inputs of `ProjectApis`."""

    project: pulumi.Input[str]
    """Id of the project."""
    services: Sequence[str]
    """Names of the APIs."""


class ProjectApis(pulumi.ComponentResource):
    """Enables the APIs.

    Other resources fail while their API is disabled: those that use the output `project` wait for it. A destroy leaves
    the APIs enabled, because other resources in the project may need them.
    """

    project: pulumi.Output[str]
    """Id of the project, once every service is enabled."""

    def __init__(self, name: str, args: ProjectApisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:ProjectApis", name, {}, opts)
        services = [
            gcp.projects.Service(
                f"{name}-{service.partition('.')[0]}",
                project=args["project"],
                service=service,
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for service in args["services"]
        ]
        self.project = once(pulumi.Output.from_input(args["project"]), *[service.service for service in services])
        self.register_outputs({"project": self.project})

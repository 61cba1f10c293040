"""The services that the program uses, switched on in the project."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.ordering import once
from reference import gke


class ProjectApisArgs(TypedDict):
    """Inputs of `ProjectApis`."""

    project: pulumi.Input[str]
    """Id of the project."""


class ProjectApis(pulumi.ComponentResource):
    """Enables the APIs and hands the project on once they answer.

    Hides that other resources of Google Cloud fail while their API is off: whoever takes `project` from here
    waits. A destroy leaves the APIs on, because other people's resources in the project may rely on them.
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
            for service in gke.APIS
        ]
        self.project = once(pulumi.Output.from_input(args["project"]), *[service.service for service in services])
        self.register_outputs({"project": self.project})

"""The Google Cloud APIs that the team's identities and this program use."""

from __future__ import annotations

from typing import Final, TypedDict

import pulumi
import pulumi_gcp as gcp

APIS: Final = ("cloudkms", "cloudresourcemanager", "iam", "iamcredentials", "serviceusage", "storage", "sts")


class ApisArgs(TypedDict):
    """Inputs of `Apis`."""

    project: str
    """Id of the project."""


class Apis(pulumi.ComponentResource):
    """Enables the APIs; a destroy leaves them enabled, because others in the project may need them."""

    project: pulumi.Output[str]
    """Id of the project, once every API is enabled."""

    def __init__(self, name: str, args: ApisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:bootstrap:Apis", name, {}, opts)
        enabled = [
            gcp.projects.Service(
                f"{name}-{api}",
                project=args["project"],
                service=f"{api}.googleapis.com",
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for api in APIS
        ]

        def project(_: object) -> str:
            return args["project"]

        self.project = pulumi.Output.all(*[api.service for api in enabled]).apply(project)
        self.register_outputs({"project": self.project})

"""The right of one of Google's service agents on one encryption key."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.adopted_reads import ReadTarget, found
from components.gcp.grants import Grants
from components.gcp.joined_outputs import once
from reference import encryption


class KeyAccessArgs(TypedDict):
    """Inputs of `KeyAccess`."""

    key: str
    """Path of the key; it may be in any project."""
    agent: pulumi.Input[str]
    """Email of the agent (`encryption.agent`), known once it exists: Google makes it with the first use of its API."""
    grants: Grants
    """Where the role is given."""


class KeyAccess(pulumi.ComponentResource):
    """Lets an agent encrypt and decrypt with a key.

    What the key encrypts uses the output, so it is made after the grant and deleted before: a node that starts, or a
    bucket that is read, needs the key for as long as it lives.
    """

    key: pulumi.Output[str]
    """Path of the key, once the agent may use it."""

    def __init__(self, name: str, args: KeyAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:KeyAccess", name, {}, opts)
        role = args["grants"].give(
            f"{name}-user",
            {
                "on": "key",
                "target": args["key"],
                "role": encryption.ROLE,
                "member": pulumi.Output.concat("serviceAccount:", args["agent"]),
            },
            self,
        )
        self.key = once(pulumi.Output.from_input(args["key"]), role)
        self.register_outputs({"key": self.key})


def storage_agent(project: str) -> str:
    """Email of the agent of Cloud Storage, which is made when somebody asks for it.

    Raises:
        pulumi.RunError: it cannot be read.
    """
    target = ReadTarget("gcp:project", project, "agent of Cloud Storage", project, "gcloud projects list", "storage")
    return found(lambda: gcp.storage.get_project_service_account(project=project), target).email_address

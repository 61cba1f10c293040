"""The identity of a cluster's nodes."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.grants import Grants
from components.gcp.joined_outputs import once
from reference import gke, naming


class NodeAccountArgs(TypedDict):
    """Inputs of `NodeAccount`."""

    project: pulumi.Input[str]
    """Id of the project."""
    cluster: str
    """Name of the cluster, the prefix of the account's id."""
    grants: Grants
    """Where its roles are given."""


class NodeAccount(pulumi.ComponentResource):
    """A service account for nodes, with only the roles that nodes need (`gke.NODE_ROLES`).

    A node without them registers and then has no logs, metrics or images. Grants are additive (IAMMember): other
    members of the roles stay.
    """

    email: pulumi.Output[str]
    """Email of the account, once its roles are granted."""

    def __init__(self, name: str, args: NodeAccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:NodeAccount", name, {}, opts)
        account = gcp.serviceaccount.Account(
            f"{name}-account",
            project=args["project"],
            account_id=naming.node_account(args["cluster"]),
            display_name=f"Nodes {gke.of_cluster(args['cluster'])}",
            opts=pulumi.ResourceOptions(parent=self),
        )
        roles = [
            args["grants"].give(
                f"{name}-{role.removeprefix('roles/')}",
                {"on": "project", "target": args["project"], "role": role, "member": account.member},
                self,
            )
            for role in gke.NODE_ROLES
        ]
        self.email = once(account.email, *roles)
        self.register_outputs({"email": self.email})

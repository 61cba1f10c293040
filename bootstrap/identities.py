"""The identity pool for the repository's workflows, and the accounts that they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

import pulumi
import pulumi_gcp as gcp

from bootstrap import trust
from bootstrap.roles import Rights

_PROVIDER: Final = "github"


class GithubPoolArgs(TypedDict):
    """Inputs of a `GithubPool`."""

    project: pulumi.Input[str]
    """Id of the project."""
    pool: str
    """Id of the pool. A deleted pool keeps its id for 30 days, so a new one within that time needs another."""
    repository_id: str
    """Numeric id of the repository."""
    owner_id: str
    """Numeric id of its owner."""
    identities: Sequence[str]
    """Names of the identities that its jobs can become."""
    protect: bool
    """Whether Pulumi refuses to delete the pool."""


class GithubPool(pulumi.ComponentResource):
    """A workload identity pool that accepts tokens of one repository's jobs."""

    provider: pulumi.Output[str]
    """Full name of the provider, with the project's number, as google-github-actions/auth takes it."""
    members: Mapping[str, pulumi.Output[str]]
    """The workflow of each identity, as an IAM member."""

    def __init__(self, name: str, args: GithubPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:bootstrap:GithubPool", name, {}, opts)
        pool = gcp.iam.WorkloadIdentityPool(
            f"{name}-pool",
            project=args["project"],
            workload_identity_pool_id=args["pool"],
            display_name="GitHub Actions",
            description="Workflows that preview and deploy dynamo-a4x",
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        provider = gcp.iam.WorkloadIdentityPoolProvider(
            f"{name}-provider",
            project=args["project"],
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=_PROVIDER,
            display_name="GitHub Actions",
            attribute_mapping=trust.mapping(args["identities"]),
            attribute_condition=trust.condition(args["repository_id"], args["owner_id"], args["identities"]),
            # No audiences: Google then accepts only tokens that were made out to this provider.
            oidc={"issuer_uri": trust.ISSUER},
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        self.provider = provider.name
        self.members = {
            identity: pulumi.Output.concat(
                "principalSet://iam.googleapis.com/", pool.name, "/", trust.attribute(args["repository_id"], identity)
            )
            for identity in args["identities"]
        }
        self.register_outputs({"provider": self.provider})


class IdentityArgs(TypedDict):
    """Inputs of an `Identity`."""

    project: pulumi.Input[str]
    """Id of the project that holds the account."""
    rights: Rights
    """What it may do."""
    environments: Sequence[str]
    """Ids of the projects with environments."""
    bucket: pulumi.Input[str]
    """Name of the state bucket."""
    key: pulumi.Input[str]
    """Id of the key."""
    workflows: pulumi.Input[str]
    """The jobs that may use the account, as an IAM member."""
    protect: bool
    """Whether Pulumi refuses to delete the account."""


class Identity(pulumi.ComponentResource):
    """A service account, its rights, and the workflow that may use it. It has no keys."""

    email: pulumi.Output[str]
    """Email of the account."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:bootstrap:Identity", name, {}, opts)
        rights = args["rights"]
        account = gcp.serviceaccount.Account(
            f"{name}-account",
            project=args["project"],
            account_id=f"dynamo-a4x-{name}",
            display_name=f"dynamo-a4x {name}",
            description=rights.purpose.replace("`", ""),
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        gcp.serviceaccount.IAMMember(
            f"{name}-workflow",
            service_account_id=account.name,
            role="roles/iam.workloadIdentityUser",
            member=args["workflows"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        gcp.storage.BucketIAMMember(
            f"{name}-state",
            bucket=args["bucket"],
            role=rights.state.role,
            member=account.member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        gcp.kms.CryptoKeyIAMMember(
            f"{name}-key",
            crypto_key_id=args["key"],
            role=rights.key.role,
            member=account.member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for project in args["environments"]:
            for grant in rights.roles:
                gcp.projects.IAMMember(
                    f"{name}-{project}-{grant.role.removeprefix('roles/')}",
                    project=project,
                    role=grant.role,
                    member=account.member,
                    condition={"title": "Only the roles that dynamo-a4x grants", "expression": grant.only}
                    if grant.only
                    else None,
                    opts=pulumi.ResourceOptions(parent=self),
                )
            if rights.custom is None:
                continue
            custom = gcp.projects.IAMCustomRole(
                f"{name}-{project}-role",
                project=project,
                role_id=rights.custom.id,
                title=f"dynamo-a4x {name}",
                description=rights.custom.why,
                permissions=rights.custom.permissions,
                opts=pulumi.ResourceOptions(parent=self),
            )
            gcp.projects.IAMMember(
                f"{name}-{project}-custom",
                project=project,
                role=custom.name,
                member=account.member,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.email = account.email
        self.register_outputs({"email": self.email})

"""Rules of identities that somebody else provides."""

from __future__ import annotations

from collections.abc import Iterator

from reference import iam
from settings.model import CreateCluster, Settings
from validation.problems import Problem


def accounts(settings: Settings) -> Iterator[Problem]:
    """An account that is given has a use, and one that no role could be given to is given."""
    given = settings.identities
    creates_nodes = isinstance(settings.cluster, CreateCluster) or bool(settings.created_domains)
    node_key = "identities.nodeServiceAccount"
    if given.node_service_account is not None and not creates_nodes:
        rule = "no node is created here, and the nodes of an adopted pool have their account"
        yield Problem(node_key, given.node_service_account, rule, "remove the key")
    if given.iam == "none" and given.node_service_account is None and creates_nodes:
        rule = "identities.iam: none grants no roles, and nodes whose service account has no roles cannot pull images"
        yield Problem(node_key, None, rule, "set the email of a service account that has the roles of nodes")
    uses = (
        ("identities.modelReader", given.model_reader, bool(settings.stacks), "a stack's pods"),
        ("identities.modelWriter", given.model_writer, settings.model_bucket.download, "the download"),
    )
    for key, email, used, who in uses:
        if email is not None and settings.workload_identity == "direct":
            rule = "workloadIdentity: direct grants the role to the Kubernetes identity, without a Google account"
            yield Problem(key, email, rule, "remove the key, or set workloadIdentity: serviceAccount")
        elif email is None and used and given.iam == "none" and settings.workload_identity == "serviceAccount":
            rule = f"identities.iam: none grants no roles, and an account without one is of no use to {who}"
            yield Problem(
                key, None, rule, "set the email of a service account with the role, or set workloadIdentity: direct"
            )


def warnings(settings: Settings) -> Iterator[str]:
    """What needs somebody else at the right moment."""
    given = settings.identities
    email = given.node_service_account
    owner = iam.project_of(email) if email else None
    if owner not in (None, settings.project):
        yield (
            f"identities.nodeServiceAccount = {email}: an account of another project works only where its project does "
            "not enforce iam.disableCrossProjectServiceAccountUsage, and Google's agents may use it [inferred]."
        )
    if given.iam == "none" and settings.stacks and isinstance(settings.cluster, CreateCluster):
        yield (
            "identities.iam = none: the roles of pods can be granted once the cluster's identity pool exists. Until "
            "somebody has run the commands of the output iamBindings, pods wait for the bucket, and so does the "
            "readiness check."
        )

"""Service accounts that somebody else has made: they exist, have their roles, and may be used."""

from __future__ import annotations

from typing import Final

from preflight.cloud import CloudError
from preflight.results import Outcome, failed, passed
from preflight.site import Site
from reference import buckets, gke, iam

ACT_AS: Final = "iam.serviceAccounts.actAs"
WIDER: Final = ("roles/editor", "roles/owner")
"""Roles on a project that include those of nodes."""
WRITERS: Final = (buckets.WRITER, "roles/storage.objectAdmin", "roles/storage.admin")
READERS: Final = (buckets.READER, *WRITERS)


def node_account(site: Site, email: str) -> Outcome:
    """The account of nodes exists and is enabled, has the roles of nodes, and you may let nodes run as it."""
    project, key = site.settings.project, "identities.nodeServiceAccount"
    try:
        disabled = site.cloud.account_disabled(email)
    except CloudError as error:
        if error.trouble != "missing":
            raise
        owner = iam.project_of(email) or project
        return failed(
            f"there is no service account {email}", f"correct {key}: gcloud iam service-accounts list --project {owner}"
        )
    if disabled:
        return failed(f"{email} is disabled", f"gcloud iam service-accounts enable {email}")
    member = f"serviceAccount:{email}"
    if not any(member in site.cloud.members(project, role) for role in WIDER):
        missing = [role for role in gke.NODE_ROLES if member not in site.cloud.members(project, role)]
        if missing:
            commands = "; ".join(iam.command("project", project, role, member) for role in missing)
            return failed(f"{email} has no {' and no '.join(missing)} on project {project}", commands)
    if ACT_AS not in site.cloud.granted_on_account(email, [ACT_AS]):
        command = iam.command("service account", email, "roles/iam.serviceAccountUser", "user:YOU")
        return failed(f"you lack {ACT_AS} on {email}, so no node can run as it", command)
    return passed(f"{email} is enabled, has the roles of nodes, and you may use it")


def model_account(site: Site, email: str, *, write: bool) -> Outcome:
    """The account of pods exists and has its role on the bucket, or on the bucket's project."""
    key, role = ("modelWriter", buckets.WRITER) if write else ("modelReader", buckets.READER)
    project, bucket = site.settings.project, site.settings.model_bucket.name
    try:
        disabled = site.cloud.account_disabled(email)
    except CloudError as error:
        if error.trouble != "missing":
            raise
        return failed(
            f"there is no service account {email}", f"correct identities.{key}: gcloud iam service-accounts list"
        )
    if disabled:
        return failed(f"{email} is disabled", f"gcloud iam service-accounts enable {email}")
    member, held = f"serviceAccount:{email}", WRITERS if write else READERS
    for one in held:
        if member in _on_bucket(site, bucket, one) | site.cloud.members(project, one):
            return passed(f"{email} has {one}")
    return failed(f"{email} has no {role} on gs://{bucket}", iam.command("bucket", bucket, role, member))


def _on_bucket(site: Site, bucket: str, role: str) -> frozenset[str]:
    """Members of a role on the bucket; none on one that is still to be made."""
    try:
        return site.cloud.bucket_members(bucket, role)
    except CloudError as error:
        if error.trouble != "missing":
            raise
        return frozenset()

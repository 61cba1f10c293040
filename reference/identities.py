"""Service accounts that a company makes itself: which ones, and the roles that each needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reference import buckets, gke, iam
from reference.prerequisites import Prerequisite

_SOURCE = "GKE: least privilege service account; [inferred] that no other role is needed"


def node_account(email: str, project: str) -> Iterator[Prerequisite]:
    """What a service account for nodes needs."""
    key, check = "identities.nodeServiceAccount", "node account"
    owner, name = iam.project_of(email), email.partition("@")[0]
    if owner is not None:
        create = f"gcloud iam service-accounts create {name} --project {owner}"
        yield Prerequisite(key, f"the service account {email}", create, check, _SOURCE)
    for role in gke.NODE_ROLES:
        yield Prerequisite(
            key,
            f"{role} on project {project} for {email}",
            iam.command("project", project, role, f"serviceAccount:{email}"),
            check,
            _SOURCE,
        )
    yield Prerequisite(
        key,
        f"roles/iam.serviceAccountUser on {email} for whoever runs `pulumi up`",
        iam.command("service account", email, "roles/iam.serviceAccountUser", "user:YOU"),
        check,
        "IAM: attaching a service account to a resource (iam.serviceAccounts.actAs)",
    )


def model_account(key: str, email: str, role: str, bucket: str) -> Iterator[Prerequisite]:
    """What the Google service account of pods that use the bucket needs."""
    yield Prerequisite(
        key,
        f"{role} on gs://{bucket} for {email}",
        iam.command("bucket", bucket, role, f"serviceAccount:{email}"),
        "model writer" if role == buckets.WRITER else "model reader",
        "GKE: access Cloud Storage with the FUSE CSI driver",
    )


def apis(project: str, services: Sequence[str]) -> Iterator[Prerequisite]:
    """The APIs that somebody else enables."""
    yield Prerequisite(
        "identities.enableApis",
        f"{len(services)} APIs enabled in project {project}",
        f"gcloud services enable {' '.join(services)} --project {project}",
        "apis",
        "Service Usage: enabling services",
    )

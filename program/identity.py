"""Who may read and who may write the bucket with the weights."""

from __future__ import annotations

from typing import Final, Literal

from components import gcp
from program.infrastructure import Infrastructure
from settings import Settings

ROLES: Final = {"read": "roles/storage.objectViewer", "write": "roles/storage.objectUser"}
"""What the pods of a stack, and those of a download, get on the bucket."""


def bucket_access(
    name: str,
    settings: Settings,
    infrastructure: Infrastructure,
    *,
    access: Literal["read", "write"],
    namespace: str,
    service_account: str,
) -> gcp.WorkloadIdentity:
    """Let a Kubernetes service account at the bucket, the way that the settings choose."""
    return gcp.WorkloadIdentity(
        name,
        {
            "environment": settings.environment,
            "mode": settings.workload_identity,
            "project": infrastructure.project,
            "project_number": settings.project_number or "",
            "workload_pool": infrastructure.cluster.workload_pool,
            "bucket": infrastructure.bucket,
            "role": ROLES[access],
            "namespace": namespace,
            "service_account": service_account,
        },
    )

"""Read and write access to the bucket with the weights."""

from __future__ import annotations

from typing import Final, Literal

from components import gcp
from program.infrastructure import Infrastructure
from settings import Settings

ROLES: Final = {"read": "roles/storage.objectViewer", "write": "roles/storage.objectUser"}
"""Roles on the bucket of a stack's pods (read) and of a download's (write)."""


def bucket_access(
    name: str,
    settings: Settings,
    infrastructure: Infrastructure,
    *,
    access: Literal["read", "write"],
    namespace: str,
    service_account: str,
) -> gcp.WorkloadIdentity:
    """Give a Kubernetes service account access to the bucket, as `workloadIdentity` says."""
    return gcp.WorkloadIdentity(
        name,
        {
            "environment": settings.environment,
            "project": infrastructure.project,
            "direct": settings.project_number if settings.workload_identity == "direct" else None,
            "workload_pool": infrastructure.cluster.workload_pool,
            "bucket": infrastructure.bucket,
            "role": ROLES[access],
            "namespace": namespace,
            "service_account": service_account,
        },
    )

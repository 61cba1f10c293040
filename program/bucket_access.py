"""Read and write access to the bucket with the weights."""

from __future__ import annotations

from typing import Literal

from components import gcp
from program.infrastructure import Infrastructure
from reference import buckets
from settings import Settings


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
            "role": buckets.ROLES[access],
            "namespace": namespace,
            "service_account": service_account,
        },
    )

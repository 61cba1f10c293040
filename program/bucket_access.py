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
    """Give a Kubernetes service account access to the bucket, as `workloadIdentity` and `identities` say."""
    given = settings.identities
    roles = {"read": (buckets.READER, given.model_reader), "write": (buckets.WRITER, given.model_writer)}
    role, account = roles[access]
    return gcp.WorkloadIdentity(
        name,
        {
            "environment": settings.environment,
            "project": infrastructure.project,
            "direct": settings.project_number if settings.workload_identity == "direct" else None,
            "workload_pool": infrastructure.cluster.workload_pool,
            "bucket": infrastructure.bucket,
            "role": role,
            "namespace": namespace,
            "service_account": service_account,
            "account": account,
            "grants": infrastructure.grants,
        },
    )

"""Read and write access to the bucket with the weights."""

from __future__ import annotations

from components import gcp
from program.infrastructure import Infrastructure
from settings import Settings


def bucket_access(
    name: str,
    settings: Settings,
    infrastructure: Infrastructure,
    *,
    access: gcp.Access,
    namespace: str,
    service_account: str,
) -> gcp.WorkloadIdentity:
    """Give a Kubernetes service account access to the bucket, as `workloadIdentity` and `identities` say."""
    given = {"read": settings.identities.model_reader, "write": settings.identities.model_writer}
    return gcp.WorkloadIdentity(
        name,
        {
            "environment": settings.environment,
            "project": infrastructure.project,
            "direct": settings.project_number if settings.workload_identity == "direct" else None,
            "workload_pool": infrastructure.cluster.workload_pool,
            "bucket": infrastructure.bucket,
            "role": gcp.ROLES[access],
            "namespace": namespace,
            "service_account": service_account,
            "account": given[access],
            "grants": infrastructure.grants,
        },
    )

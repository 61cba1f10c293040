"""Workload Identity: gives one Kubernetes service account access to the model bucket, without a key.

Either by a direct grant to the Kubernetes identity, as Google now recommends, or, as in the recipe, through a Google
service account that the Kubernetes one impersonates.

Grants are additive: they never remove those of others, and are for one account, never for a namespace.
"""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.joined_outputs import once
from reference import naming


class WorkloadIdentityArgs(TypedDict):
    """Inputs of a `WorkloadIdentity`."""

    environment: str
    """Name of the environment: two of them may have stacks of the same name in one project."""

    project: pulumi.Input[str]
    """Id of the project with the cluster, and so with the workload identity pool."""

    direct: str | None
    """Number of that project, which is part of the principal of a direct grant; None: the grant goes to a Google
    service account that the Kubernetes one impersonates."""

    workload_pool: pulumi.Input[str]
    """The cluster's workload pool, `<project>.svc.id.goog`."""

    bucket: pulumi.Input[str]
    """Name of the bucket."""

    role: str
    """Role on the bucket, such as roles/storage.objectViewer."""

    namespace: str
    """Namespace of the Kubernetes service account."""

    service_account: str
    """Name of the Kubernetes service account."""


class WorkloadIdentity(pulumi.ComponentResource):
    """The grant, and the annotations that it needs on the Kubernetes service account."""

    annotations: pulumi.Output[dict[str, str]]
    """Annotations for the Kubernetes service account (empty for `direct`); known once the grant exists."""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:WorkloadIdentity", name, {}, opts)
        subject, pool = f"{args['namespace']}/{args['service_account']}", args["workload_pool"]
        if args["direct"] is not None:
            member = pulumi.Output.concat(
                f"principal://iam.googleapis.com/projects/{args['direct']}/locations/global/workloadIdentityPools/",
                pool,
                f"/subject/ns/{args['namespace']}/sa/{args['service_account']}",
            )
            annotations: pulumi.Output[dict[str, str]] = pulumi.Output.from_input({})
        else:
            google = gcp.serviceaccount.Account(
                f"{name}-account",
                account_id=naming.bounded(f"{name}-{args['environment']}", naming.SERVICE_ACCOUNT_MAX),
                project=args["project"],
                display_name=f"Pods of {subject}",
                opts=pulumi.ResourceOptions(parent=self),
            )
            gcp.serviceaccount.IAMMember(
                f"{name}-impersonation",
                service_account_id=google.name,
                role="roles/iam.workloadIdentityUser",
                member=pulumi.Output.concat("serviceAccount:", pool, f"[{subject}]"),
                opts=pulumi.ResourceOptions(parent=self),
            )
            member = pulumi.Output.concat("serviceAccount:", google.email)
            annotations = google.email.apply(lambda email: {"iam.gke.io/gcp-service-account": email})
        grant = gcp.storage.BucketIAMMember(
            f"{name}-bucket-access",
            bucket=args["bucket"],
            role=args["role"],
            member=member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # The service account, and so every pod, waits for the grant.
        self.annotations = once(annotations, grant.role)
        self.register_outputs({"annotations": self.annotations})

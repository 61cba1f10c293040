"""Workload Identity: lets one Kubernetes service account use the model bucket, without a key.

Two ways lead there. `direct` grants the bucket to the Kubernetes identity itself, which is what Google recommends
now; `serviceAccount` is the recipe's way through a Google service account that the Kubernetes one impersonates.
Grants are additive: they never take away what others have granted, and they go to one account, never to a namespace.
"""

from __future__ import annotations

from typing import Literal, TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.ordering import once
from reference import naming

Mode = Literal["direct", "serviceAccount"]


class WorkloadIdentityArgs(TypedDict):
    """Inputs of a `WorkloadIdentity`."""

    environment: str
    """Name of the environment: two of them may serve stacks of one name in one project."""

    mode: Mode
    """`direct` (principal://) or `serviceAccount` (impersonation of a Google service account)."""

    project: pulumi.Input[str]
    """Id of the project that holds the cluster, and with it the workload identity pool."""

    project_number: str
    """Number of that project (only `direct` needs it: the principal's name wants number and id)."""

    workload_pool: pulumi.Input[str]
    """The cluster's workload pool, `<project>.svc.id.goog`."""

    bucket: pulumi.Input[str]
    """The bucket to use."""

    role: str
    """Role on the bucket, such as roles/storage.objectViewer."""

    namespace: str
    """Namespace of the Kubernetes service account."""

    service_account: str
    """Name of the Kubernetes service account."""


class WorkloadIdentity(pulumi.ComponentResource):
    """The grant, and what must be written on the Kubernetes service account for it to hold."""

    annotations: pulumi.Output[dict[str, str]]
    """Annotations for the Kubernetes service account (empty for `direct`); known once the grant exists."""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:WorkloadIdentity", name, {}, opts)
        subject, pool = f"{args['namespace']}/{args['service_account']}", args["workload_pool"]
        if args["mode"] == "direct":
            member = pulumi.Output.concat(
                f"principal://iam.googleapis.com/projects/{args['project_number']}/locations/global/workloadIdentityPools/",
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
        # The account, and with it every pod, waits for the grant.
        self.annotations = once(annotations, grant.role)
        self.register_outputs({"annotations": self.annotations})

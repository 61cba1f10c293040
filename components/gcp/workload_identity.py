"""Workload Identity: gives one Kubernetes service account access to the model bucket, without a key.

Either by a direct grant to the Kubernetes identity, as Google now recommends, or, as in the recipe, through a Google
service account that the Kubernetes one impersonates.

Grants are additive: they never remove those of others, and are for one account, never for a namespace.
"""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.grants import Binding, Grants
from components.gcp.joined_outputs import once
from reference import iam, naming


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

    account: str | None
    """Email of a Google service account that has the role on the bucket already; None: one is made. Not with
    `direct`."""

    grants: Grants
    """Where roles are given."""


class WorkloadIdentity(pulumi.ComponentResource):
    """The grant, and the annotations that it needs on the Kubernetes service account."""

    annotations: pulumi.Output[dict[str, str]]
    """Annotations for the Kubernetes service account (empty for `direct`); known once the grant exists."""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:WorkloadIdentity", name, {}, opts)
        subject, pool = f"{args['namespace']}/{args['service_account']}", args["workload_pool"]
        grants, given = args["grants"], args["account"]
        if args["direct"] is not None:
            member = pulumi.Output.concat(
                f"principal://iam.googleapis.com/projects/{args['direct']}/locations/global/workloadIdentityPools/",
                pool,
                f"/subject/ns/{args['namespace']}/sa/{args['service_account']}",
            )
            annotations: pulumi.Output[dict[str, str]] = pulumi.Output.from_input({})
        else:
            if given is not None:
                owner = iam.project_of(given) or args["project"]
                email = pulumi.Output.from_input(given)
                path = pulumi.Output.concat("projects/", owner, f"/serviceAccounts/{given}")
            else:
                google = gcp.serviceaccount.Account(
                    f"{name}-account",
                    account_id=naming.bounded(f"{name}-{args['environment']}", naming.SERVICE_ACCOUNT_MAX),
                    project=args["project"],
                    display_name=f"Pods of {subject}",
                    opts=pulumi.ResourceOptions(parent=self),
                )
                email, path = google.email, google.name
            grants.give(
                f"{name}-impersonation",
                {
                    "on": "service account",
                    "target": path,
                    "role": "roles/iam.workloadIdentityUser",
                    "member": pulumi.Output.concat("serviceAccount:", pool, f"[{subject}]"),
                },
                self,
            )
            member = pulumi.Output.concat("serviceAccount:", email)
            annotations = email.apply(lambda email: {"iam.gke.io/gcp-service-account": email})
        access: Binding = {"on": "bucket", "target": args["bucket"], "role": args["role"], "member": member}
        if given is not None:
            # Several stacks may share the account: whoever goes first would take the role from the others.
            grants.expect(access)
            self.annotations = annotations
        else:
            # The service account, and so every pod, waits for the grant.
            self.annotations = once(annotations, grants.give(f"{name}-bucket-access", access, self))
        self.register_outputs({"annotations": self.annotations})

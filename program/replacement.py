"""Sets `delete_before_replace` explicitly on every resource that keeps its name.

The plugins request it too, but only as part of a diff. If a replacement stops between delete and create (the old node
pool is deleted, the new reservation turns out to be wrong), users often revert the change, and then the diff is empty:
without an explicit option, Pulumi 3.259 creates the object and *then* deletes the "old" one, which has the same id. The
new pool is gone, and the state says that it exists. Seen in `tests/resilience/replacements.py`; read in the engine's
`continueStepsFromDiff`, where `pendingReplacement` turns an empty diff into a replacement, whose order comes only from
the diff or from this option.

The option also applies if the config renames something (`dynamo.namespace`): the new one would exist beside the old
one, and a second operator is rejected.

Before the engine deletes an object for this, it deletes its dependents that use an output of it and would be replaced
if that output is unknown. So nothing that should outlive a node pool uses such an output; its order comes from
`depends_on`.

Remaining gap: a resource of `CREATED_FIRST`, or with the option set to False, is lost in the same way if it was deleted
as such a dependent and then not recreated. That takes a replacement of the stack's namespace (`up --replace`) or of a
service account (another name for an unprotected cluster); no other change of the config causes one. `pulumi refresh
--run-program=false` and `pulumi up` recover it.
"""

from __future__ import annotations

import copy
from typing import Final

import pulumi

CREATED_FIRST: Final = {
    "gcp:storage/bucket:Bucket": "another name is another bucket, which must exist before the old one is deleted",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "the pods' service account depends on it: it would be deleted first",
    "gcp:serviceaccount/iAMMember:IAMMember": "running pods keep the old grant until the new one exists",
    "gcp:projects/iAMMember:IAMMember": "node pools depend on it, and would be deleted first",
    "gcp:projects/service:Service": "everything in the project depends on it, and its deletion does nothing",
    "random:index/randomString:RandomString": "only a value in the state; what it names is replaced separately",
    "random:index/randomUuid:RandomUuid": "the same; and all networks depend on it, and would be deleted first",
}
"""Kinds that may be replaced in create-before-delete order, and why."""


def delete_first() -> None:
    """Set `delete_before_replace` on all resources of the stack that do not set it themselves.

    Components set `delete_before_replace=False` where every replacement has a new name. Call it before the first
    resource.
    """
    pulumi.runtime.register_stack_transformation(_delete_first)


def _delete_first(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    kind = args.type_
    if not isinstance(args.resource, pulumi.CustomResource) or isinstance(args.resource, pulumi.ProviderResource):
        return None
    if kind in CREATED_FIRST or args.opts.delete_before_replace is not None:
        return None
    options = copy.copy(args.opts)
    options.delete_before_replace = True
    return pulumi.ResourceTransformationResult(args.props, options)

"""Sets `delete_before_replace` explicitly on every resource that keeps its name.

The plugins request it only as part of a diff, and a replacement that stopped partway and is reverted has none. Why
that loses a node pool, what else follows, and which gap remains: docs/decisions/0002-delete-before-replace.md.
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
    "random:index/randomPassword:RandomPassword": "the same; its Secrets get another name",
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

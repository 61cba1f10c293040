"""How the engine replaces a resource: the old one goes first, said outright for everything that keeps its name.

The plugins say so too, but only together with a difference. A replacement that stopped between its two halves (the
old node pool is gone, the new reservation turns out to be wrong) is often answered by putting the old value back,
and then there is no difference: without an option of the program's own, Pulumi 3.259 makes the object and *then*
deletes the "old" one, which has the same id. The pool that was just made is gone, and the state says that it
exists. Seen in `proofs.replacements`; read in the engine's `continueStepsFromDiff`, where `pendingReplacement` makes
a replacement of an empty difference, and the order comes from the difference or from this option alone.
"""

from __future__ import annotations

import copy
from typing import Final

import pulumi

CREATED_FIRST: Final = {
    "gcp:storage/bucket:Bucket": "another name is another bucket: it must be had before the old one is given up",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "the pods' account waits for the grant and would go with it",
    "gcp:serviceaccount/iAMMember:IAMMember": "as above: running pods keep the old grant until the new one stands",
    "gcp:projects/iAMMember:IAMMember": "as above, for nodes",
    "random:index/randomString:RandomString": "a value without a cloud; what is named after it is replaced in its turn",
}
"""Kinds that the plugin may replace in the other order, and why."""


def delete_first() -> None:
    """Set `delete_before_replace` on all resources of the stack that do not set it themselves.

    Components say `delete_before_replace=False` where every replacement has a name of its own. Call it before the
    first resource.
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

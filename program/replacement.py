"""How the engine replaces a resource: the old one goes first, said outright for everything that keeps its name.

The plugins say so too, but only together with a difference. A replacement that stopped between its two halves (the
old node pool is gone, the new reservation turns out to be wrong) is often answered by putting the old value back,
and then there is no difference: without an option of the program's own, Pulumi 3.259 makes the object and *then*
deletes the "old" one, which has the same id. The pool that was just made is gone, and the state says that it
exists. Seen in `tests/resilience/test_replacements.py`; read in the engine's `continueStepsFromDiff`, where
`pendingReplacement` makes a replacement of an empty difference, and the order comes from the difference or from this
option alone.

The option also decides for what another config renames (`dynamo.namespace`): the new one would stand beside the old
one, and a second operator is refused.

Before the engine deletes an object for this, it deletes what takes a value from it and would be replaced by a value
that is not known yet. Hence nothing that should outlive a node pool takes such a value from it; its order comes from
`depends_on`.

Left open: what `CREATED_FIRST` names, and what sets the option to False, is lost in the same way if it went as such a
dependent and its own new half did not come. That takes a replacement of the stack's namespace (`up --replace`) or of a
service account (another name for an unprotected cluster); no other change of the config asks for one. `pulumi refresh
--run-program=false` and `pulumi up` bring it back.
"""

from __future__ import annotations

import copy
from typing import Final

import pulumi

CREATED_FIRST: Final = {
    "gcp:storage/bucket:Bucket": "another name is another bucket, to be had before the old one is given up",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "the pods' service account waits for it, and would be deleted first",
    "gcp:serviceaccount/iAMMember:IAMMember": "running pods keep the old grant until the new one stands",
    "gcp:projects/iAMMember:IAMMember": "node pools wait for it, and would be deleted first",
    "gcp:projects/service:Service": "everything in the project waits for it, and its deletion is none",
    "random:index/randomString:RandomString": "a value without a cloud; what it names is replaced by itself",
    "random:index/randomUuid:RandomUuid": "the same; and all networks wait for it, and would be deleted first",
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

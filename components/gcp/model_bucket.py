"""The bucket that holds the weights: created by the program, or adopted.

A bucket that still holds files stops a destroy at its very last step, so a destroy of an unprotected environment also
empties the bucket: `force_destroy` follows the environment's protection unless it is set.
"""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.adopted_reads import ReadTarget, found
from reference import naming


class ModelBucketArgs(TypedDict):
    """Inputs of a `ModelBucket`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    bucket: str
    """The bucket's name, without gs://."""

    project: str
    """Id of the project."""

    region: str
    """Region of the A4X nodes: loading weights from another region is slow and costs egress."""

    force_destroy: bool
    """Whether a destroy may delete a bucket that still holds files."""

    protect: bool
    """Whether Pulumi refuses to delete the bucket."""

    key: pulumi.Input[str] | None
    """Path of the key that encrypts new files, which Cloud Storage's agent may use; None: Google's own."""


class ModelBucket(pulumi.ComponentResource):
    """A regional bucket with uniform access and no public access."""

    bucket_name: pulumi.Output[str]
    """The bucket's name, known once it exists."""

    def __init__(self, name: str, args: ModelBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:ModelBucket", name, {}, opts)
        bucket = gcp.storage.Bucket(
            f"{name}-bucket",
            name=args["bucket"],
            project=args["project"],
            location=args["region"].upper(),
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            # Folders that can be renamed atomically, as `hf download` does; only possible at creation.
            hierarchical_namespace={"enabled": True},
            force_destroy=args["force_destroy"],
            labels=naming.gcp_labels(args["environment"]),
            encryption=None if args["key"] is None else {"default_kms_key_name": args["key"]},
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        self.bucket_name = bucket.name
        self.register_outputs({"bucketName": self.bucket_name})


def adopted_bucket(name: str, project: str, region: str) -> pulumi.Output[str]:
    """Name of an existing bucket; warns if it is not in `region`.

    Raises:
        pulumi.RunError: it cannot be read.
    """
    listing = f"gcloud storage buckets list --project {project}"
    bucket = found(
        # Without the project the plugin gets it from Compute Engine, which needs one more permission.
        lambda: gcp.storage.get_bucket(name=name, project=project),
        ReadTarget("modelBucket.name", name, "bucket", project, listing, "storage"),
    )
    if bucket.location.lower() != region.lower():
        pulumi.log.warn(
            f"modelBucket.name = {name!r}: the bucket is in {bucket.location}, the nodes are in {region}; "
            "weights load slowly across regions and egress is charged. Copy them to a bucket in the region."
        )
    return pulumi.Output.from_input(bucket.name)

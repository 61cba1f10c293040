"""Where the stacks' state is, and the key that encrypts the secrets in it."""

from __future__ import annotations

from typing import Final, TypedDict

import pulumi
import pulumi_gcp as gcp

KEY_NAME: Final = "secrets"
KEPT_VERSIONS: Final = 20
"""Old versions of an object that no age removes: the engine writes a stack's state many times in one `up`."""
_DAY: Final = 86_400


class StateStoreArgs(TypedDict):
    """Inputs of a `StateStore`."""

    project: pulumi.Input[str]
    """Id of the project."""
    region: str
    """Region of bucket and key."""
    bucket: str
    """Name of the bucket."""
    key_ring: str
    """Name of the key ring. Cloud KMS never gives a name back, so a destroyed store needs another, or `adopted`."""
    adopted: str | None
    """Id of the key ring if it and the key exist already, from an earlier store."""
    old_versions_days: int
    """Days after which old versions of the state are deleted."""
    rotation_days: int
    """Days after which the key gets a new version. Older versions go on decrypting what they encrypted."""
    protect: bool
    """Whether Pulumi refuses to delete bucket and key."""


class StateStore(pulumi.ComponentResource):
    """A bucket with versioning and without public access, and a Cloud KMS key as the stacks' secrets provider.

    A destroy forgets key ring and key and leaves them in the project: what the provider calls deleting a key destroys
    all of its versions, and with them every secret in every state, backups included.
    """

    bucket: pulumi.Output[str]
    """The bucket's name, known once it exists."""
    key: pulumi.Output[str]
    """Id of the key."""
    secrets_provider: pulumi.Output[str]
    """The `secretsprovider` of the stacks' files."""

    def __init__(self, name: str, args: StateStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:bootstrap:StateStore", name, {}, opts)
        bucket = gcp.storage.Bucket(
            f"{name}-bucket",
            name=args["bucket"],
            project=args["project"],
            location=args["region"].upper(),
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning={"enabled": True},
            lifecycle_rules=[
                {
                    "action": {"type": "Delete"},
                    "condition": {
                        "with_state": "ARCHIVED",
                        "days_since_noncurrent_time": args["old_versions_days"],
                        "num_newer_versions": KEPT_VERSIONS,
                    },
                }
            ],
            force_destroy=False,
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        adopted = args["adopted"]
        ring = gcp.kms.KeyRing(
            f"{name}-key-ring",
            name=args["key_ring"],
            project=args["project"],
            location=args["region"],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args["protect"],
                retain_on_delete=True,
                import_=adopted,
            ),
        )
        key = gcp.kms.CryptoKey(
            f"{name}-key",
            name=KEY_NAME,
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=f"{args['rotation_days'] * _DAY}s",
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args["protect"],
                retain_on_delete=True,
                import_=adopted and f"{adopted}/cryptoKeys/{KEY_NAME}",
            ),
        )
        self.bucket = bucket.name
        self.key = key.id
        self.secrets_provider = pulumi.Output.concat("gcpkms://", key.id)
        self.register_outputs({"bucket": self.bucket, "secretsProvider": self.secrets_provider})

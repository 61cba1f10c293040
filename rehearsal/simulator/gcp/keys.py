"""Customer-managed encryption keys: which field names one, who must be able to use it, and where it may lie.

The agents are those of the project with the object, not of the key's (GKE: "Use customer-managed encryption keys",
"Encrypt secrets at the application layer"; Cloud Storage: "Use customer-managed encryption keys"). An agent of any
number is taken for the project's: only Google knows the number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rehearsal.simulator.gcp.rules import BUCKET, CLUSTER, CRYPTO_KEY, KEY_MEMBER, NODE_POOL
from rehearsal.simulator.state import ApiError, CloudState
from rehearsal.simulator.values import Props, text

_ENCRYPTERS = ("roles/cloudkms.cryptoKeyEncrypterDecrypter", "roles/cloudkms.cryptoOperator")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")


@dataclass(frozen=True)
class _Field:
    """A field that names a key."""

    path: str
    agent: str
    """Domain of the agent that uses the key, before .iam.gserviceaccount.com."""
    denied: str
    """What the service answers if it may not use the key, or if there is none; {key} is the key."""
    elsewhere: str
    """What it answers for a key of another region."""


DISK_AGENT = "compute-system"
_DISK = _Field(
    "nodeConfig.bootDiskKmsKey",
    DISK_AGENT,
    # terraform-provider-google#5103; gcloud compute images create in the wild. That GKE hands it on is inferred.
    "Error 400: Cloud KMS error when using key {key}: Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on "
    "resource '{key}' (or it may not exist)., kmsPermissionDenied",
    # The wording was not seen.
    "Error 400: Cloud KMS key {key} cannot be used for a disk in {region}, invalid",
)
_FIELDS: dict[str, tuple[_Field, ...]] = {
    CLUSTER: (
        _DISK,
        _Field(
            "databaseEncryption.keyName",
            "container-engine-robot",
            # The rule: GKE, "Encrypt secrets at the application layer". Its wording was not seen.
            "Error 400: Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '{key}' (or it may not "
            "exist)., badRequest",
            "Error 400: database_encryption: key {key} is not in the cluster's location {region}, badRequest",
        ),
    ),
    NODE_POOL: (_DISK,),
    BUCKET: (
        _Field(
            "encryption.defaultKmsKeyName",
            "gs-project-accounts",
            # ollionorg/gcp-landing-zone#59.
            "Error 403: Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has "
            "been authorized to use this key., forbidden",
            # google-cloud-go#1787.
            "Error 400: Cloud KMS region '{location}' not available for use with GCS region '{region}'., invalid",
        ),
    ),
}


def refuse_unusable(state: CloudState, kind: str, placed: Props) -> None:
    """Raise `ApiError` if an object names a key that its service cannot use."""
    for field in _FIELDS.get(kind, ()):
        key = text(placed, field.path)
        location, region = _location(key), str(placed.get("location") or "")
        words = {"key": key, "location": location, "region": region}
        # Disks have been encrypted with global keys (terraform-provider-google#5103).
        other = location != region.lower() and (kind == BUCKET or bool(_REGION.fullmatch(location)))
        if key and other:
            raise ApiError(field.elsewhere.format(**words))
        if key and not usable(state, key, field.agent):
            raise ApiError(field.denied.format(**words))


def usable(state: CloudState, key: str, agent: str) -> bool:
    """Whether a key exists and an agent may encrypt and decrypt with it."""
    member = re.compile(rf"serviceAccount:service-\d+@{agent}\.iam\.gserviceaccount\.com")
    return bool(state.find(CRYPTO_KEY, where=lambda found: found.id == key)) and any(
        text(grant.outputs, "cryptoKeyId") == key
        and member.fullmatch(text(grant.outputs, "member"))
        and text(grant.outputs, "role") in _ENCRYPTERS
        for grant in state.find(KEY_MEMBER)
    )


def _location(key: str) -> str:
    found = re.search(r"/locations/([^/]+)/", key)
    return found[1] if found else ""

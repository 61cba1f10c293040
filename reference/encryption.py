"""Customer-managed encryption keys: their paths, their locations, and which agent of Google uses which.

A key reaches boot disks, volumes, Kubernetes Secrets and buckets. Nothing here concerns the local SSDs of an A4X node,
which take no such key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reference import iam
from reference.prerequisites import Prerequisite
from validation.problems import RuleError

Use = Literal["disks", "secrets", "bucket", "volumes"]
"""What a key encrypts."""

ROLE: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
"""What the agent of a service needs on a key to use it."""

VOLUME_PARAMETER: Final = "disk-encryption-kms-key"
"""The parameter of a StorageClass of GKE's Persistent Disk driver that names the key."""

_KEY: Final = re.compile(
    r"projects/(?P<project>[^/]+)/locations/(?P<location>[a-z0-9-]+)/keyRings/(?P<ring>[a-zA-Z0-9_-]{1,63})"
    r"/cryptoKeys/(?P<name>[a-zA-Z0-9_-]{1,63})"
)
_REGION: Final = re.compile(r"[a-z]+-[a-z]+[0-9]+")
"""A region; `global` and multi-regions (us, europe, nam4) have other forms."""

_AGENTS: Final[Mapping[Use, str]] = {
    "disks": "compute-system",
    "secrets": "container-engine-robot",
    "bucket": "gs-project-accounts",
    "volumes": "compute-system",
}
WHAT: Final[Mapping[Use, str]] = {
    "disks": "the boot disks of the nodes",
    "secrets": "Kubernetes Secrets in the cluster's database",
    "bucket": "the model bucket's files",
    "volumes": "the volumes of NATS and etcd",
}


@dataclass(frozen=True)
class Key:
    """A Cloud KMS key."""

    path: str
    project: str
    location: str
    ring: str
    """Path of its key ring."""


def parse(path: str, key: str = "key") -> Key:
    """The key of a path.

    Raises:
        RuleError: not a key's path; a version of a key is none.
    """
    found = _KEY.fullmatch(path)
    if found is None:
        raise RuleError(
            key,
            path,
            "a Cloud KMS key is named by its path, without a version",
            "write projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY: gcloud kms keys list "
            "--location LOCATION --keyring RING",
        )
    return Key(path, found["project"], found["location"], path.partition("/cryptoKeys/")[0])


def check_location(path: str, use: Use, region: str, key: str) -> None:
    """Raise `RuleError` if a key of this location cannot encrypt what lies in `region`.

    Cloud Storage takes keys of the bucket's own location only ("Cloud KMS region 'global' not available for use with
    GCS region 'US'", google-cloud-go#1787). Disks are also known to take global keys (terraform-provider-google#5103),
    so for them only a key of another region is refused.
    """
    location = parse(path, key).location
    if location != region and (use == "bucket" or _REGION.fullmatch(location)):
        raise RuleError(
            key,
            path,
            f"the key is in {location}, and {WHAT[use]} are in {region}, where a key of another place cannot be used",
            f"name a key of a key ring in {region}: gcloud kms keyrings list --location {region}",
        )


def location_warning(path: str, use: Use, region: str, key: str) -> str | None:
    """A warning about a key that `check_location` accepts."""
    location = parse(path, key).location
    if location == region:
        return None
    return (
        f"{key} = {path}: Google asks for a key in {region}; whether one in {location} is taken for {WHAT[use]} is not "
        "verified, and its keys are read from elsewhere whenever a node starts."
    )


def agent(use: Use, project_number: str) -> str:
    """Email of the service agent that uses the key: of the project with cluster and bucket, never of the key's."""
    return f"service-{project_number}@{_AGENTS[use]}.iam.gserviceaccount.com"


def prerequisites(keys: Mapping[Use, str], project_number: str | None, *, granted: bool) -> Iterator[Prerequisite]:
    """What somebody else provides for these keys; `granted` says that the program gives the roles itself."""
    for use, path in keys.items():
        key, found = f"encryption.{use}", parse(path)
        yield Prerequisite(
            key,
            f"an enabled symmetric key {path} for {WHAT[use]}",
            f"gcloud kms keys create {path.rpartition('/')[2]} --purpose=encryption --project {found.project} "
            f"--location {found.location} --keyring {found.ring.rpartition('/')[2]}",
            f"key {use}",
            "GKE: using CMEK; Cloud Storage: customer-managed keys",
        )
        if not granted:
            member = f"serviceAccount:{agent(use, project_number or 'PROJECT_NUMBER')}"
            yield Prerequisite(
                key,
                f"{ROLE} on {path} for {member}",
                iam.command("key", path, ROLE, member),
                f"key {use}",
                "GKE: using CMEK, encrypting secrets; Cloud Storage: customer-managed keys",
            )

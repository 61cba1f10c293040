"""Rules of customer-managed keys: each is of the right place, and encrypts something that the program makes."""

from __future__ import annotations

from collections.abc import Iterator

from reference import encryption
from reference.dynamo import PROFILES
from reference.encryption import Use
from reference.platform_parts import OWN
from settings.model import AdoptDynamo, CreateCluster, CreateDynamo, CreateModelBucket, Settings
from validation.problems import Problem, refused


def keys(settings: Settings) -> Iterator[Problem]:
    """A key is in the region, and for something that the program makes."""
    for use, path in settings.encryption.keys.items():
        key = f"encryption.{use}"
        rule = _nothing_to_encrypt(settings, use)
        if rule:
            yield Problem(key, path, rule, "remove the key; whoever made it chooses its encryption")
            continue
        yield from refused(encryption.check_location, path, use, settings.region, key)


def _nothing_to_encrypt(settings: Settings, use: Use) -> str:
    """Why nothing that the program makes could use such a key; empty: something does."""
    creates = isinstance(settings.cluster, CreateCluster)
    match use:
        case "disks" if not creates and not settings.created_domains:
            return "no node pool is created here"
        case "secrets" if not creates:
            return "the cluster exists, and its database is its owner's"
        case "bucket" if not isinstance(settings.model_bucket, CreateModelBucket):
            return "the bucket exists, and its key is its owner's"
        case "volumes":
            return _no_volumes(settings)
        case _:
            return ""


def _no_volumes(settings: Settings) -> str:
    """Why no volume of the platform is made here; empty: it is."""
    profile = PROFILES.get(settings.dynamo.version)
    if isinstance(settings.dynamo, AdoptDynamo):
        return "the Dynamo platform exists, and so do its volumes"
    if profile is not None and not profile.makes_volumes(OWN):
        return f"Dynamo {profile.version} has neither NATS nor etcd, and so no volumes"
    if profile is not None and not profile.makes_volumes(settings.dynamo.parts):
        return "NATS and etcd are adopted, and so are their volumes"
    return ""


def grants(settings: Settings) -> Iterator[Problem]:
    """Roles on keys are given where there are keys, and where the program gives any role."""
    chosen = settings.encryption
    if not chosen.grant:
        return
    if not chosen.keys:
        rule = "it grants roles on the keys in this mapping, and there are none"
        yield Problem("encryption.grant", True, rule, "name a key, or remove this one")
    elif settings.identities.iam == "none":
        rule = "identities.iam: none means that the program grants no roles"
        yield Problem(
            "encryption.grant", True, rule, "remove one of the two; the output iamBindings lists the commands"
        )


def number_needed(settings: Settings) -> str:
    """Why the roles on the keys need the project's number; empty: there are none to give."""
    chosen = settings.encryption
    if not chosen.grant or not chosen.keys or settings.identities.iam == "none":
        return ""
    return "the names of Google's service agents, to which encryption.grant grants roles, contain the project number"


def storage_class(settings: Settings) -> Iterator[Problem]:
    """A storage class that exists is for volumes that are made here, and has its own key."""
    dynamo, key = settings.dynamo, "dynamo.storageClass"
    name = dynamo.storage_class if isinstance(dynamo, CreateDynamo) else None
    if name is None:
        return
    rule = _no_volumes(settings)
    if rule:
        yield Problem(key, name, rule, "remove the key")
    elif isinstance(settings.cluster, CreateCluster):
        rule = "a cluster that is created has only GKE's own classes"
        yield Problem(key, name, rule, "remove the key; encryption.volumes creates a class with your key")
    elif settings.encryption.volumes is not None:
        rule = "a storage class names its key itself, and encryption.volumes names another one"
        yield Problem(key, name, rule, "remove one of the two")


def warnings(settings: Settings) -> Iterator[str | None]:
    """Keys of a location that is not verified to work."""
    for use, path in settings.encryption.keys.items():
        yield encryption.location_warning(path, use, settings.region, f"encryption.{use}")

"""Rules of a platform whose parts are somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

from reference.dynamo import PROFILES
from settings.model import AdoptEtcd, AdoptNats, CreateCluster, CreateNats, Dynamo, Settings
from validation.problems import Problem


def check(settings: Settings) -> Iterator[Problem]:
    """Parts are adopted for a platform that is made here, from a cluster that has them, and for a release that uses
    them.
    """
    dynamo, profile = settings.dynamo, PROFILES.get(settings.dynamo.version)
    adopted: dict[str, object] = {
        "grove": dynamo.grove if dynamo.grove == "adopt" else None,
        "crds": dynamo.crds if dynamo.crds == "adopt" else None,
        "nats": dynamo.nats.address if isinstance(dynamo.nats, AdoptNats) else None,
        "etcd": dynamo.etcd.address if isinstance(dynamo.etcd, AdoptEtcd) else None,
    }
    if profile is None or profile.needs_nats:
        yield from _login(dynamo)
    else:
        yield from _without_nats(dynamo)
        adopted["nats"] = None
    for part, value in adopted.items():
        key = f"dynamo.{part}.address" if part in {"nats", "etcd"} else f"dynamo.{part}"
        if value is None:
            continue
        if dynamo.mode == "adopt":
            yield Problem(key, value, "the Dynamo platform exists, and so do its parts", f"remove dynamo.{part}")
        elif part in {"grove", "crds"} and isinstance(settings.cluster, CreateCluster):
            yield Problem(key, value, "a created cluster has nothing to adopt", f"set {key}: create")
        elif part == "etcd" and profile is not None and not profile.needs_etcd:
            rule = f"nothing uses etcd on Dynamo {dynamo.version}: its pods find each other through Kubernetes"
            yield Problem(key, value, rule, "remove dynamo.etcd")


def _login(dynamo: Dynamo) -> Iterator[Problem]:
    """A login is that of a NATS of others, or of the program's own."""
    if dynamo.nats_user is not None and isinstance(dynamo.nats, CreateNats) and dynamo.mode == "create":
        asks = dynamo.nats.login != "none"
        rule = "the NATS that the program installs has a login of its own"
        if not asks:
            rule = "the NATS that the program installs asks for no login (dynamo.nats.login)"
        fix = "remove it; dynamo.nats.login: none is without one" if asks else "remove it"
        yield Problem("dynamo.natsUser", dynamo.nats_user, rule, fix)
    if dynamo.mode == "adopt" and "login" in dynamo.nats.model_fields_set:
        rule = "whoever installs the Dynamo platform decides whether its NATS asks for a login"
        fix = "remove it; dynamo.natsUser and the secret natsPassword are what the pods log in with"
        yield Problem("dynamo.nats.login", getattr(dynamo.nats, "login", None), rule, fix)


def _without_nats(dynamo: Dynamo) -> Iterator[Problem]:
    """What concerns a NATS that nothing would use."""
    nats = dynamo.nats
    said: dict[str, object] = {"natsUser": dynamo.nats_user}
    if isinstance(nats, AdoptNats):
        said["nats.address"] = nats.address
    elif "login" in nats.model_fields_set:
        said["nats.login"] = nats.login
    for key, value in said.items():
        if value is not None:
            rule = f"nothing uses NATS on Dynamo {dynamo.version}: its pods send requests and events to each other"
            yield Problem(f"dynamo.{key}", value, rule, f"remove dynamo.{key.partition('.')[0]}")

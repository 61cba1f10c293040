"""Rules of a platform whose parts are somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

from reference.dynamo import PROFILES
from settings.model import AdoptEtcd, AdoptNats, CreateCluster, CreateNats, Settings
from validation.problems import Problem


def check(settings: Settings) -> Iterator[Problem]:
    """Parts are adopted for a platform that is made here, from a cluster that has them."""
    dynamo = settings.dynamo
    adopted: dict[str, object] = {
        "grove": dynamo.grove if dynamo.grove == "adopt" else None,
        "crds": dynamo.crds if dynamo.crds == "adopt" else None,
        "nats": dynamo.nats.address if isinstance(dynamo.nats, AdoptNats) else None,
        "etcd": dynamo.etcd.address if isinstance(dynamo.etcd, AdoptEtcd) else None,
    }
    profile = PROFILES.get(dynamo.version)
    own = isinstance(dynamo.nats, CreateNats)
    if dynamo.nats_user is not None and own and dynamo.mode == "create":
        asks = isinstance(dynamo.nats, CreateNats) and dynamo.nats.login != "none"
        rule = "the NATS that the program installs has a login of its own"
        if not asks:
            rule = "the NATS that the program installs asks for no login (dynamo.nats.login)"
        fix = "remove it; dynamo.nats.login: none is without one" if asks else "remove it"
        yield Problem("dynamo.natsUser", dynamo.nats_user, rule, fix)
    if dynamo.mode == "adopt" and "login" in dynamo.nats.model_fields_set:
        rule = "whoever installs the Dynamo platform decides whether its NATS asks for a login"
        fix = "remove it; dynamo.natsUser and the secret natsPassword are what the pods log in with"
        yield Problem("dynamo.nats.login", getattr(dynamo.nats, "login", None), rule, fix)
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

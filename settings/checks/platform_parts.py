"""Rules of a platform whose parts are somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

from reference.dynamo import PROFILES
from settings.model import AdoptDynamo, AdoptEtcd, AdoptNats, CreateCluster, CreateDynamo, CreateNats, Settings
from validation.problems import Problem


def check(settings: Settings) -> Iterator[Problem]:
    """Parts are adopted from a cluster that has them, and for a release that uses them."""
    dynamo, profile = settings.dynamo, PROFILES.get(settings.dynamo.version)
    created = dynamo if isinstance(dynamo, CreateDynamo) else None
    if profile is not None and not profile.needs_nats:
        yield from _without_nats(dynamo)
    elif created is not None and created.nats_user is not None and isinstance(created.nats, CreateNats):
        yield _second_login(created.nats_user, created.nats)
    if created is None:
        return
    for key, part in (("dynamo.grove", created.grove), ("dynamo.crds", created.crds)):
        if part == "adopt" and isinstance(settings.cluster, CreateCluster):
            yield Problem(key, part, "a created cluster has nothing to adopt", f"set {key}: create")
    if isinstance(created.etcd, AdoptEtcd) and profile is not None and not profile.needs_etcd:
        rule = f"nothing uses etcd on Dynamo {dynamo.version}: its pods find each other through Kubernetes"
        yield Problem("dynamo.etcd.address", created.etcd.address, rule, "remove dynamo.etcd")


def _second_login(user: str, nats: CreateNats) -> Problem:
    """The user of a NATS that the program does not install, where it installs one."""
    if nats.login == "none":
        rule, fix = "the NATS that the program installs requires no login (dynamo.nats.login)", "remove it"
    else:
        rule = "the NATS that the program installs has a login of its own"
        fix = "remove it; dynamo.nats.login: none is without one"
    return Problem("dynamo.natsUser", user, rule, fix)


def _without_nats(dynamo: AdoptDynamo | CreateDynamo) -> Iterator[Problem]:
    """What concerns a NATS that nothing would use."""
    said: dict[str, object] = {"natsUser": dynamo.nats_user}
    nats = dynamo.nats if isinstance(dynamo, CreateDynamo) else None
    if isinstance(nats, AdoptNats):
        said["nats.address"] = nats.address
    elif nats is not None and "login" in nats.model_fields_set:
        said["nats.login"] = nats.login
    for key, value in said.items():
        if value is not None:
            rule = f"nothing uses NATS on Dynamo {dynamo.version}: its pods send requests and events to each other"
            yield Problem(f"dynamo.{key}", value, rule, f"remove dynamo.{key.partition('.')[0]}")

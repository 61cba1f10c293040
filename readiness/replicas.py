"""Which replicas are whole, and whether the rest is needed or may still come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet

from readiness.config import Config
from readiness.snapshot import Snapshot
from readiness.symptoms import Replica, left, replica_of, wanted


def whole(config: Config, snapshot: Snapshot, role: str) -> int:
    """Replicas of `role` with all their pods ready; pods without the number of their replica are only counted."""
    each = config.roles[role].pods_per_replica
    ready = Counter(pod.replica for pod in wanted(config, snapshot, role) if pod.ready)
    alone = ready.pop("", 0)
    return alone // each + sum(count >= each for count in ready.values())


def complete(config: Config, snapshot: Snapshot) -> bool:
    """Whether everything is there, and nothing else.

    Roles and numbers come from the config, so a role without any pods is not overlooked.
    """
    if left(config, snapshot):
        return False
    return all(whole(config, snapshot, role) >= need.replicas for role, need in config.roles.items())


def short(config: Config, snapshot: Snapshot) -> str:
    """The roles that are not whole, such as `prefill 4 of 5 replicas`."""
    found = {role: whole(config, snapshot, role) for role in config.roles}
    return ", ".join(
        f"{role} {found[role]} of {need.replicas} replicas"
        for role, need in config.roles.items()
        if found[role] < need.replicas
    )


def enough(config: Config, snapshot: Snapshot) -> bool:
    """Whether what is missing is only what the stack can serve without.

    Of other pods only one may be left that is neither ready nor kept: it is ending on a node that has died.
    """
    if any(pod.ready or not pod.terminating for pod in left(config, snapshot)):
        return False
    need = config.roles.items()
    return bool(short(config, snapshot)) and all(whole(config, snapshot, role) >= one.needed for role, one in need)


def out_of_reach(config: Config, lost: AbstractSet[Replica]) -> set[str]:
    """The roles that never have their minimum without the replicas that are `lost`."""
    gone = Counter(role for role, _ in lost)
    return {role for role, need in config.roles.items() if need.replicas - gone[role] < need.needed}


def coming(config: Config, snapshot: Snapshot, lost: AbstractSet[Replica], *, made: bool) -> bool:
    """Whether a replica that is not `lost` may still become whole; with `made`, only one that has pods."""
    if made:
        pods = (pod for role in config.roles for pod in wanted(config, snapshot, role))
        return any(not pod.ready and replica_of(pod) not in lost for pod in pods)
    gone = Counter(role for role, _ in lost)
    need = config.roles.items()
    return any(whole(config, snapshot, role) + gone[role] < one.replicas for role, one in need)

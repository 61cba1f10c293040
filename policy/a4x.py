"""A4X node pools: reserved, of one rack, within the budget, protected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from policy.cluster import BUCKET, CLUSTER, NODE_POOL
from policy.rule import (
    UNKNOWN,
    Finding,
    Resource,
    Rule,
    Run,
    Setting,
    Settings,
    at,
    differs,
    is_list,
    items,
    leaves,
    shown,
    strings,
    text,
)

_POLICY: Final = "gcp:compute/resourcePolicy:ResourcePolicy"
_KEYS: Final = ("gcp:kms/cryptoKey:CryptoKey", "gcp:kms/keyRing:KeyRing")
_RACK: Final = 18
"""Nodes of an NVL72 rack."""
_GPUS: Final = 4
"""GPUs of an A4X node."""
_FLEXIBLE: Final = ("nodeConfig.spot", "nodeConfig.preemptible", "nodeConfig.flexStart", "queuedProvisioning.enabled")


def _is_a4x(resource: Resource) -> bool:
    machine = at(resource.inputs, "nodeConfig.machineType")
    return resource.type == NODE_POOL and isinstance(machine, str) and machine.startswith("a4x-")


def _nodes(resource: Resource) -> int | None:
    """Nodes of a pool; None if they are not known. GKE counts them per zone."""
    count = at(resource.inputs, "nodeCount")
    count = at(resource.inputs, "initialNodeCount") if count is None else count
    zones = at(resource.inputs, "nodeLocations")
    if not isinstance(count, int | float):
        return None
    return int(count) * (max(1, len(zones)) if is_list(zones) else 1)


def _reserved(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    if not _is_a4x(resource):
        return
    fix = "Name the reservation of the rack; without it GKE asks for capacity that nobody sells on demand"
    path = "nodeConfig.reservationAffinity"
    if differs(resource, f"{path}.consumeReservationType", "SPECIFIC_RESERVATION"):
        yield Finding(shown(resource, f"{path}.consumeReservationType"), fix)
    elif at(resource.inputs, f"{path}.values") in (None, []):
        yield Finding(shown(resource, f"{path}.values"), fix)


def _not_flexible(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    for path in _FLEXIBLE if _is_a4x(resource) else ():
        if differs(resource, path, None, False):
            yield Finding(shown(resource, path), "Leave it out: a rack that loses a node serves nothing")


def _one_rack(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    if not _is_a4x(resource):
        return
    nodes, zones = _nodes(resource), at(resource.inputs, "nodeLocations")
    location = at(resource.inputs, "location")
    zonal = location is UNKNOWN or re.search(r"-[a-z]$", str(location)) is not None
    if nodes is not None and nodes > _RACK:
        yield Finding(f"{nodes} nodes", f"NVLink reaches {_RACK} nodes: one pool for each rack")
    elif zones is not UNKNOWN and len(zones or []) != 1 and not (zonal and not zones):
        yield Finding(shown(resource, "nodeLocations"), "Name the zone of the rack: GKE counts nodes per zone")
    if at(resource.inputs, "autoscaling") is not None:
        yield Finding("autoscaling is set", "Leave it out: a rack is used as a whole")


def _in_pools(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    """Clusters' own pools and their autoscaling, instances and their templates."""
    if not resource.type.startswith("gcp:") or resource.type == NODE_POOL:
        return
    for path, value in leaves(resource.inputs):
        name, machine = str(value).rpartition("/")[2], not {"machineType", "machineTypes"}.isdisjoint(path)
        if (machine and name.startswith("a4x-")) or ("resourceType" in path and name.startswith("nvidia-gb")):
            yield Finding(
                f"{'.'.join(path)} = {text(value)}", "Make a NodePool: what the rules of A4X pools say holds there only"
            )


def _placed(resource: Resource, _settings: Settings, run: Run) -> Iterator[Finding]:
    if resource.type == _POLICY and at(resource.inputs, "workloadPolicy") is None:
        run.remember("a4x-other-policies", resource.urn, at(resource.inputs, "name"))
    if resource.type == _POLICY and at(resource.inputs, "workloadPolicy") is not None:
        for path, wanted in (("type", "HIGH_THROUGHPUT"), ("acceleratorTopology", "1x72")):
            if differs(resource, f"workloadPolicy.{path}", wanted):
                yield Finding(shown(resource, f"workloadPolicy.{path}"), f'A whole NVL72 rack needs "{wanted}"')
    if _is_a4x(resource):
        yield from _own_policy(resource, run)


def _own_policy(pool: Resource, run: Run) -> Iterator[Finding]:
    policy = at(pool.inputs, "placementPolicy.policyName")
    if policy is None:
        yield Finding("placementPolicy.policyName is not set", "Give the pool a workload policy of topology 1x72")
    if not isinstance(policy, str):
        return
    if policy in run.seen.get("a4x-other-policies", {}).values():
        yield Finding(f"{shown(pool, 'placementPolicy.policyName')} has no workloadPolicy", "Give it one: 1x72")
    for urn, other in run.remember("a4x-placement", pool.urn, policy).items():
        if other == policy:
            yield Finding(
                f"placementPolicy.policyName = {policy} is also that of {urn.rpartition('::')[2]}",
                "Give each pool a policy of its own, or GKE places both in one rack",
            )


def _tainted(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    taints = at(resource.inputs, "nodeConfig.taints")
    keys = [at(taint, "key") for taint in items(taints)]
    if _is_a4x(resource) and taints is not UNKNOWN and "nvidia.com/gpu" not in keys:
        yield Finding("nodeConfig.taints has no nvidia.com/gpu", "Add it, or any pod may take memory of a GPU node")


def _gpus(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    nodes = _nodes(resource) if _is_a4x(resource) else None
    if nodes is None:
        return
    limit, own = int(settings["gpus"]), nodes * _GPUS
    total = own + sum(run.remember("gpu-limit", resource.urn, own).values())
    if total > limit:
        yield Finding(
            f"{total} GPUs with this pool ({own}), the limit is {limit}",
            "If they are to be paid for, raise this rule's `gpus` in the pack's config",
        )


def _protected(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    def named(patterns: Any) -> bool:
        return any(fnmatchcase(run.stack.lower(), str(pattern).lower()) for pattern in patterns)

    kept = resource.type in (CLUSTER, BUCKET, *_KEYS) or _is_a4x(resource)
    if not kept or not named(settings["environments"]) or named(settings["except"]):
        return
    fix = "Set dynamo-a4x:protect to true. To take the environment down, name it in this rule's `except`"
    if not resource.protect:
        yield Finding(f"{run.stack}: the resource option protect is not set", fix)
    # On by default.
    if resource.type == CLUSTER and differs(resource, "deletionProtection", True, None):
        yield Finding(f"{run.stack}: {shown(resource, 'deletionProtection')}", fix)


_LIMIT: Final[Any] = Setting(
    "most GPUs of all A4X pools that the environment creates", 72, {"type": "integer", "minimum": 0}
)

RULES: Final = (
    Rule("a4x-reservation", "A4X pools use a reservation.", "mandatory", _reserved),
    Rule("a4x-not-spot", "A4X nodes are never spot, preemptible or queued.", "mandatory", _not_flexible),
    Rule("a4x-one-rack", "An A4X pool has at most 18 nodes and is not autoscaled.", "mandatory", _one_rack),
    Rule("a4x-in-pools", "A4X nodes are made by NodePools only.", "mandatory", _in_pools),
    Rule("a4x-placement", "Each A4X pool has a workload policy of its own, of topology 1x72.", "mandatory", _placed),
    Rule("a4x-taint", "Only pods that tolerate nvidia.com/gpu run on A4X nodes.", "mandatory", _tainted),
    Rule(
        "gpu-limit",
        "The A4X pools that the environment creates stay within the GPU limit.",
        "mandatory",
        _gpus,
        {"gpus": _LIMIT},
    ),
    Rule(
        "protected",
        "Cluster, A4X pools, buckets and keys of production are protected from deletion.",
        "mandatory",
        _protected,
        {
            "environments": strings("case-insensitive patterns of stacks that must be protected", "*prod*", "*prd*"),
            "except": strings(
                "case-insensitive patterns of stacks that need not be protected",
                "*nonprod*",
                "*non-prod*",
                "*preprod*",
                "*pre-prod*",
            ),
        },
    ),
)

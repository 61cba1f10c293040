"""Drift: what others changed or deleted is found by a refresh and put right by an `up`; what GKE writes is not.

Every object is deleted once behind the program's back, and every object that can be changed in place is changed
once. Objects that do not depend on each other go in one round. Where the services refuse the deletion, because
something living uses the object, there is nothing to prove.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from typing import Any

from rehearsal import ApiError, Call, CloudResource, Rehearsal
from rehearsal.simulator.gcp_rules import CLUSTER, NODE_POOL, ROUTER_NAT
from rehearsal.simulator.provider import name_of
from rehearsal.simulator.service import Service
from rehearsal.simulator.serving import GRAPH
from rehearsal.simulator.system_objects import NAMESPACE
from rehearsal.simulator.values import Props, dig
from tests.resilience import life
from tests.resilience.life import ProofError, Say, Tally

BY_HAND = "changed-by-hand"


def proof(environment: str, short: bool, say: Say) -> list[Tally]:
    """Deleted, changed, and rewritten by the services."""
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        tallies = [rewritten(rehearsal), changed(rehearsal), deleted(rehearsal, say, short)]
        if environment.startswith("prod"):
            tallies.append(protected(rehearsal))
        if not short or environment == "dev":
            tallies.append(graph_deleted(rehearsal))
        rehearsal.destroy()
        life.require_empty(rehearsal, "after the drift")
    for tally in tallies:
        say(str(tally))
    return tallies


def _service(rehearsal: Rehearsal, kind: str) -> Service:
    cloud = rehearsal.cloud
    return {"gcp": cloud.gcp, "kubernetes": cloud.kubernetes}[kind.split(":", 1)[0]]


def _no_change(rehearsal: Rehearsal, what: str) -> None:
    rehearsal.refresh()
    found = rehearsal.up(f"up after {what}").changed
    if found:
        raise ProofError(f"{what}: the program would undo it: {', '.join(map(str, found))}")


# What the services write


REWRITTEN: Mapping[str, Props] = {
    NODE_POOL: {
        "version": "1.35.9-gke.1",
        "instanceGroupUrls": ["https://example/rewritten"],
        "managedInstanceGroupUrls": ["https://example/rewritten"],
        "operation": "operation-1",
    },
    CLUSTER: {
        "masterVersion": "1.35.9-gke.1",
        "nodeVersion": "1.35.9-gke.1",
        "labelFingerprint": "rewritten=",
        "operation": "operation-1",
        "servicesIpv4Cidr": "10.0.48.0/20",
        "maintenancePolicy.maintenanceExclusions": [{"endTime": "2027-10-01T00:00:00Z"}],
    },
    ROUTER_NAT: {"autoNetworkTier": "PREMIUM", "endpointTypes": ["ENDPOINT_TYPE_VM"], "drainNatIps": []},
}
"""Fields that Google Cloud fills in or changes in the course of their life, and that the plugin passes over: outputs
only (E16: seen harmless with the real plugin)."""
IGNORED: Mapping[str, Mapping[str, Any]] = {
    NODE_POOL: {
        "initialNodeCount": 7,
        "nodeConfig.labels": {"cloud.google.com/gke-gpu": "true"},
        "nodeConfig.ephemeralStorageLocalSsdConfig": {"localSsdCount": 4},
        # As the Terraform provider flattens an answer without a type.
        "placementPolicy.type": "",
    },
    CLUSTER: {"minMasterVersion": "1.35.9-gke.1", "nodeConfig": {"machineType": "e2-medium"}},
}
"""Fields that a refresh reads back into the inputs, and that the program ignores for that reason."""


REPLACING: Mapping[str, Any] = {
    "networkConfig.additionalNodeNetworkConfigs": [{"network": "projects/p/global/networks/full-path"}],
    "nodeConfig.reservationAffinity.values": ["shortened"],
    "nodeConfig.guestAccelerators": [{"type": "nvidia-gb200", "count": 4}],
}
"""Fields of a pool that GKE is not known to write in another form. If it did, the plugin would take another pool for
wanted (E16), and they cannot be ignored: the program changes two of them itself."""


def protected(rehearsal: Rehearsal) -> Tally:
    """What would replace a pool after a refresh is refused by a preview and by an `up` while `protect` is on."""
    tally = Tally(f"{rehearsal.name}, pools rewritten and protected")
    started = time.monotonic()
    rehearsal.set_config({"dynamo-a4x:protect": True})
    rehearsal.up("up with protection")
    (pool,) = rehearsal.state.find(NODE_POOL, where=lambda resource: "::domain-" in resource.urn)
    for path, value in REPLACING.items():
        kept = copy.deepcopy((pool.inputs, pool.outputs))
        for props in (pool.inputs, pool.outputs):
            _put(props, path, value)
        rehearsal.refresh()
        for run in (rehearsal.preview, rehearsal.up):
            error = life.failed(run)
            if error is None or "marked for protection" not in str(error.causes):
                raise ProofError(f"{path} of a protected pool was rewritten, and the program said: {error}")
        if rehearsal.state.get(pool.kind, pool.id) is not pool:
            raise ProofError(f"{path}: the protected pool is gone")
        pool.inputs, pool.outputs = kept
        _no_change(rehearsal, f"{path} as it was")
        tally.tried += 1
    tally.survived = tally.tried
    tally.seconds = time.monotonic() - started
    rehearsal.set_config(life.UNPROTECTED)
    rehearsal.up("up without protection")
    return tally


def rewritten(rehearsal: Rehearsal) -> Tally:
    """What GKE and the controllers write by themselves shows as no change."""
    tally = Tally(f"{rehearsal.name}, rewritten by GKE and controllers")
    started = time.monotonic()
    for resource in life.in_the_cloud(rehearsal):
        if resource.kind.startswith("kubernetes:"):
            metadata = dict(resource.outputs.get("metadata") or {})
            metadata |= {"resourceVersion": "999999", "generation": 99, "managedFields": [{"manager": "gke"}]}
            resource.outputs |= {"metadata": metadata, "status": {"observedGeneration": 99, "phase": "rewritten"}}
            tally.tried += 1
        for field, value in REWRITTEN.get(resource.kind, {}).items():
            _put(resource.outputs, field, value)
            tally.tried += 1
        if "labels" in resource.outputs and resource.kind.startswith("gcp:"):
            resource.outputs["effectiveLabels"] = {**(resource.outputs["labels"] or {}), "goog-gke-cluster-id": "abc"}
            tally.tried += 1
    _no_change(rehearsal, "a rewrite by the services")
    for resource in life.in_the_cloud(rehearsal):
        domain = "::domain-" in resource.urn
        for path, value in IGNORED.get(resource.kind, {}).items():
            if resource.kind == NODE_POOL and not domain and path not in ("initialNodeCount", "nodeConfig.labels"):
                continue
            _put(resource.inputs, path, value)
            _put(resource.outputs, path, value)
            tally.tried += 1
    _no_change(rehearsal, "a rewrite of ignored fields")
    tally.survived = tally.tried
    tally.seconds = time.monotonic() - started
    return tally


def _put(props: Props, path: str, value: Any) -> None:
    *steps, last = path.split(".")
    for step in steps:
        props = props.setdefault(step, {})
    props[last] = copy.deepcopy(value)


# Changed by hand


def changed(rehearsal: Rehearsal) -> Tally:
    """One field of every object that can be changed in place is changed by hand, all at once."""
    tally = Tally(f"{rehearsal.name}, changed by hand")
    started = time.monotonic()
    touched: dict[str, str] = {}
    fixed: list[str] = []
    for resource in life.in_the_cloud(rehearsal):
        path = _changeable(rehearsal, resource)
        if path is None:
            fixed.append(resource.kind.rsplit(":", 1)[-1])
            continue
        touched[resource.urn] = path
        for props in (resource.inputs, resource.outputs):
            _put(props, path, _other(dig(props, path)))
    rehearsal.refresh()
    found = {step.urn for step in rehearsal.up("up after changes by hand").changed if step.op == "update"}
    missed = set(touched) - found
    if missed:
        told = (f"{life.spoken(urn)} ({touched[urn]})" for urn in missed)
        raise ProofError(f"changed by hand and not put right: {', '.join(told)}")
    _no_change(rehearsal, "changes by hand were put right")
    for resource in life.in_the_cloud(rehearsal):
        path = touched.get(resource.urn)
        if path and dig(resource.inputs, path) == _other(dig(resource.inputs, path)):
            raise ProofError(f"{resource}: {path} is still as the hand left it")
    tally.tried = tally.survived = len(touched)
    tally.notes.append(f"nothing to change in place in {', '.join(sorted(set(fixed)))}")
    tally.seconds = time.monotonic() - started
    return tally


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else BY_HAND


def _changeable(rehearsal: Rehearsal, resource: CloudResource) -> str | None:
    """A field that the program sets and that a hand could change without another object in its place."""
    service = _service(rehearsal, resource.kind)
    call = Call(op="diff", urn=resource.urn, kind=resource.kind, name=name_of(resource.urn))
    ignored = (
        "metadata.name",
        "metadata.namespace",
        "deletionProtection",
        "ipCidrRange",
        *IGNORED.get(resource.kind, {}),
    )
    if resource.kind == "kubernetes:helm.sh/v3:Release":
        return "timeout"
    for path in _leaves(resource.inputs):
        if path.startswith(ignored):
            continue
        news = copy.deepcopy(resource.inputs)
        _put(news, path, _other(dig(news, path)))
        difference = service.diff(call, resource.id, news, resource.inputs)
        if difference.changes and not difference.replaces:
            return path
    return None


def _leaves(props: Props, prefix: str = "") -> Iterator[str]:
    """Dotted paths of all scalars, those first that take any value; list items and keys with dots are passed over."""
    first = ("labels", "resourceLabels", "description", "metadata")
    rank = {bool: 1, int: 2, dict: 3}
    for key in sorted(props, key=lambda key: (0 if key in first else rank.get(type(props[key]), 4), key)):
        value = props[key]
        if "." in key or key.startswith("__") or key in ("apiVersion", "kind"):
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif isinstance(value, (str, bool, int)):
            yield f"{prefix}{key}"


# Deleted by hand


def deleted(rehearsal: Rehearsal, say: Say, short: bool) -> Tally:
    """Every object that could be deleted by hand is, in as few rounds as their dependencies allow."""
    tally = Tally(f"{rehearsal.name}, deleted by hand")
    started = time.monotonic()
    rounds = _rounds(rehearsal)
    refused = 0
    for number, urns in enumerate(rounds[:_SHORT_ROUNDS] if short else rounds):
        gone: set[str] = set()
        for resource in life.in_the_cloud(rehearsal):
            if resource.urn in urns and resource.kind != GRAPH:
                lost = _remove(rehearsal, resource)
                gone |= lost
                refused += not lost
        if not gone:
            continue
        seen = {step.urn for step in rehearsal.refresh().steps if step.op == "delete"}
        if gone - seen:
            raise ProofError(f"the refresh missed {', '.join(map(life.spoken, gone - seen))}")
        rehearsal.up(f"up after round {number + 1}")
        life.require_clean(rehearsal, f"deleted by hand, round {number + 1}")
        tally.tried += len(gone)
        tally.survived += len(gone)
        say(f"  {rehearsal.name}: {len(gone)} objects deleted by hand and made again")
    rehearsal.up_without_change()
    tally.notes.append(f"{len(rounds)} rounds; {refused} deletions refused by the services")
    tally.seconds = time.monotonic() - started
    return tally


_SHORT_ROUNDS = 6
"""Rounds of the short form: a graph's neighbours, whose loss is the most likely one."""


def _rounds(rehearsal: Rehearsal) -> list[set[str]]:
    """The resources by their depth in the graph: those of one depth do not depend on each other."""
    depth: dict[str, int] = {}
    for resource in rehearsal.export()["deployment"]["resources"]:
        needed = [*resource.get("dependencies", []), resource.get("parent", "")]
        depth[resource["urn"]] = 1 + max((depth.get(urn, 0) for urn in needed), default=0)
    levels: dict[int, set[str]] = {}
    for urn, level in depth.items():
        levels.setdefault(level, set()).add(urn)
    return [levels[level] for level in sorted(levels, reverse=True)]


def _remove(rehearsal: Rehearsal, resource: CloudResource) -> set[str]:
    """Delete by hand; returns the URNs of what went, nothing where the service refuses it.

    The API server refuses nobody: what the embedded cloud calls "in use" there is only asked of the program.
    A namespace that holds a graph is left alone, as the graph is a case of its own.
    """
    state = rehearsal.state
    if resource.kind.startswith("gcp:"):
        try:
            rehearsal.cloud.gcp.delete(Call(op="delete", kind=resource.kind), resource.id)
        except ApiError:
            return set()
        return {resource.urn}
    gone = [resource]
    if resource.kind == NAMESPACE:
        inside = state.find(scope=resource.scope, where=lambda other: other.id.startswith(f"{resource.id}/"))
        if any(other.kind == GRAPH for other in inside):
            return set()
        gone += inside
    for one in gone:
        state.remove(one.key)
    return {one.urn for one in gone if one.urn}


def graph_deleted(rehearsal: Rehearsal) -> Tally:
    """A graph that was deleted by hand needs a new name on this release; the runbook replaces its suffix."""
    tally = Tally(f"{rehearsal.name}, graph deleted by hand")
    started = time.monotonic()
    graph = rehearsal.state.find(GRAPH)[0]
    rehearsal.state.remove(graph.key)
    rehearsal.refresh()
    # The API server takes it under the old name; Grove never starts it, and the readiness check says so.
    error = life.failed(rehearsal.up)
    if error is None or "needs a new name" not in str(error):
        raise ProofError(f"a graph of an old name was taken: {error}")
    rehearsal.up("up --replace", replace=[f"**{rehearsal.settings.stacks[0].name}-suffix"])
    life.finish(rehearsal, "after a graph was deleted by hand")
    if rehearsal.state.find(GRAPH)[0].id == graph.id:
        raise ProofError("the graph kept its name")
    tally.tried = tally.survived = 1
    tally.seconds = time.monotonic() - started
    return tally

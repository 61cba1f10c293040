"""Order: nothing that a living object needs is gone before it, at any moment of an `up` or a `destroy`.

Three proofs, each of which can fail by itself:

- a witness looks at the whole cloud after every delete, with rules of its own;
- every object is offered to the cloud for deletion while everything lives: what is in use must be refused, or missed
  by the checker (Helm refuses nothing);
- negative controls: the edges of the state that order a destroy are cut, one resource at a time, and the real engine,
  which then deletes it first, must be refused, or the checker must see it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from rehearsal import ApiError, Call, CloudResource, Rehearsal
from rehearsal.simulator import helm, kubernetes_admission, pods, serving
from rehearsal.simulator.gcp_rules import CLUSTER, NETWORK, NODE_POOL, RESOURCE_POLICY, SUBNETWORK
from rehearsal.simulator.values import items, mapping, text
from tests.resilience import life
from tests.resilience.life import ProofError

GRAPH, DOMAIN, RELEASE = serving.GRAPH, serving.COMPUTE_DOMAIN, serving.RELEASE
NAMESPACE = "kubernetes:core/v1:Namespace"
PRIORITY_CLASS = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
SHARD = "kubernetes:kai.scheduler/v1:SchedulingShard"


@dataclass
class InvariantChecker:
    """Looks at the cloud after every create and delete."""

    rehearsal: Rehearsal
    wrong: list[str] = field(default_factory=list[str])
    looks: int = 0
    most_graphs_on_a_node_pool: int = 0
    events: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Creates and deletes in order: operation, kind, id."""

    def arm(self) -> None:
        """Stand behind the cloud's calls."""
        self.rehearsal.cloud.faults.after.append(self._look)

    def require(self, when: str) -> None:
        """Raise `ProofError` when anything was out of order."""
        if self.wrong:
            raise ProofError(f"{when}: {'; '.join(dict.fromkeys(self.wrong))}")

    def position(self, op: str, kind: str) -> list[int]:
        """Where creates or deletes of a kind stand in the order of events."""
        return [i for i, (did, what, _) in enumerate(self.events) if (did, what) == (op, kind)]

    def _look(self, call: Call) -> None:
        if call.op not in ("create", "delete", "update") or call.preview:
            return
        self.looks += 1
        self.events.append((call.op, call.kind, call.id))
        with self.rehearsal.state.lock:
            self.wrong += lacking(self.rehearsal)
            pools: dict[str, int] = {}
            for graph in self.rehearsal.state.find(GRAPH):
                for pool in {p for role in serving.roles(graph.outputs) for p in pods.pools_of(role.pod)}:
                    pools[pool] = pools.get(pool, 0) + 1
            self.most_graphs_on_a_node_pool = max([self.most_graphs_on_a_node_pool, *pools.values()])


def lacking(rehearsal: Rehearsal) -> list[str]:
    """What living objects need and do not have, by rules that are not the cloud's own refusals."""
    state = rehearsal.state
    wrong: list[str] = []
    for cluster in state.find(CLUSTER):
        inside = state.find(scope=cluster.id)
        charts = {text(t.outputs, "status.chart") for t in inside if t.kind == RELEASE}
        spaces = {t.id for t in inside if t.kind == NAMESPACE}
        priorities = {t.id for t in inside if t.kind == PRIORITY_CLASS}
        pools = {text(t.outputs, "name") for t in state.find(NODE_POOL)}
        for resource in inside:
            if "/" in resource.id and resource.id.split("/")[0] not in spaces:
                wrong.append(f"{resource} lives without its namespace")
            needed = {GRAPH: {"dynamo-platform", "nvidia-dra-driver-gpu"}, DOMAIN: {"nvidia-dra-driver-gpu"}}
            wrong += [f"{resource} lives without {chart}" for chart in needed.get(resource.kind, set()) - charts]
            if resource.kind == GRAPH and mapping(resource.outputs, "metadata.annotations").get(
                serving.QUEUE_ANNOTATION
            ):
                wrong += [] if SHARD in {t.kind for t in inside} else [f"{resource} lives without a SchedulingShard"]
            if resource.kind == GRAPH:
                roles = serving.roles(resource.outputs)
                classes = {text(role.pod, "priorityClassName") for role in roles} - {"", *priorities}
                wrong += [f"{resource} lives without PriorityClass {name}" for name in sorted(classes)]
                gone = {p for role in roles for p in pods.pools_of(role.pod)} - pools
                wrong += [f"{resource} lives without node pool {pool}" for pool in gone]
                # Another claim is on the NICs, with DRANET.
                channels = {t for role in roles for t in _templates(role.pod) if t.endswith("-channel")}
                claims = {channel.removesuffix("-channel") for channel in channels}
                domains = {t.id.split("/")[1] for t in inside if t.kind == DOMAIN}
                wrong += [f"{resource} lives without ComputeDomain {name}" for name in claims - domains]
    networks = {text(t.outputs, "name") for t in state.find(NETWORK)}
    wrong += [
        f"{t} lives without its network"
        for t in state.find(SUBNETWORK)
        if text(t.outputs, "network").rsplit("/", 1)[-1] not in networks
    ]
    wrong += [
        f"{scoped} lives without its cluster"
        for scoped in state.find(where=lambda t: t.kind.startswith("kubernetes:"))
        if state.get(CLUSTER, scoped.scope) is None
    ]
    return wrong


def _templates(pod: Any) -> Iterable[str]:
    return [text(claim, "resourceClaimTemplateName") for claim in items(mapping({"pod": pod}, "pod"), "resourceClaims")]


def checked(environment: str) -> int:
    """An `up` and a `destroy` with a look at the whole cloud after every call; returns how many looks."""
    with life.rehearse(environment) as rehearsal:
        checker = InvariantChecker(rehearsal)
        checker.arm()
        rehearsal.up()
        rehearsal.destroy()
        checker.require(environment)
        life.require_empty(rehearsal, environment)
    return checker.looks


def offered(environment: str) -> int:
    """Offer every object to the cloud for deletion while all live; returns how many are refused, or missed then."""
    found = 0
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        free: list[str] = []
        for resource in life.in_the_cloud(rehearsal):
            if _refused_or_missed(rehearsal, resource):
                found += 1
            else:
                free.append(f"{resource.kind.rsplit(':', 1)[-1]} {resource.id.rsplit('/', 1)[-1]}")
    must = {"Cluster", "NodePool", "Network", "Subnetwork", "Release", "ComputeDomain", "Router"}
    wrong = [f for f in free if f.split()[0] in must and f not in _FREE_BY_NATURE and not f.startswith(_DEVICES)]
    if wrong:
        raise ProofError(f"{environment}: deleted in use, and nobody noticed: {', '.join(wrong)}")
    return found


_FREE_BY_NATURE = frozenset({"NodePool system", "Release dynamo-crds"})
"""Pods of the platform would wait, nothing is lost; the custom resource definitions stay when their release goes."""
_DEVICES = ("Network gvnic-", "Network rdma-")
"""GKE's Network objects: whether GKE refuses to delete one that nodes use is not known, so nothing is modelled."""


def _refused_or_missed(rehearsal: Rehearsal, resource: CloudResource) -> bool:
    state = rehearsal.state
    before = dict(state._resources)
    try:
        if resource.kind.startswith("gcp:"):
            rehearsal.cloud.gcp.delete(Call(op="delete", kind=resource.kind), resource.id)
        elif resource.kind == RELEASE:
            helm.delete(state, resource)
        else:
            kubernetes_admission.at_delete(state, resource)
            state.remove(resource.key)
        return bool(lacking(rehearsal))
    except ApiError:
        return True
    finally:
        state._resources = before
        for living in state:
            living.dying = False


def _serving(resource: dict[str, Any]) -> bool:
    return "ServingStack" in resource["urn"]


EDGES: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("the Dynamo platform before its graphs", lambda r: r["urn"].endswith("::dynamo-release")),
    ("the DRA driver before its ComputeDomains", lambda r: r["urn"].endswith("::dra-driver-release")),
    ("the ComputeDomain before its graph", lambda r: r["type"] == DOMAIN),
    ("a secret that a graph's pods name before the graph", lambda r: _serving(r) and r["urn"].endswith("token-secret")),
    ("the KAI queue before its graph", lambda r: r["urn"].endswith("::queues-serving")),
    ("the network before its subnetworks", lambda r: r["type"] == NETWORK),
    ("a subnetwork before its node pool", lambda r: r["type"] == SUBNETWORK),
    ("the workload policy before its node pool", lambda r: r["type"] == RESOURCE_POLICY),
    ("the node pool before its graph", lambda r: r["type"] == NODE_POOL and "::domain-" in r["urn"]),
    ("the cluster before what is in it", lambda r: r["type"] == CLUSTER),
)
"""Edges of the delete order, and the resource that goes too early when they are cut."""


def negative_controls(environment: str, only: int | None = None) -> int:
    """Cut the edges of one resource after another and let the engine destroy: refused, or seen by the checker."""
    tried = 0
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        whole = rehearsal.export()
        for what, chosen in EDGES[:only]:
            victim = next((r["urn"] for r in life.resources(whole) if chosen(r)), None)
            if victim is None:
                continue
            tried += 1
            rehearsal.cli(["stack", "import"], text=json.dumps(broken(whole, victim)))
            _require_caught(rehearsal, victim, what)
            if _missing(rehearsal, whole):
                rehearsal.cli(["stack", "import"], text=json.dumps(whole))
                rehearsal.cli(["refresh", "--yes", "--skip-preview", "--run-program=false"])
                # A graph that went needs a new name.
                rehearsal.up(replace=[f"**{rehearsal.settings.stacks[0].name}-suffix"])
                whole = rehearsal.export()
        rehearsal.cli(["stack", "import"], text=json.dumps(whole))
        rehearsal.destroy()
        life.require_empty(rehearsal, f"{environment}, after the negative controls")
    return tried


def _require_caught(rehearsal: Rehearsal, victim: str, what: str) -> None:
    """A destroy that begins with `victim` is refused, or the checker sees what is lacking once it is gone."""
    checker = InvariantChecker(rehearsal)
    checker.arm()
    error = life.failed(lambda: rehearsal.destroy(parallel=1))
    rehearsal.cloud.faults.clear()
    refused = [cause for cause in error.causes if cause.startswith(life.spoken(victim))] if error else []
    if not refused and not checker.wrong:
        raise ProofError(f"{rehearsal.name}: {what}: nobody refused, and nobody saw it: {error}")


def _missing(rehearsal: Rehearsal, state: dict[str, Any]) -> bool:
    """Whether something of a state is no longer in the cloud."""
    real = {(resource.kind, resource.id) for resource in rehearsal.state}
    return any(
        (str(r["type"]), str(r["id"])) not in real
        for r in life.resources(state)
        if not str(r["type"]).startswith("random:") and not str(r["type"]).endswith("Patch")
    )


def broken(state: dict[str, Any], victim: str) -> dict[str, Any]:
    """A copy of a state in which nothing depends on `victim` and it depends on all others: it is deleted first."""
    changed = copy.deepcopy(state)
    resources = changed["deployment"]["resources"]
    for resource in resources:
        if victim in resource.get("dependencies", []):
            resource["dependencies"] = [urn for urn in resource["dependencies"] if urn != victim]
        for key, urns in list(resource.get("propertyDependencies", {}).items()):
            resource["propertyDependencies"][key] = [urn for urn in urns or [] if urn != victim]
        if resource["urn"] == victim:
            resource["dependencies"] = [other["urn"] for other in resources if other["urn"] != victim]
    resources.sort(key=lambda resource: resource["urn"] == victim)
    return changed

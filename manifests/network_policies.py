"""NetworkPolicies from the table of flows: one for each set of pods, so that isolation and its exceptions begin and end
together, and one for the pods of a namespace that no other selects.

Kubernetes has no rule that denies: the first policy that selects a pod isolates it, and each rule of each policy that
selects it adds to what may connect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from manifests.commands import BARRIER_NAME, DOWNLOAD_NAME, READINESS_NAME, bench_name
from manifests.egress import INTERNET, Rule, to_pods
from reference.egress import Destination, WayOut
from reference.flows import FRONTEND_PORT, Flow, Part, Party
from reference.naming import NAME_LABEL, NAMESPACE_LABEL, ROLE_LABEL, STACK_LABEL
from serving_rules.layout import WORKER_ROLES

COMPUTE_DOMAIN_LABEL: Final = "resource.nvidia.com/computeDomain"
"""Label of the driver's IMEX daemons (templates/compute-domain-daemon.tmpl.yaml)."""

_INSIDE: Final[Mapping[Destination, tuple[tuple[Party, ...], tuple[int, ...]]]] = {
    "the stack's pods": (("workers", "frontends"), ()),
    "frontends": (("frontends",), (FRONTEND_PORT,)),
    "fabric test": (("fabric test",), ()),
}
"""Pods of the same namespace that are connected to, and their TCP ports; without any, all of all protocols."""

Selector = Mapping[str, Any]
Peer = Mapping[str, Any]


def client(
    *,
    cluster: bool | None = None,
    namespace: str | None = None,
    namespace_labels: Mapping[str, str] | None = None,
    pods: Mapping[str, str] | None = None,
    range: str | None = None,  # noqa: A002 - the key of the config
) -> Peer:
    """A client of a stack, as a NetworkPolicy says it: every pod of the cluster, the pods with these labels in the
    namespaces of this name or these labels, or the addresses of a range in CIDR notation.
    """
    if range is not None:
        return {"ipBlock": {"cidr": range}}
    found: dict[str, Any] = {}
    if cluster:
        found["namespaceSelector"] = {}
    elif namespace is not None:
        found["namespaceSelector"] = {"matchLabels": {NAMESPACE_LABEL: namespace}}
    elif namespace_labels is not None:
        found["namespaceSelector"] = {"matchLabels": dict(namespace_labels)}
    if pods is not None:
        found["podSelector"] = {"matchLabels": dict(pods)}
    return found


@dataclass(frozen=True)
class Place:
    """What the policies of one namespace must know beside the flows."""

    part: Part
    stack: str = ""
    """Name of the stack, in its namespace."""
    clients: Sequence[Peer] = ()
    shared: bool = False
    """Whether pods of others may run in the namespace: they are not isolated."""
    stack_namespaces: Sequence[str] = ()
    """Namespaces of the environment's own stacks, which lack a label if others made them."""
    outside: Mapping[Destination, Sequence[Rule]] = field(default_factory=dict[Destination, Sequence[Rule]])
    """Rules for what is connected to outside of the namespace."""
    ranges: Sequence[Rule] = ()
    """Rules for what the config lists beside that, for every set of pods that connects to anything."""


def policies(
    place: Place, flows: Iterable[Flow] | None = None, ways: Iterable[WayOut] | None = None
) -> dict[str, dict[str, Any]]:
    """The specs of the policies of a namespace, by name. Without `flows` everybody may connect to its pods, without
    `ways` these to everybody.
    """
    into: dict[Party, list[Flow]] = {}
    for flow in flows or ():
        if _is_here(flow.part, flow.listener, place):
            into.setdefault(flow.listener, []).append(flow)
    out: dict[Party, WayOut] = {way.party: way for way in ways or () if _is_here(way.part, way.party, place)}
    kinds = {"ingress": flows is not None, "egress": bool(out)}
    if not any(kinds.values()):
        return {}

    def spec(pods: Selector, party: Party | None = None) -> dict[str, Any]:
        reached = into.get(party, ()) if party else ()
        rules: dict[str, list[Rule]] = {
            "ingress": [_rule(flow, place) for flow in reached if _peers(flow, place) != []],
            "egress": _ways(out[party], place) if party in out else [],
        }
        on = [kind for kind, said in kinds.items() if said]
        return {"podSelector": pods, "policyTypes": [kind.title() for kind in on], **{kind: rules[kind] for kind in on}}

    parties: list[Party] = [*into, *(party for party in out if party not in into)]
    connected: list[Party] = [party for party in parties if party in out or any(flow.sources for flow in into[party])]
    found = {party.lower().replace(" ", "-"): spec(selector(party, place), party) for party in connected}
    selectors = [selector(party, place) for party in connected]
    closed = [selector(party, place) for party in into if party not in connected]
    if {} not in selectors and (closed or not place.shared):
        rest = {"rest": _of_these(closed)} if place.shared else _but_these(selectors)
        found |= {name: spec(pods) for name, pods in rest.items()}
    return found


def _is_here(part: Part, party: Party, place: Place) -> bool:
    """Whether pods of a party are in the namespace and can be told from others there; one of ours needs no barrier."""
    if part != place.part:
        return False
    return selector(party, place) != {} if place.shared else party != "teardown barrier"


def selector(party: Party, place: Place) -> Selector:
    """The pods of a party, in their own namespace."""
    by_name = {
        "benchmark client": bench_name(place.stack),
        "readiness check": READINESS_NAME,
        "teardown barrier": BARRIER_NAME,
        "NATS": "nats",
        "etcd": "etcd",
        "Dynamo operator": "dynamo-operator",
        "Grove operator": "grove-operator",
        "DRA driver": "nvidia-dra-driver-gpu",
    }
    if party in by_name:
        return {"matchLabels": {NAME_LABEL: by_name[party]}}
    if party == "workers":
        return {
            "matchLabels": {STACK_LABEL: place.stack},
            "matchExpressions": [{"key": ROLE_LABEL, "operator": "In", "values": list(WORKER_ROLES)}],
        }
    if party == "frontends":
        return {"matchLabels": {STACK_LABEL: place.stack, ROLE_LABEL: "frontend"}}
    if party == "IMEX daemons":
        return {"matchExpressions": [{"key": COMPUTE_DOMAIN_LABEL, "operator": "Exists"}]}
    if party == "download" and place.shared:
        return {"matchLabels": {NAME_LABEL: DOWNLOAD_NAME}}
    # A namespace that has pods of one party only. What KAI's operator starts has no label that is known here.
    return {}


def _but_these(selectors: Iterable[Selector]) -> dict[str, Selector]:
    """Selectors of the pods that none of the others selects, by the label that each of those asks for first.

    Pods without a name are selected by themselves: the API's `NotIn` selects them too, but not every evaluator's does.
    """
    names, absent = list[str](), dict[str, None]()
    for chosen in selectors:
        labels: Mapping[str, str] = chosen.get("matchLabels", {})
        if NAME_LABEL in labels:
            names.append(labels[NAME_LABEL])
        else:
            absent[next(iter(labels), None) or chosen["matchExpressions"][0]["key"]] = None
    without: list[Mapping[str, Any]] = [{"key": key, "operator": "DoesNotExist"} for key in absent]
    if not names:
        return {"rest": {"matchExpressions": without} if without else {}}
    unnamed = {"key": NAME_LABEL, "operator": "DoesNotExist"}
    others = [{"key": NAME_LABEL, "operator": "Exists"}, {"key": NAME_LABEL, "operator": "NotIn", "values": names}]
    return {
        "rest": {"matchExpressions": [*without, unnamed]},
        "rest-named": {"matchExpressions": [*without, *others]},
    }


def _of_these(selectors: Iterable[Selector]) -> Selector:
    """The pods that one of the selectors selects, each of which asks for a name."""
    names = [chosen["matchLabels"][NAME_LABEL] for chosen in selectors]
    return {"matchExpressions": [{"key": NAME_LABEL, "operator": "In", "values": names}]}


def _ways(way: WayOut, place: Place) -> list[Rule]:
    """The rules of a way out, each once."""
    found: list[Rule] = []
    for to in way.to:
        if to in _INSIDE:
            parties, ports = _INSIDE[to]
            found += [to_pods({"podSelector": selector(party, place)}, ports) for party in parties]
        else:
            found += place.outside[to]
    found += place.ranges
    # Google's APIs have public addresses, also those of a private zone.
    covered = place.outside.get("Google's APIs", ()) if INTERNET in found else ()
    distinct: list[Rule] = []
    for rule in found:
        if rule not in distinct and (rule == INTERNET or rule not in covered):
            distinct.append(rule)
    return distinct


def _rule(flow: Flow, place: Place) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    peers = _peers(flow, place)
    if peers is not None:
        rule["from"] = peers
    if flow.ports:
        rule["ports"] = [{"protocol": "TCP", "port": port} for port in flow.ports]
    return rule


def _peers(flow: Flow, place: Place) -> list[Peer] | None:
    """Whom the rule of a flow lets in: nobody, if the list is empty; None: everybody."""
    if "anybody" in flow.sources:
        return None
    found: list[Peer] = []
    for party in flow.sources:
        if party == "clients":
            found += place.clients
        elif party == "stacks of any environment":
            pods = {"matchExpressions": [{"key": STACK_LABEL, "operator": "Exists"}]}
            found.append({"namespaceSelector": pods, "podSelector": pods})
            if place.stack_namespaces:
                named = {"key": NAMESPACE_LABEL, "operator": "In", "values": sorted(place.stack_namespaces)}
                found.append({"namespaceSelector": {"matchExpressions": [named]}, "podSelector": pods})
        else:
            found.append({"podSelector": selector(party, place)})
    return found

"""NetworkPolicies: whether one pod may connect to another, by the API's rules (networking.k8s.io/v1, reference page).

A pod that no policy selects takes every connection. One that is selected takes what any rule of any of those policies
allows; an empty or missing `from` allows every source, an empty or missing `ports` every port. Traffic from the pod's
own node is never refused. GKE's Dataplane V2 enforces them always; whether a cluster does otherwise is not modelled.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import Props, items, many, mapping, text

POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_NAME = "kubernetes.io/metadata.name"
"""Label that the API server puts on every namespace."""


@dataclass(frozen=True)
class Pod:
    """One end of a connection in the cluster."""

    namespace: str
    labels: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.namespace} ({', '.join(f'{key}={value}' for key, value in self.labels.items())})"


@dataclass(frozen=True)
class Address:
    """One end of a connection that is no pod: the API server, a client outside."""

    ip: str

    def __str__(self) -> str:
        return self.ip


Labels = Callable[[str], Mapping[str, Any]]
"""Labels of a namespace, by its name."""


def allowed(
    policies: Iterable[Mapping[str, Any]], labels_of: Labels, source: Pod | Address, target: Pod, port: int
) -> bool:
    """Whether a TCP connection reaches a pod in whose namespace there are policies of these specs."""
    chosen = [policy for policy in policies if selects(policy, target.labels)]
    return not chosen or any(
        _has_port(rule, port) and _has_source(rule, labels_of, source, target.namespace)
        for policy in chosen
        for rule in items(policy, "ingress")
    )


def refused(state: CloudState, cluster: str, source: Pod | Address, target: Pod, port: int) -> str:
    """The reason for which a connection never reaches its target; empty if it does."""
    policies = dict(_named(state, cluster, target.namespace))

    def labels_of(namespace: str) -> Props:
        found = state.get(NAMESPACE, namespace, cluster)
        return mapping(found.outputs, "metadata.labels") if found else {}

    if allowed(policies.values(), labels_of, source, target, port):
        return ""
    names = [name for name, spec in policies.items() if selects(spec, target.labels)]
    return (
        f"connections from {source} to {target}, port {port}, are dropped by NetworkPolicy "
        f"{', '.join(f'{target.namespace}/{name}' for name in names)}"
    )


def selects(policy: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether a policy isolates a pod with these labels from incoming connections."""
    types = policy.get("policyTypes") or ["Ingress"]
    return "Ingress" in types and matches(mapping(policy, "podSelector"), labels)


def matches(selector: Props, labels: Mapping[str, Any]) -> bool:
    """A label selector, of which an empty one selects everything."""
    return all(labels.get(key) == value for key, value in mapping(selector, "matchLabels").items()) and all(
        _holds(expression, labels) for expression in items(selector, "matchExpressions")
    )


def _holds(expression: Props, labels: Mapping[str, Any]) -> bool:
    key, operator = text(expression, "key"), text(expression, "operator")
    values = many(expression, "values")
    return {
        "In": key in labels and labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[operator]


def _named(state: CloudState, cluster: str, namespace: str) -> Iterator[tuple[str, Props]]:
    for policy in state.find(POLICY, scope=cluster):
        space, _, name = policy.id.partition("/")
        if space == namespace:
            yield name, mapping(policy.outputs, "spec")


def _has_port(rule: Props, port: int) -> bool:
    ports = items(rule, "ports")
    if not ports:
        return True
    return any(
        text(one, "protocol") in ("", "TCP")
        and (one.get("port") is None or int(one["port"]) <= port <= int(one.get("endPort") or one["port"]))
        for one in ports
    )


def _has_source(rule: Props, labels_of: Labels, source: Pod | Address, namespace: str) -> bool:
    peers = items(rule, "from")
    return not peers or any(_is_peer(peer, labels_of, source, namespace) for peer in peers)


def _is_peer(peer: Props, labels_of: Labels, source: Pod | Address, namespace: str) -> bool:
    if isinstance(source, Address):
        block = mapping(peer, "ipBlock")
        if not block:
            return False
        within = ipaddress.ip_address(source.ip)
        excepted = [ipaddress.ip_network(one) for one in many(block, "except")]
        return within in ipaddress.ip_network(block["cidr"]) and not any(within in one for one in excepted)
    # Addresses of pods are not modelled; a range that holds them would let them in.
    if "ipBlock" in peer:
        return False
    if peer.get("namespaceSelector") is None:
        here = source.namespace == namespace
    else:
        labels = {**labels_of(source.namespace), _NAME: source.namespace}
        here = matches(mapping(peer, "namespaceSelector"), labels)
    return here and matches(mapping(peer, "podSelector"), source.labels)

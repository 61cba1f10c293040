"""NetworkPolicies: whether one pod may connect to another, by the API's rules (networking.k8s.io/v1, reference page).

A pod that no policy selects takes every connection and makes every connection. One that is selected takes what any
`ingress` rule, and makes what any `egress` rule, of any of those policies of that type allows; an empty or missing
`from` or `to` allows everybody, an empty or missing `ports` every port. A connection needs both sides. Traffic from the
pod's own node is never refused. GKE's Dataplane V2 enforces them always; whether a cluster does otherwise is not
modelled.
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


TCP, UDP = "TCP", "UDP"
_WAYS = (("ingress", "from"), ("egress", "to"))


def allowed(
    policies: Callable[[str], Iterable[Mapping[str, Any]]],
    labels_of: Labels,
    source: Pod | Address,
    target: Pod | Address,
    port: int,
    *,
    protocol: str = TCP,
) -> bool:
    """Whether a connection is made: its source may make it, and its target takes it. `policies` are the specs of those
    in a namespace.
    """
    return not any(blocking(policies, labels_of, source, target, port, protocol=protocol))


def blocking(
    policies: Callable[[str], Iterable[Mapping[str, Any]]],
    labels_of: Labels,
    source: Pod | Address,
    target: Pod | Address,
    port: int,
    *,
    protocol: str = TCP,
) -> Iterator[tuple[Pod, str]]:
    """The ends whose policies drop a connection, each with the direction that is dropped."""
    for (way, peers), pod, other in zip(_WAYS, (target, source), (source, target), strict=True):
        if not isinstance(pod, Pod):
            continue
        chosen = [policy for policy in policies(pod.namespace) if selects(policy, pod.labels, way)]
        if chosen and not any(
            _has_port(rule, port, protocol) and _has_peer(items(rule, peers), labels_of, other, pod.namespace)
            for policy in chosen
            for rule in items(policy, way)
        ):
            yield pod, way


def refused(
    state: CloudState, cluster: str, source: Pod | Address, target: Pod | Address, port: int, *, protocol: str = TCP
) -> str:
    """The reason for which a connection never reaches its target; empty if it does."""

    def policies(namespace: str) -> list[Props]:
        return [spec for _, spec in _named(state, cluster, namespace)]

    def labels_of(namespace: str) -> Props:
        found = state.get(NAMESPACE, namespace, cluster)
        return mapping(found.outputs, "metadata.labels") if found else {}

    for pod, way in blocking(policies, labels_of, source, target, port, protocol=protocol):
        names = [name for name, spec in _named(state, cluster, pod.namespace) if selects(spec, pod.labels, way)]
        return (
            f"connections from {source} to {target}, port {port}, are dropped by {way} of NetworkPolicy "
            f"{', '.join(f'{pod.namespace}/{name}' for name in names)}"
        )
    return ""


def selects(policy: Mapping[str, Any], labels: Mapping[str, Any], way: str = "ingress") -> bool:
    """Whether a policy isolates a pod with these labels in a direction; both, if it has egress rules and no types."""
    types = policy.get("policyTypes") or ["Ingress", *(["Egress"] if policy.get("egress") else [])]
    return way.title() in types and matches(mapping(policy, "podSelector"), labels)


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


def _has_port(rule: Props, port: int, protocol: str) -> bool:
    ports = items(rule, "ports")
    if not ports:
        return True
    return any(
        (text(one, "protocol") or TCP) == protocol
        and (one.get("port") is None or int(one["port"]) <= port <= int(one.get("endPort") or one["port"]))
        for one in ports
    )


def _has_peer(peers: list[Props], labels_of: Labels, other: Pod | Address, namespace: str) -> bool:
    return not peers or any(_is_peer(peer, labels_of, other, namespace) for peer in peers)


def _is_peer(peer: Props, labels_of: Labels, other: Pod | Address, namespace: str) -> bool:
    if isinstance(other, Address):
        block = mapping(peer, "ipBlock")
        if not block:
            return False
        within = ipaddress.ip_address(other.ip)
        excepted = [ipaddress.ip_network(one) for one in many(block, "except")]
        return within in ipaddress.ip_network(block["cidr"]) and not any(within in one for one in excepted)
    # Cilium never matches a pod by its address (its documentation, "CIDR-based policies"); addresses of pods are not
    # modelled.
    if "ipBlock" in peer:
        return False
    if peer.get("namespaceSelector") is None:
        here = other.namespace == namespace
    else:
        labels = {**labels_of(other.namespace), _NAME: other.namespace}
        here = matches(mapping(peer, "namespaceSelector"), labels)
    return here and matches(mapping(peer, "podSelector"), other.labels)

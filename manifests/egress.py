"""Rules of NetworkPolicies for what pods connect to, as data; addresses that only the cloud knows may be outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reference import egress
from reference.naming import NAMESPACE_LABEL
from reference.outbound import Address

Rule = Mapping[str, Any]


def _rule(peers: list[Mapping[str, Any]], ports: Iterable[int]) -> Rule:
    listed = [{"protocol": "TCP", "port": port} for port in ports]
    return {"to": peers, "ports": listed} if listed else {"to": peers}


def to_range(cidr: Any, ports: Iterable[int] = (), *, but: Sequence[str] = ()) -> Rule:
    """The addresses of a range, and these TCP ports; without any, all."""
    block = {"cidr": cidr, "except": list(but)} if but else {"cidr": cidr}
    return _rule([{"ipBlock": block}], ports)


def to_pods(peer: Mapping[str, Any], ports: Iterable[int] = ()) -> Rule:
    """The pods of a peer, and these TCP ports; without any, all of all protocols."""
    return _rule([peer], ports)


def named(namespace: str | None, labels: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """The pods with these labels in a namespace; None: in every one."""
    found: dict[str, Any] = {"namespaceSelector": {}}
    if namespace is not None:
        found = {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}}}
    return {**found, "podSelector": {"matchLabels": dict(labels)}} if labels else found


def to_address(address: Address) -> Rule | None:
    """A server that the config names; None if its addresses are not known.

    The port of a Service need not be that of its pods, so a namespace is open as a whole.
    """
    if address.namespace is not None:
        return to_pods(named(address.namespace))
    return to_range(f"{address.host}/32", [address.port]) if address.is_ip else None


INTERNET: Final = to_range(egress.ANYWHERE, [egress.HTTPS], but=egress.NOT_PUBLIC)
METADATA: Final = tuple(to_range(cidr, ports) for cidr, ports in egress.METADATA.items())
DNS: Final[Rule] = {
    "to": [
        *(named("kube-system", {"k8s-app": name}) for name in egress.DNS_PODS),
        *({"ipBlock": {"cidr": cidr}} for cidr in egress.DNS_ADDRESSES),
    ],
    "ports": [{"protocol": protocol, "port": egress.DNS_PORT} for protocol in ("UDP", "TCP")],
}


def to_servers(servers: Iterable[Address], public: Iterable[int] = (egress.HTTPS,)) -> list[Rule]:
    """Servers that the config names. Where a name says nothing of its addresses, they are public if the server listens
    on one of the ports `public`; else the config lists their range.
    """
    found = [to_address(server) or (INTERNET if server.port in public else None) for server in servers]
    return [rule for rule in found if rule is not None]

"""The firewall rules that the nodes need: the program's own are built from them, or they are printed for whoever writes
them.

Pods of one stack talk over every port: IMEX daemons, NCCL's bootstrap, Dynamo's request plane, the KV cache's
handshakes. A VPC denies what comes in and allows what goes out unless somebody says otherwise; the rules for EGRESS are
for networks whose default is to deny that too. A RoCE VPC takes no such rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from reference.addresses import AddressPlan

GOOGLE_APIS: Final = "199.36.153.8/30"
"""Addresses of private.googleapis.com, through which nodes without internet reach Google's APIs."""

_ALL: Final[Mapping[str, Sequence[str]]] = {"tcp": (), "udp": (), "icmp": ()}
_TCP: Final = "tcp"


@dataclass(frozen=True)
class Ranges:
    """Who talks to whom: ranges in CIDR notation, or words for a range that the program does not know."""

    nodes: str
    pods: str
    services: str
    control_plane: str

    @classmethod
    def planned(cls, plan: AddressPlan) -> Ranges:
        """Those of an address plan."""
        return cls(plan.nodes, plan.pods, plan.services, plan.control_plane)

    @classmethod
    def named(cls, subnetwork: str, pods: str, services: str, control_plane: str) -> Ranges:
        """Those of an existing subnetwork, in words; `control_plane` is a range or words already."""
        return cls(
            primary(subnetwork),
            f"secondary range {pods} of {subnetwork}",
            f"secondary range {services} of {subnetwork}",
            control_plane,
        )


def primary(subnetwork: str) -> str:
    """The range of an existing subnetwork, in words."""
    return f"primary range of {subnetwork}"


@dataclass(frozen=True)
class FirewallRule:
    """One rule of a VPC network."""

    key: str
    """What it is for, in a word or two."""
    description: str
    direction: Literal["INGRESS", "EGRESS"]
    ranges: tuple[str, ...]
    """Sources of INGRESS, destinations of EGRESS."""
    allowed: Mapping[str, Sequence[str]]
    """Ports by protocol; none: all of them."""

    def printed(self, network: str) -> dict[str, Any]:
        """The rule as an output of the stack, for the VPC of this name or path."""
        side = "sourceRanges" if self.direction == "INGRESS" else "destinationRanges"
        return {
            "network": network,
            "direction": self.direction,
            side: list(self.ranges),
            "allow": [_allowed(protocol, ports) for protocol, ports in self.allowed.items()],
            "description": self.description,
        }


def _allowed(protocol: str, ports: Sequence[str]) -> str:
    return f"{protocol}:{','.join(ports)}" if ports else protocol


def cluster_rules(ranges: Ranges) -> tuple[FirewallRule, FirewallRule]:
    """Of the cluster's VPC: nodes among each other, and the control plane to the webhooks."""
    return (
        FirewallRule(
            "internal",
            "Nodes, pods and services among each other; IMEX daemons talk from pod to pod.",
            "INGRESS",
            (ranges.nodes, ranges.pods, ranges.services),
            _ALL,
        ),
        FirewallRule(
            "webhooks",
            "Control plane to the admission webhooks of the operators.",
            "INGRESS",
            (ranges.control_plane,),
            # GKE's own rule opens 443 and 10250; the webhooks listen on 9443 (docs/reference/recipe.md).
            {_TCP: ("443", "8443", "9443", "10250")},
        ),
    )


def gvnic_rule(gvnic: str, ranges: Ranges) -> FirewallRule:
    """Of the VPC of the second gVNIC, whose subnetwork has the range `gvnic`."""
    return FirewallRule(
        "gvnic-internal",
        "A4X nodes and their pods among each other on the second gVNIC.",
        "INGRESS",
        (gvnic, ranges.nodes, ranges.pods),
        _ALL,
    )


def gvnic_egress(gvnic: str, ranges: Ranges) -> FirewallRule:
    """As `gvnic_rule`, where that VPC denies what goes out."""
    return replace(
        gvnic_rule(gvnic, ranges),
        key="gvnic-egress",
        description="Only where the network denies egress: A4X nodes and their pods to each other on the second gVNIC.",
        direction="EGRESS",
    )


def egress_rules(ranges: Ranges) -> Iterator[FirewallRule]:
    """Of the cluster's VPC, where it denies what goes out: what `cluster_rules` lets in, and Google's APIs."""
    yield FirewallRule(
        "egress",
        "Only where the network denies egress: nodes and pods to each other and to the control plane.",
        "EGRESS",
        (ranges.nodes, ranges.pods, ranges.services, ranges.control_plane),
        _ALL,
    )
    yield FirewallRule(
        "google-apis",
        "Only where the network denies egress: Google's APIs, with no route to the internet.",
        "EGRESS",
        (GOOGLE_APIS,),
        {_TCP: ("443",)},
    )

"""The address plan of one cluster: nine ranges allocated from one base range.

The split depends on the base range alone, never on the number of nodes: the range of a subnet, of a cluster's pods or
of its control plane cannot be changed once it exists, so a new domain must not move any of them. The number of nodes
is only compared with the capacity of the base range.

The proportions follow from GKE's arithmetic: a node takes a /24 of pod addresses (110 pods, GKE's default) and one
address in each of the six NIC subnets, so pods need 256 times the addresses of a subnet.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from reference.machines import A4X
from validation.problems import RuleError

DEFAULT_BASE: Final = "10.16.0.0/12"
"""Pods for 2,048 nodes, so 64 NVLink domains (1,152 nodes) and the system pool, in a sixteenth of 10.0.0.0/8;
clear of 10.128.0.0/9, which auto-mode networks fill."""

SYSTEM_NODES: Final = 32
"""Addresses kept for the x86 system pool (10 nodes by default) and for its surge during upgrades."""

POD_PREFIX_PER_NODE: Final = 24
"""GKE gives a node of up to 110 pods a /24 (twice the pods, rounded up to a power of two)."""

RESERVED_PER_SUBNET: Final = 4
"""Google Cloud keeps the first two and the last two addresses of every subnet's primary range."""

_USABLE: Final = tuple(
    ipaddress.IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""RFC 1918, and the shared address space of RFC 6598 that GKE accepts for pods and nodes as well."""

_RANGE: Final = re.compile(r"([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])")
_SMALLEST_BASE: Final = 20
_LARGEST_PODS: Final = 9
_LARGEST_SERVICES: Final = 16
_CONTROL_PLANE: Final = 28


class AddressPlanError(RuleError):
    """The ranges cannot be planned. The message names the key, the value, the rule and the fix."""


@dataclass(frozen=True)
class AddressPlan:
    """Ranges in CIDR notation, none overlapping another."""

    nodes: str
    """Primary range of the cluster's subnet: eth0 of every node, A4X and system."""
    pods: str
    """Secondary range `pods`: a /24 for each node."""
    services: str
    """Secondary range `services`: one address for each Kubernetes Service."""
    control_plane: str
    """The /28 of the control plane's private endpoint."""
    gvnic: str
    """Subnet of the second gVNIC: eth1 of every A4X node."""
    rdma: tuple[str, ...]
    """Subnets of the four CX-7 NICs, in order: eth2 to eth5 of every A4X node."""

    def ranges(self) -> dict[str, str]:
        """Every range by its name, the RDMA subnets as `rdma-0` to `rdma-3`."""
        return {
            "nodes": self.nodes,
            "pods": self.pods,
            "services": self.services,
            "control_plane": self.control_plane,
            "gvnic": self.gvnic,
            **dict(zip(A4X.rdma_networks, self.rdma, strict=True)),
        }

    def capacity(self) -> int:
        """Nodes, the system pool's included, that fit into the tightest of the ranges."""
        by_pods = nodes_of_pods(self.pods)
        subnets = (self.nodes, self.gvnic, *self.rdma)
        by_subnet = min(ipaddress.ip_network(subnet).num_addresses - RESERVED_PER_SUBNET for subnet in subnets)
        return min(by_pods, by_subnet)


def nodes_of_pods(pods: str) -> int:
    """Nodes whose pods fit into a range."""
    prefix = ipaddress.ip_network(pods).prefixlen
    return 2 ** (POD_PREFIX_PER_NODE - prefix) if prefix <= POD_PREFIX_PER_NODE else 0


def pods_prefix(nodes: int) -> int:
    """Prefix of the smallest range for the pods of this many nodes."""
    return POD_PREFIX_PER_NODE - (nodes - 1).bit_length()


def plan(base: str, nodes: int, key: str = "cluster.network.addressRange") -> AddressPlan:
    """The plan for `base` (a private range in CIDR notation), which must carry `nodes` A4X nodes.

    The upper half of the base holds the pods; the lower half is split into eight: nodes, services, second
    gVNIC, control plane, and four RDMA subnets.

    Raises:
        AddressPlanError: the base is not a private range, or too small.
    """
    network = _private(key, base)
    if network.prefixlen > _SMALLEST_BASE:
        raise AddressPlanError(
            key,
            base,
            f"nine ranges do not fit into less than a /{_SMALLEST_BASE}",
            f"give a private range of /{_prefix_for(nodes)} or larger for {nodes} A4X nodes",
        )
    lower, upper = network.subnets(prefixlen_diff=1)
    subnet, services, gvnic, control_plane, *rdma = lower.subnets(prefixlen_diff=3)
    result = AddressPlan(
        nodes=str(subnet),
        pods=str(_first(upper, _LARGEST_PODS)),
        services=str(_first(services, _LARGEST_SERVICES)),
        control_plane=str(_first(control_plane, _CONTROL_PLANE)),
        gvnic=str(gvnic),
        rdma=tuple(map(str, rdma)),
    )
    needed = nodes + SYSTEM_NODES
    if result.capacity() < needed:
        raise AddressPlanError(
            key,
            base,
            f"it carries {result.capacity()} nodes, and {nodes} A4X nodes with {SYSTEM_NODES} addresses kept for the "
            f"system pool are {needed} (each takes a /{POD_PREFIX_PER_NODE} of pods)",
            f"give a range of /{_prefix_for(nodes)} or larger",
        )
    return result


def warning(base: str, nodes: int, key: str = "cluster.network.addressRange") -> str | None:
    """What to know of a range that carries `nodes` A4X nodes and not one domain more; it cannot be changed later."""
    most = plan(base, nodes).capacity() - SYSTEM_NODES
    if most >= nodes + A4X.nodes_per_domain:
        return None
    return (
        f"{key} = {base} carries {most} A4X nodes, so no further domain of {A4X.nodes_per_domain}; another range is "
        "another cluster. Choose a larger one now if the cluster is to grow."
    )


def check_range(cidr: str, key: str) -> None:
    """Raise `AddressPlanError` unless `cidr` is one IPv4 range, public or private, as Google's APIs take it.

    That is network and prefix length: no host bits (10.0.0.1/8), no netmask (10.0.0.0/255.0.0.0), no bare address.
    """
    fix = "Write it as network/prefix, such as 203.0.113.0/24"
    if not _RANGE.fullmatch(cidr):
        raise AddressPlanError(key, cidr, "not an IPv4 range in CIDR notation", fix)
    try:
        ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise AddressPlanError(key, cidr, f"not an IPv4 range in CIDR notation ({error})", fix) from error


def check_control_plane(cidr: str, key: str = "controlPlaneRange") -> None:
    """Raise `AddressPlanError` unless `cidr` can be the range of a control plane: a private /28."""
    check_range(cidr, key)
    if _private(key, cidr).prefixlen != _CONTROL_PLANE:
        raise AddressPlanError(
            key,
            cidr,
            f"a control plane takes a range of exactly /{_CONTROL_PLANE}",
            "Give a free /28, such as 172.16.0.32/28",
        )


def _private(key: str, cidr: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise AddressPlanError(
            key,
            cidr,
            f"not an IPv4 range in CIDR notation ({error})",
            f"write it as network/prefix, for instance {DEFAULT_BASE}",
        ) from error
    if not any(network.subnet_of(usable) for usable in _USABLE):
        raise AddressPlanError(
            key,
            cidr,
            "not a private range that a VPC can hold",
            f"take it from {', '.join(str(usable) for usable in _USABLE)}",
        )
    return network


def _first(network: ipaddress.IPv4Network, longest: int) -> ipaddress.IPv4Network:
    """The beginning of `network`, cut down to a `/longest` where it is larger than the service accepts."""
    if network.prefixlen >= longest:
        return network
    return next(network.subnets(new_prefix=longest))


def _prefix_for(nodes: int) -> int:
    """Prefix of the smallest base that carries `nodes` A4X nodes beside the system pool."""
    return POD_PREFIX_PER_NODE - 1 - (nodes + SYSTEM_NODES - 1).bit_length()

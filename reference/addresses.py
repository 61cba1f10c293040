"""The address plan of one cluster: ten ranges allocated from one base range.

The split depends on the base range alone, never on the number of nodes: the range of a subnet, of a cluster's pods or
of its control plane cannot be changed once it exists, so a new domain must not move any of them. The configured
maximum number of nodes is only compared with the capacity of the base range.

The proportions follow from GKE's arithmetic: a node takes a /24 of pod addresses (110 pods, GKE's default) and one
address in each of the six NIC subnets, so pods need 256 times the addresses of a subnet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from reference.machines import A4X
from validation.problems import RuleError

DEFAULT_BASE: Final = "10.16.0.0/12"
"""Pods for 2,048 nodes (64 NVLink domains, 1,152 nodes, and the system pool) in a sixteenth of 10.0.0.0/8; outside
10.128.0.0/9, which auto-mode networks use."""

MAX_A4X_NODES: Final = 64 * A4X.nodes_per_domain
"""64 domains, 4,608 GPUs: the size of a plan unless the configuration says otherwise."""

SYSTEM_NODES: Final = 32
"""Addresses reserved for the x86 system pool (10 nodes by default) and its surge nodes during upgrades."""

POD_PREFIX_PER_NODE: Final = 24
"""GKE gives a node of up to 110 pods a /24 (twice the pods, rounded up to a power of two)."""

RESERVED_PER_SUBNET: Final = 4
"""Google Cloud reserves the first two and the last two addresses of every subnet's primary range."""

RANGE_KEYS: Final = ("nodes", "pods", "services", "control_plane", "gvnic", "rdma")
"""Ranges that can be set explicitly; `rdma` is one range, split into the four subnets."""

_USABLE: Final = tuple(
    ipaddress.IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""RFC 1918, and the shared address space of RFC 6598 that GKE accepts for pods and nodes as well."""

_RANGE: Final = re.compile(r"([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])")
_SMALLEST_BASE: Final = 20
_SMALLEST_SERVICES: Final = 27
_LARGEST_PODS: Final = 9
_LARGEST_SERVICES: Final = 16
_CONTROL_PLANE: Final = 28


class AddressPlanError(RuleError):
    """The ranges cannot be planned. The message names the key, the value, the rule and the fix."""


@dataclass(frozen=True)
class AddressPlan:
    """Non-overlapping ranges in CIDR notation."""

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
    max_nodes: int
    """A4X nodes requested; the ranges have room for at least this many beside the system pool."""

    def ranges(self) -> dict[str, str]:
        """Every range by name, the RDMA subnets as `rdma-0` to `rdma-3`."""
        return {
            "nodes": self.nodes,
            "pods": self.pods,
            "services": self.services,
            "control_plane": self.control_plane,
            "gvnic": self.gvnic,
            **dict(zip(A4X.rdma_networks, self.rdma, strict=True)),
        }

    def capacity(self) -> int:
        """Nodes, including the system pool's, that fit into the tightest range."""
        by_pods = 2 ** (POD_PREFIX_PER_NODE - ipaddress.ip_network(self.pods).prefixlen)
        subnets = (self.nodes, self.gvnic, *self.rdma)
        by_subnet = min(ipaddress.ip_network(subnet).num_addresses - RESERVED_PER_SUBNET for subnet in subnets)
        return min(by_pods, by_subnet)


def plan(base: str, max_nodes: int, overrides: Mapping[str, str] | None = None) -> AddressPlan:
    """The plan for `base` (a private range in CIDR notation) and up to `max_nodes` A4X nodes.

    The upper half of the base holds the pods; the lower half is split into eight: nodes, services, second gVNIC,
    control plane, and four RDMA subnets. `overrides` replaces single ranges, named as in `RANGE_KEYS`, with ranges that
    may lie outside the base.


    Raises:
        AddressPlanError: the base or an override is not a private range, the base is too small, an override has an
            unknown name, two ranges overlap, or the nodes do not fit.
    """
    given = dict(overrides or {})
    for key in sorted(given.keys() - set(RANGE_KEYS)):
        raise AddressPlanError(
            f"addresses.{key}",
            given[key],
            f"there is no range of this name; the ranges are {', '.join(RANGE_KEYS)}",
            "Correct the name or remove the line",
        )
    if max_nodes < 1:
        raise AddressPlanError(
            "addresses.max_nodes",
            max_nodes,
            "a plan is made for at least one A4X node",
            f"Set it to the most nodes the cluster may ever have ({A4X.nodes_per_domain} for each domain)",
        )
    network = _private("addresses.base", base)
    if network.prefixlen > _SMALLEST_BASE:
        raise AddressPlanError(
            "addresses.base",
            base,
            f"ten ranges do not fit into less than a /{_SMALLEST_BASE}",
            f"Give a private range of /{_prefix_for(max_nodes)} or larger for {max_nodes} A4X nodes",
        )

    lower, upper = network.subnets(prefixlen_diff=1)
    nodes, services, gvnic, control_plane, *rdma = lower.subnets(prefixlen_diff=3)
    ranges = {
        "nodes": nodes,
        "pods": _first(upper, _LARGEST_PODS),
        "services": _first(services, _LARGEST_SERVICES),
        "control_plane": _first(control_plane, _CONTROL_PLANE),
        "gvnic": gvnic,
    }
    for key in ranges.keys() & given.keys():
        ranges[key] = _private(f"addresses.{key}", given[key])
    if "rdma" in given:
        rdma = _quarters(given["rdma"])
    _check_sizes(ranges["control_plane"], ranges["services"])

    result = AddressPlan(
        nodes=str(ranges["nodes"]),
        pods=str(ranges["pods"]),
        services=str(ranges["services"]),
        control_plane=str(ranges["control_plane"]),
        gvnic=str(ranges["gvnic"]),
        rdma=tuple(str(subnet) for subnet in rdma),
        max_nodes=max_nodes,
    )
    for message in overlaps(result.ranges()):
        raise AddressPlanError(
            "addresses", ", ".join(sorted(given)) or base, message, "Give one of the two another range"
        )
    _check_capacity(result, base)
    return result


def check_range(cidr: str, key: str) -> None:
    """Raise `AddressPlanError` unless `cidr` is one IPv4 range, public or private, as Google's APIs accept it.

    That is network and prefix length: no host bits (10.0.0.1/8), no netmask (10.0.0.0/255.0.0.0), no bare address.
    """
    fix = "Write it as network/prefix, such as 203.0.113.0/24"
    if not _RANGE.fullmatch(cidr):
        raise AddressPlanError(key, cidr, "not an IPv4 range in CIDR notation", fix)
    try:
        ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise AddressPlanError(key, cidr, f"not an IPv4 range in CIDR notation ({error})", fix) from error


def overlaps(ranges: Mapping[str, str]) -> list[str]:
    """One message for each pair of `ranges` that overlap, naming both.

    Takes any named ranges, so that a plan can be compared with ranges outside it (a peered network, an office):
    `overlaps({**plan.ranges(), "office": "10.0.0.0/16"})`.
    """
    networks = {name: ipaddress.ip_network(cidr, strict=False) for name, cidr in ranges.items()}
    return [
        f"the range of {one} ({networks[one]}) overlaps the range of {other} ({networks[other]})"
        for one, other in combinations(networks, 2)
        if networks[one].overlaps(networks[other])
    ]


def _private(key: str, cidr: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise AddressPlanError(
            key,
            cidr,
            f"not an IPv4 range in CIDR notation ({error})",
            f"Write it as network/prefix, for instance {DEFAULT_BASE}",
        ) from error
    if not any(network.subnet_of(usable) for usable in _USABLE):
        raise AddressPlanError(
            key,
            cidr,
            "not a private range that a VPC can hold",
            f"Take it from {', '.join(str(usable) for usable in _USABLE)}",
        )
    return network


def _first(network: ipaddress.IPv4Network, longest: int) -> ipaddress.IPv4Network:
    """The beginning of `network`, reduced to a `/longest` where it is larger than the service accepts."""
    if network.prefixlen >= longest:
        return network
    return next(network.subnets(new_prefix=longest))


def _quarters(cidr: str) -> list[ipaddress.IPv4Network]:
    network = _private("addresses.rdma", cidr)
    if network.prefixlen > 27:
        raise AddressPlanError(
            "addresses.rdma",
            cidr,
            "the range is cut into four subnets, and a subnet is a /29 or larger",
            "Give a /27 or larger",
        )
    return list(network.subnets(prefixlen_diff=2))


def _check_sizes(control_plane: ipaddress.IPv4Network, services: ipaddress.IPv4Network) -> None:
    if control_plane.prefixlen != _CONTROL_PLANE:
        raise AddressPlanError(
            "addresses.control_plane",
            str(control_plane),
            "GKE takes exactly a /28 for the control plane",
            f"Give a /{_CONTROL_PLANE}",
        )
    if not _LARGEST_SERVICES <= services.prefixlen <= _SMALLEST_SERVICES:
        raise AddressPlanError(
            "addresses.services",
            str(services),
            f"GKE takes a /{_LARGEST_SERVICES} to a /{_SMALLEST_SERVICES} for Services",
            "Give a /20 (4,096 Services)",
        )


def _check_capacity(result: AddressPlan, base: str) -> None:
    needed = result.max_nodes + SYSTEM_NODES
    if result.capacity() < needed:
        raise AddressPlanError(
            "addresses.base",
            base,
            f"the plan carries {result.capacity()} nodes, and {result.max_nodes} A4X nodes with "
            f"{SYSTEM_NODES} kept "
            f"for the system pool are {needed} (each takes a /{POD_PREFIX_PER_NODE} of pods)",
            f"Give a base of /{_prefix_for(result.max_nodes)} or larger, or lower addresses.max_nodes",
        )


def _prefix_for(max_nodes: int) -> int:
    """Prefix length of the smallest base with room for `max_nodes` A4X nodes beside the system pool."""
    return POD_PREFIX_PER_NODE - 1 - (max_nodes + SYSTEM_NODES - 1).bit_length()

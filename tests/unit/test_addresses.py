"""The address plan: nothing overlaps, everything fits, nothing moves when a cluster grows."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import addresses
from reference.addresses import AddressPlan, AddressPlanError, overlaps, plan
from reference.machines import A4X

_HOMES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


@st.composite
def bases(draw: st.DrawFn) -> IPv4Network:
    """Private ranges of /8 to /18, which carry at least 32 nodes."""
    home = IPv4Network(draw(st.sampled_from(_HOMES)))
    prefix = draw(st.integers(home.prefixlen, 18))
    index = draw(st.integers(0, 2 ** (prefix - home.prefixlen) - 1))
    return IPv4Network((int(home.network_address) + (index << (32 - prefix)), prefix))


def most_nodes(base: IPv4Network) -> int:
    """A4X nodes that the pods' half of `base` carries beside the system pool."""
    return int(2 ** (24 - max(base.prefixlen + 1, 9))) - addresses.SYSTEM_NODES


@st.composite
def fitting(draw: st.DrawFn) -> tuple[IPv4Network, int]:
    """A base range and a number of A4X nodes that it carries."""
    base = draw(bases().filter(lambda base: most_nodes(base) >= 1))
    return base, draw(st.integers(1, min(most_nodes(base), 15000)))


def planned(base: IPv4Network, nodes: int) -> AddressPlan:
    """The plan without overrides."""
    return plan(str(base), nodes)


@given(fitting())
def test_no_two_ranges_overlap(case: tuple[IPv4Network, int]) -> None:
    networks = [IPv4Network(cidr) for cidr in planned(*case).ranges().values()]
    assert len(networks) == 9
    assert not [
        (one, other)
        for position, one in enumerate(networks)
        for other in networks[position + 1 :]
        if one.overlaps(other)
    ]


@given(fitting())
def test_every_range_lies_within_the_base(case: tuple[IPv4Network, int]) -> None:
    base, _ = case
    assert all(IPv4Network(cidr).subnet_of(base) for cidr in planned(*case).ranges().values())


@given(fitting())
def test_every_node_gets_its_pods_and_an_address_on_every_nic(case: tuple[IPv4Network, int]) -> None:
    _, nodes = case
    result = planned(*case)
    needed = nodes + addresses.SYSTEM_NODES
    assert IPv4Network(result.pods).num_addresses >= 256 * needed
    for subnet in (result.nodes, result.gvnic, *result.rdma):
        assert IPv4Network(subnet).num_addresses - 4 >= needed


@given(fitting(), st.data())
def test_a_larger_maximum_moves_no_range(case: tuple[IPv4Network, int], data: st.DataObject) -> None:
    base, nodes = case
    more = data.draw(st.integers(nodes, most_nodes(base)))
    assert planned(base, nodes).ranges() == planned(base, more).ranges()


@given(fitting())
def test_sizes_are_those_gke_accepts(case: tuple[IPv4Network, int]) -> None:
    result = planned(*case)
    assert IPv4Network(result.control_plane).prefixlen == 28
    assert 16 <= IPv4Network(result.services).prefixlen <= 27
    assert IPv4Network(result.pods).prefixlen >= 9


@given(bases())
def test_a_base_that_is_too_small_is_refused_and_the_fix_works(base: IPv4Network) -> None:
    too_many = max(1, most_nodes(base) + 1)
    with pytest.raises(AddressPlanError) as refusal:
        planned(base, too_many)
    message = str(refusal.value)
    assert str(base) in message
    advised = int(message.rpartition("base of /")[2].split()[0])
    assert advised < base.prefixlen
    if advised >= 8:
        assert plan(f"10.0.0.0/{advised}", too_many).capacity() >= too_many


def test_the_default_base_carries_64_domains() -> None:
    result = plan(addresses.DEFAULT_BASE, addresses.MAX_A4X_NODES)
    assert addresses.MAX_A4X_NODES == 64 * A4X.nodes_per_domain == 1152
    assert result.capacity() >= 1152 + addresses.SYSTEM_NODES


def test_the_default_base_keeps_clear_of_the_default_network() -> None:
    assert not overlaps({"base": addresses.DEFAULT_BASE, "default network": "10.128.0.0/9"})


def test_the_plan_of_the_default_base_is_this_one() -> None:
    """These addresses are in use once a cluster stands: a change of the arithmetic would try to move them."""
    assert plan("10.16.0.0/12", 1152).ranges() == {
        "nodes": "10.16.0.0/16",
        "services": "10.17.0.0/16",
        "gvnic": "10.18.0.0/16",
        "control_plane": "10.19.0.0/28",
        "rdma-0": "10.20.0.0/16",
        "rdma-1": "10.21.0.0/16",
        "rdma-2": "10.22.0.0/16",
        "rdma-3": "10.23.0.0/16",
        "pods": "10.24.0.0/13",
    }


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(8, 20)), min_size=2, max_size=6))
def test_overlaps_names_both_ranges_of_every_pair_and_only_those(cuts: list[tuple[int, int]]) -> None:
    ranges = {
        f"range-{index}": str(IPv4Network((int(IPv4Network("10.0.0.0/8")[0]) + (octet << 16), prefix), strict=False))
        for index, (octet, prefix) in enumerate(cuts)
    }
    messages = overlaps(ranges)
    names = list(ranges)
    for position, one in enumerate(names):
        for other in names[position + 1 :]:
            meet = ipaddress.ip_network(ranges[one]).overlaps(ipaddress.ip_network(ranges[other]))
            said = [m for m in messages if f"{one} ({ranges[one]})" in m and f"{other} ({ranges[other]})" in m]
            assert len(said) == (1 if meet else 0)


def test_given_ranges_take_the_place_of_computed_ones() -> None:
    result = plan(
        "10.16.0.0/12",
        1152,
        {"pods": "100.64.0.0/13", "rdma": "192.168.128.0/17", "control_plane": "172.16.0.32/28"},
    )
    assert result.pods == "100.64.0.0/13"
    assert result.control_plane == "172.16.0.32/28"
    assert result.rdma == ("192.168.128.0/19", "192.168.160.0/19", "192.168.192.0/19", "192.168.224.0/19")
    assert result.nodes == "10.16.0.0/16"


@pytest.mark.parametrize(
    ("base", "nodes", "overrides", "parts"),
    [
        ("8.8.0.0/12", 18, {}, ("addresses.base", "8.8.0.0/12", "network/prefix")),
        ("8.0.0.0/12", 18, {}, ("addresses.base", "8.0.0.0/12", "not a private range", "10.0.0.0/8")),
        ("127.0.0.0/12", 18, {}, ("addresses.base", "not a private range")),
        ("10.1.0.0/12", 18, {}, ("addresses.base", "'10.1.0.0/12'", "host bits", "network/prefix")),
        ("ten", 18, {}, ("addresses.base", "'ten'", "not an IPv4 range")),
        ("10.0.0.0/24", 18, {}, ("addresses.base", "10.0.0.0/24", "do not fit", "/17 or larger")),
        ("10.16.0.0/12", 0, {}, ("addresses.max_nodes", "0", "at least one")),
        ("10.16.0.0/12", 18, {"pod": "10.0.0.0/16"}, ("addresses.pod", "no range of this name", "pods")),
        ("10.16.0.0/12", 18, {"pods": "9.0.0.0/16"}, ("addresses.pods", "9.0.0.0/16", "not a private range")),
        ("10.16.0.0/12", 18, {"control_plane": "172.16.0.0/24"}, ("addresses.control_plane", "/28")),
        ("10.16.0.0/12", 18, {"services": "10.0.0.0/28"}, ("addresses.services", "/16 to a /27")),
        ("10.16.0.0/12", 18, {"rdma": "10.0.0.0/28"}, ("addresses.rdma", "10.0.0.0/28", "/27 or larger")),
        ("10.16.0.0/12", 18, {"pods": "10.16.0.0/14"}, ("nodes (10.16.0.0/16)", "pods (10.16.0.0/14)")),
        ("10.16.0.0/12", 18, {"gvnic": "192.168.0.0/28"}, ("12 nodes", "18 A4X nodes")),
    ],
)
def test_a_refusal_names_key_value_rule_and_fix(
    base: str, nodes: int, overrides: dict[str, str], parts: tuple[str, ...]
) -> None:
    with pytest.raises(AddressPlanError) as refusal:
        plan(base, nodes, overrides)
    for part in parts:
        assert part in str(refusal.value)

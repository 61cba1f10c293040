"""The address plan: nothing overlaps, everything fits, nothing moves when a cluster grows."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import addresses
from reference.addresses import AddressPlan, AddressPlanError, plan

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
    """The plan of a base range."""
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
    advised = int(message.rpartition("range of /")[2].split()[0])
    assert advised < base.prefixlen
    if advised >= 8:
        assert plan(f"10.0.0.0/{advised}", too_many).capacity() >= too_many


def test_the_default_base_carries_64_domains() -> None:
    assert plan(addresses.DEFAULT_BASE, 64 * 18).capacity() >= 64 * 18 + addresses.SYSTEM_NODES


def test_the_default_base_keeps_clear_of_the_default_network() -> None:
    assert not IPv4Network(addresses.DEFAULT_BASE).overlaps(IPv4Network("10.128.0.0/9"))


def test_a_small_range_is_enough_for_one_domain() -> None:
    assert plan("10.16.0.0/16", 18).capacity() == 128


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


def test_a_range_without_room_for_another_domain_is_warned_about() -> None:
    assert "carries 32 A4X nodes" in str(addresses.warning("10.0.0.0/17", 18))
    assert addresses.warning("10.0.0.0/16", 18) is None


@pytest.mark.parametrize(
    ("base", "parts"),
    [
        ("8.8.0.0/12", ("cluster.network.addressRange", "8.8.0.0/12", "network/prefix")),
        ("8.0.0.0/12", ("8.0.0.0/12", "not a private range", "10.0.0.0/8")),
        ("127.0.0.0/12", ("not a private range",)),
        ("10.1.0.0/12", ("'10.1.0.0/12'", "host bits", "network/prefix")),
        ("ten", ("'ten'", "not an IPv4 range")),
        ("10.0.0.0/24", ("10.0.0.0/24", "do not fit", "/17 or larger")),
        ("10.0.0.0/18", ("10.0.0.0/18", "carries 32 nodes", "18 A4X nodes", "/17 or larger")),
    ],
)
def test_a_refusal_names_key_value_rule_and_fix(base: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(AddressPlanError) as refusal:
        plan(base, 18)
    for part in parts:
        assert part in str(refusal.value)

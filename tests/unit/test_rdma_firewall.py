"""Machines without the nodes' tag do not reach their RDMA addresses."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.recorder import Recording, run_program

TAG, VALUE = "tagKeys/1", "tagValues/2"
GUARDED: Final[dict[str, Any]] = {
    "metadata": {"secureTags": {TAG: VALUE, "tagKeys/3": "tagValues/4"}},
    "isolation": {"rdmaFirewall": TAG},
}
POLICY, ASSOCIATION = "RegionNetworkFirewallPolicyWithRules", "RegionNetworkFirewallPolicyAssociation"


@pytest.fixture(scope="module")
def guarded() -> Recording:
    return run_program("prod", config=GUARDED)


def test_nodes_are_reached_from_those_with_the_same_tag_and_from_nobody_else(guarded: Recording) -> None:
    policy = guarded.find(POLICY).inputs
    first, last = sorted(policy["rules"], key=lambda rule: rule["priority"])
    assert (policy["policyType"], policy["region"]) == ("RDMA_ROCE_POLICY", "us-central1")
    assert (first["action"], first["match"]["srcSecureTags"]) == ("allow", [{"name": VALUE}])
    assert (last["action"], last["match"]["srcIpRanges"]) == ("deny", ["0.0.0.0/0"])
    for rule in (first, last):
        assert (rule["direction"], rule["match"]["layer4Configs"]) == ("INGRESS", [{"ipProtocol": "all"}])
        assert rule["targetSecureTags"] == [{"name": VALUE}]


def test_every_node_with_an_rdma_nic_has_the_tag_that_lets_it_in(guarded: Recording) -> None:
    [pool] = [pool for pool in guarded.of_type("NodePool") if pool.name.startswith("domain-")]
    assert len(pool.inputs["networkConfig"]["additionalNodeNetworkConfigs"]) == 5
    assert pool.inputs["nodeConfig"]["resourceManagerTags"][TAG] == VALUE


def test_the_firewall_is_in_force_before_a_node_is_there_and_holds_for_the_vpc_of_the_rdma_nics(
    guarded: Recording,
) -> None:
    association, vpc = guarded.find(ASSOCIATION), guarded.find(name="foundation-devices-rdma-us-central1-b")
    assert {guarded.find(POLICY).urn, vpc.urn} <= association.dependencies
    assert guarded.depends_on_transitively(guarded.find(name="domain-a4x-0-pool"), association)


def test_tags_alone_make_no_firewall() -> None:
    recording = run_program("prod", config={"metadata": GUARDED["metadata"]})
    assert recording.of_type(POLICY) + recording.of_type(ASSOCIATION) == []

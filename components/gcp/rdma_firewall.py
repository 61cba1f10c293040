"""A firewall policy of a RoCE VPC, which takes neither VPC firewall rules nor global or hierarchical policies."""

from __future__ import annotations

from typing import Final, TypedDict

import pulumi
import pulumi_gcp as gcp

from reference import gke

Rule = gcp.compute.RegionNetworkFirewallPolicyWithRulesRuleArgsDict
Match = gcp.compute.RegionNetworkFirewallPolicyWithRulesRuleMatchArgsDict

_EVERYBODY: Final = "0.0.0.0/0"
"""The only source range that such a policy takes (Cloud NGFW for RoCE VPC networks)."""


class RdmaFirewallArgs(TypedDict):
    """Inputs of an `RdmaFirewall`."""

    project: pulumi.Input[str]
    """Id of the project."""
    region: str
    """Region of the zone of the VPC's network profile."""
    cluster: str
    """Name of the cluster."""
    vpc: str
    """Name of the VPC, which policy and association have too."""
    network: pulumi.Input[str]
    """Path of the VPC."""
    tag: str
    """Id of the value of the secure tag that the nodes have, as tagValues/ID."""


class RdmaFirewall(pulumi.ComponentResource):
    """Nodes with the tag are reached from each other alone.

    The policy is stateless, and one rule allows both directions, since all nodes are source and target. It is changed
    as a whole: a node is never denied what another rule has yet to allow. Egress stays open, and so do machines without
    the tag, which are others'.
    """

    association: pulumi.Output[str]
    """Name of the association, known once the policy is in force."""

    def __init__(self, name: str, args: RdmaFirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:RdmaFirewall", name, {}, opts)
        # As the VPC: every replacement has another name.
        created_first = pulumi.ResourceOptions(parent=self, delete_before_replace=False)
        tag = args["tag"]
        every: Match = {"layer4_configs": [{"ip_protocol": "all"}]}
        policy = gcp.compute.RegionNetworkFirewallPolicyWithRules(
            f"{name}-policy",
            project=args["project"],
            region=args["region"],
            name=args["vpc"],
            description=f"Who reaches the CX-7 NICs of the A4X nodes {gke.of_cluster(args['cluster'])}",
            policy_type="RDMA_ROCE_POLICY",
            rules=[
                _rule(1000, "allow", "nodes of the cluster", tag, {**every, "src_secure_tags": [{"name": tag}]}),
                _rule(2000, "deny", "everybody else", tag, {**every, "src_ip_ranges": [_EVERYBODY]}),
            ],
            opts=created_first,
        )
        self.association = gcp.compute.RegionNetworkFirewallPolicyAssociation(
            f"{name}-association",
            project=args["project"],
            region=args["region"],
            name=args["vpc"],
            firewall_policy=policy.id,
            attachment_target=args["network"],
            opts=created_first,
        ).name
        self.register_outputs({"association": self.association})


def _rule(priority: int, action: str, description: str, tag: str, match: Match) -> Rule:
    return {
        "priority": priority,
        "action": action,
        "direction": "INGRESS",
        "description": description,
        "match": match,
        "target_secure_tags": [{"name": tag}],
    }

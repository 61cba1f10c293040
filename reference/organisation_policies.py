"""Organisation policies that something of this program can violate, and the key of the config that keeps to each.

What the program always sets (Shielded VMs, private nodes, uniform bucket access, no account keys, Workload Identity)
keeps to its policy whatever the config says, and is not listed. `[inferred]` in a text marks what no document says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Concern = Literal[
    "accounts of nodes",
    "accounts of pods",
    "another project's account",
    "secrets without a key",
    "no security group",
    "control plane by IP address",
    "dataplane v2",
    "services without a key",
    "projects of keys",
    "nat",
    "subnets without flow logs",
    "host project",
    "shared subnetworks",
    "nodes that forward packets",
    "images of nodes",
    "machines without confidential computing",
    "apis",
    "locations",
    "principals of pods",
    "serial port",
]
"""What of an environment a policy is about."""

NODE_IMAGES: Final = "projects/gke-node-images"
"""The project with the images of GKE's nodes [inferred]."""


@dataclass(frozen=True)
class Constraint:
    """One policy, as far as this program is concerned."""

    name: str
    """Name without `constraints/`."""
    concern: Concern
    hits: str
    """What would be refused."""
    fix: str
    """The key that keeps to the policy, or the exception that is needed."""
    certain: bool = True
    """Whether a violation is sure to be refused."""


CONSTRAINTS: Final[Sequence[Constraint]] = (
    Constraint(
        "iam.disableServiceAccountCreation",
        "accounts of nodes",
        "the service account of the nodes",
        "set identities.nodeServiceAccount",
    ),
    Constraint(
        "iam.disableServiceAccountCreation",
        "accounts of pods",
        "the Google service accounts of pods",
        "set workloadIdentity: direct, or identities.modelReader and identities.modelWriter",
    ),
    Constraint(
        "iam.disableCrossProjectServiceAccountUsage",
        "another project's account",
        "nodes that run as an account of another project",
        "choose an identities.nodeServiceAccount of this project",
        # The account's own project decides, whose policy may be another.
        certain=False,
    ),
    Constraint(
        "container.managed.enableSecretsEncryption",
        "secrets without a key",
        "a cluster whose Secrets are encrypted with Google's key",
        "set encryption.secrets",
    ),
    Constraint(
        "container.managed.enableGoogleGroupsRBAC",
        "no security group",
        "a cluster without Google Groups for RBAC",
        "set cluster.securityGroup",
    ),
    Constraint(
        "container.managed.enableControlPlaneDNSOnlyAccess",
        "control plane by IP address",
        "a control plane that has an IP endpoint",
        "set cluster.endpoint: dns-only",
    ),
    Constraint(
        "container.managed.enableNetworkPolicy",
        "dataplane v2",
        "a cluster of Dataplane V2, which enforces NetworkPolicies without that field [inferred]",
        "if the cluster is refused, have an exception for the project",
        certain=False,
    ),
    Constraint(
        "gcp.restrictNonCmekServices",
        "services without a key",
        "what is created there with Google's key",
        "set encryption.disks, volumes, secrets and bucket",
    ),
    Constraint(
        "gcp.restrictCmekCryptoKeyProjects",
        "projects of keys",
        "keys of these projects",
        "name keys of a project that the policy allows",
    ),
    Constraint(
        "compute.restrictCloudNATUsage",
        "nat",
        "the Cloud NAT of the cluster's network",
        "set cluster.network.nat: none, or use networks of the network team (mode: adopt)",
    ),
    Constraint(
        "compute.requireVpcFlowLogs",
        "subnets without flow logs",
        "the subnets of the cluster and of its NICs",
        "use networks of the network team: cluster.network, cluster.deviceNetworks",
    ),
    Constraint(
        "compute.restrictSharedVpcHostProjects",
        "host project",
        "the host project of the cluster's networks",
        "have it allowed, or name networks of a host project that is",
    ),
    Constraint(
        "compute.restrictSharedVpcSubnetworks",
        "shared subnetworks",
        "subnetworks of the nodes",
        "have all of them allowed: of eth0 and of the five other NICs",
    ),
    Constraint(
        "compute.vmCanIpForward",
        "nodes that forward packets",
        "every GKE node, which forwards the packets of its pods",
        "have an exception for the project",
    ),
    Constraint(
        "compute.trustedImageProjects",
        "images of nodes",
        f"the images of GKE's nodes [inferred], of {NODE_IMAGES}",
        f"if nodes are refused, have {NODE_IMAGES} allowed",
        certain=False,
    ),
    Constraint(
        "compute.restrictNonConfidentialComputing",
        "machines without confidential computing",
        "the nodes: A4X has no confidential form [inferred]",
        "have an exception for the project",
    ),
    Constraint(
        "gcp.restrictServiceUsage",
        "apis",
        "APIs that the program uses",
        "have them allowed",
    ),
    Constraint(
        "gcp.resourceLocations",
        "locations",
        "everything in this region",
        "set gcp:region to a region that is allowed and has the reservation, or have it allowed",
    ),
    Constraint(
        "iam.allowedPolicyMemberDomains",
        "principals of pods",
        "roles of the cluster's workload identity pool, which belongs to no domain [inferred]",
        "if the grant is refused, set workloadIdentity: serviceAccount",
        certain=False,
    ),
    Constraint(
        "compute.disableSerialPortLogging",
        "serial port",
        "the kernel's log, in which faulty GPUs report their Xid",
        "have an exception for the project, or watch DCGM's metrics",
        certain=False,
    ),
)

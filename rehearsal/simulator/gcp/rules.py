"""Rules of the Google Cloud kinds that the program uses: names, references, replacements, deletion blockers.

Kinds without an entry are still supported (their fields are known from the SDK), only without rules of their own. Which
changes replace an object follows the Terraform provider's `ForceNew` fields; rules about order follow the services'
errors (resource in use, not found, already exists).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CLUSTER = "gcp:container/cluster:Cluster"
NODE_POOL = "gcp:container/nodePool:NodePool"
NETWORK = "gcp:compute/network:Network"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
FIREWALL = "gcp:compute/firewall:Firewall"
FIREWALL_POLICY = "gcp:compute/regionNetworkFirewallPolicyWithRules:RegionNetworkFirewallPolicyWithRules"
FIREWALL_ASSOCIATION = "gcp:compute/regionNetworkFirewallPolicyAssociation:RegionNetworkFirewallPolicyAssociation"
ROUTER = "gcp:compute/router:Router"
ROUTER_NAT = "gcp:compute/routerNat:RouterNat"
RESOURCE_POLICY = "gcp:compute/resourcePolicy:ResourcePolicy"
ADDRESS = "gcp:compute/address:Address"
ACCOUNT = "gcp:serviceaccount/account:Account"
ACCOUNT_MEMBER = "gcp:serviceaccount/iAMMember:IAMMember"
PROJECT_MEMBER = "gcp:projects/iAMMember:IAMMember"
SUBNETWORK_MEMBER = "gcp:compute/subnetworkIAMMember:SubnetworkIAMMember"
PROJECT_SERVICE = "gcp:projects/service:Service"
BUCKET = "gcp:storage/bucket:Bucket"
BUCKET_OBJECT = "gcp:storage/bucketObject:BucketObject"
BUCKET_MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
ANYWHERE_CACHE = "gcp:storage/anywhereCache:AnywhereCache"
REPOSITORY = "gcp:artifactregistry/repository:Repository"
KEY_RING = "gcp:kms/keyRing:KeyRing"
CRYPTO_KEY = "gcp:kms/cryptoKey:CryptoKey"
KEY_MEMBER = "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
IDENTITY_POOL = "gcp:iam/workloadIdentityPool:WorkloadIdentityPool"
IDENTITY_PROVIDER = "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider"
MANAGED_ZONE = "gcp:dns/managedZone:ManagedZone"
RECORD_SET = "gcp:dns/recordSet:RecordSet"
CUSTOM_ROLE = "gcp:projects/iAMCustomRole:IAMCustomRole"

_COMPUTE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_GKE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_ACCOUNT_ID = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")
_BUCKET_NAME = re.compile(r"[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]")
_KMS_NAME = re.compile(r"[a-zA-Z0-9_-]{1,63}")
_POOL_ID = re.compile(r"(?!gcp-)[a-z0-9-]{4,32}")
_ZONE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_ROLE_ID = re.compile(r"[a-zA-Z0-9_.]{3,64}")

NAME_RULES: dict[str, tuple[str, re.Pattern[str], str]] = {
    CLUSTER: ("name", _GKE_NAME, "1-40 lower-case letters, digits and hyphens, starting with a letter"),
    NODE_POOL: ("name", _GKE_NAME, "1-40 lower-case letters, digits and hyphens, starting with a letter"),
    ACCOUNT: (
        "accountId",
        _ACCOUNT_ID,
        "6-30 lower-case letters, digits and hyphens, starting with a letter",
    ),
    BUCKET: ("name", _BUCKET_NAME, "3-63 lower-case letters, digits, hyphens, underscores and dots"),
    # Cloud KMS reference, keyRings.create and cryptoKeys.create.
    KEY_RING: ("name", _KMS_NAME, "1-63 letters, digits, hyphens and underscores"),
    CRYPTO_KEY: ("name", _KMS_NAME, "1-63 letters, digits, hyphens and underscores"),
    # The SDK's documentation of both ids.
    IDENTITY_POOL: (
        "workloadIdentityPoolId",
        _POOL_ID,
        "4-32 lower-case letters, digits and hyphens, and does not start with gcp-",
    ),
    IDENTITY_PROVIDER: (
        "workloadIdentityPoolProviderId",
        _POOL_ID,
        "4-32 lower-case letters, digits and hyphens, and does not start with gcp-",
    ),
    # Cloud DNS reference, ManagedZone.
    MANAGED_ZONE: ("name", _ZONE_NAME, "1-63 lower-case letters, digits and hyphens, starting with a letter"),
    # IAM reference, projects.roles.create: no hyphens.
    CUSTOM_ROLE: ("roleId", _ROLE_ID, "3-64 letters, digits, underscores and dots"),
    **dict.fromkeys(
        (NETWORK, SUBNETWORK, FIREWALL, FIREWALL_POLICY, ROUTER, ROUTER_NAT, RESOURCE_POLICY, ADDRESS),
        ("name", _COMPUTE_NAME, "1-63 lower-case letters, digits and hyphens, starting with a letter"),
    ),
}
"""kind -> field, pattern for the whole value, and the pattern in words."""


@dataclass(frozen=True)
class Reference:
    """A reference to another kind: the target must exist, and usually cannot be deleted while it is referenced."""

    path: str
    """Dotted path of the field; `[]` means every element of a list."""
    kind: str
    holds: bool = True
    """Whether the target cannot be deleted while this object exists."""


@dataclass(frozen=True)
class Rule:
    """The service's rules for one kind."""

    id: str
    """Format of the id, from the inputs and the provider's project and region."""
    replaces: tuple[str, ...] | None = None
    """Fields whose change replaces the object; None: all."""
    references: tuple[Reference, ...] = ()
    reordered: tuple[str, ...] = ()
    """Ordered lists that the service returns in an order of its own (E9), which the plugin sees as a change."""
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Defaults that the plugin adds to the inputs (E15)."""
    same_by_name: tuple[str, ...] = ()
    """Fields in which a bare name counts as any path that ends with it (the plugin's CompareSelfLinkOrResourceName):
    a move from one project's network to another's of the same name is no change."""
    kept: tuple[str, ...] = ()
    """Optional fields that the service answers with too: not giving one any more keeps it as it is."""
    autoname: str = "name"
    """The field that is generated from the logical name if it is not given; empty: none."""


RULES: dict[str, Rule] = {
    CLUSTER: Rule(
        "projects/{project}/locations/{location}/clusters/{name}",
        (
            "name",
            "project",
            "location",
            "datapathProvider",
            "networkingMode",
            "network",
            "subnetwork",
            "initialNodeCount",
            "nodeConfig",
            "ipAllocationPolicy",
            "defaultMaxPodsPerNode",
            "privateClusterConfig.masterIpv4CidrBlock",
            "privateClusterConfig.privateEndpointSubnetwork",
        ),
        (
            Reference("network", NETWORK),
            Reference("subnetwork", SUBNETWORK),
            Reference("privateClusterConfig.privateEndpointSubnetwork", SUBNETWORK),
        ),
        same_by_name=("network", "subnetwork", "privateClusterConfig.privateEndpointSubnetwork"),
        kept=(
            "anonymousAuthenticationConfig",
            "controlPlaneEndpointsConfig.ipEndpointsConfig",
            "privateClusterConfig.masterIpv4CidrBlock",
            "rbacBindingConfig",
        ),
        reordered=("monitoringConfig.enableComponents", "loggingConfig.enableComponents"),
    ),
    NODE_POOL: Rule(
        "projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{name}",
        (
            "name",
            "project",
            "location",
            "cluster",
            "initialNodeCount",
            "maxPodsPerNode",
            "placementPolicy",
            "networkConfig.additionalNodeNetworkConfigs",
            "networkConfig.additionalPodNetworkConfigs",
            "networkConfig.acceleratorNetworkProfile",
            "networkConfig.podRange",
            "nodeConfig.reservationAffinity",
            "nodeConfig.guestAccelerators",
            "nodeConfig.ephemeralStorageLocalSsdConfig",
            "nodeConfig.localNvmeSsdBlockConfig",
            "nodeConfig.localSsdCount",
            "nodeConfig.serviceAccount",
            "nodeConfig.oauthScopes",
            "nodeConfig.spot",
            "nodeConfig.preemptible",
            "nodeConfig.shieldedInstanceConfig",
            "nodeConfig.bootDiskKmsKey",
            "nodeConfig.metadata",
            "nodeConfig.minCpuPlatform",
            "nodeConfig.advancedMachineFeatures",
            "nodeConfig.hostMaintenancePolicy",
        ),
        (
            Reference("cluster", CLUSTER),
            Reference("placementPolicy.policyName", RESOURCE_POLICY),
            Reference("networkConfig.additionalNodeNetworkConfigs[].network", NETWORK),
            Reference("networkConfig.additionalNodeNetworkConfigs[].subnetwork", SUBNETWORK),
        ),
    ),
    NETWORK: Rule(
        "projects/{project}/global/networks/{name}",
        ("name", "project", "networkProfile", "autoCreateSubnetworks", "description", "internalIpv6Range"),
        defaults={"networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL"},
    ),
    SUBNETWORK: Rule(
        "projects/{project}/regions/{region}/subnetworks/{name}",
        ("name", "project", "region", "network", "description", "purpose"),
        (Reference("network", NETWORK),),
    ),
    FIREWALL: Rule(
        "projects/{project}/global/firewalls/{name}",
        ("name", "project", "network", "direction"),
        (Reference("network", NETWORK),),
        defaults={"priority": 1000},
    ),
    # The type is set once (terraform-provider-google issue 23233); a policy with an association is not deleted (gcloud
    # reference, compute network-firewall-policies delete). That an association holds its network is [inferred].
    FIREWALL_POLICY: Rule(
        "projects/{project}/regions/{region}/firewallPolicies/{name}",
        ("name", "project", "region", "policyType"),
        defaults={"policyType": "VPC_POLICY"},
    ),
    FIREWALL_ASSOCIATION: Rule(
        "projects/{project}/regions/{region}/firewallPolicies/{firewallPolicy}/associations/{name}",
        references=(Reference("firewallPolicy", FIREWALL_POLICY), Reference("attachmentTarget", NETWORK)),
    ),
    ROUTER: Rule(
        "projects/{project}/regions/{region}/routers/{name}",
        ("name", "project", "region", "network"),
        (Reference("network", NETWORK),),
    ),
    ROUTER_NAT: Rule(
        "{project}/{region}/{router}/{name}",
        ("name", "project", "region", "router"),
        (Reference("router", ROUTER),),
        defaults={
            "type": "PUBLIC",
            "udpIdleTimeoutSec": 30,
            "icmpIdleTimeoutSec": 30,
            "tcpEstablishedIdleTimeoutSec": 1200,
            "tcpTransitoryIdleTimeoutSec": 30,
            "tcpTimeWaitTimeoutSec": 120,
        },
    ),
    RESOURCE_POLICY: Rule("projects/{project}/regions/{region}/resourcePolicies/{name}"),
    ADDRESS: Rule("projects/{project}/regions/{region}/addresses/{name}"),
    ACCOUNT: Rule(
        "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com",
        ("accountId", "project"),
        autoname="",
    ),
    ACCOUNT_MEMBER: Rule(
        "{serviceAccountId}/{role}/{member}",
        references=(Reference("serviceAccountId", ACCOUNT, holds=False),),
        autoname="",
    ),
    PROJECT_MEMBER: Rule("{project}/{role}/{member}", autoname=""),
    SUBNETWORK_MEMBER: Rule(
        "projects/{project}/regions/{region}/subnetworks/{subnetwork}/{role}/{member}",
        references=(Reference("subnetwork", SUBNETWORK, holds=False),),
        autoname="",
    ),
    PROJECT_SERVICE: Rule("{project}/{service}", ("project", "service"), autoname=""),
    BUCKET: Rule(
        "{name}",
        ("name", "project", "location", "hierarchicalNamespace", "customPlacementConfig"),
    ),
    BUCKET_OBJECT: Rule(
        "{bucket}-{name}",
        ("name", "bucket"),
        (Reference("bucket", BUCKET, holds=False),),
    ),
    BUCKET_MEMBER: Rule(
        "b/{bucket}/{role}/{member}",
        references=(Reference("bucket", BUCKET, holds=False),),
        autoname="",
    ),
    ANYWHERE_CACHE: Rule(
        "{bucket}/{zone}",
        ("bucket", "zone"),
        (Reference("bucket", BUCKET),),
        autoname="",
    ),
    REPOSITORY: Rule(
        "projects/{project}/locations/{location}/repositories/{repositoryId}",
        ("repositoryId", "project", "location", "format", "mode"),
        autoname="",
    ),
    KEY_RING: Rule("projects/{project}/locations/{location}/keyRings/{name}"),
    CRYPTO_KEY: Rule(
        "{keyRing}/cryptoKeys/{name}",
        ("name", "keyRing", "purpose", "importOnly", "destroyScheduledDuration", "cryptoKeyBackend"),
        (Reference("keyRing", KEY_RING, holds=False),),
        defaults={"purpose": "ENCRYPT_DECRYPT"},
    ),
    KEY_MEMBER: Rule(
        "{cryptoKeyId}/{role}/{member}",
        references=(Reference("cryptoKeyId", CRYPTO_KEY, holds=False),),
        autoname="",
    ),
    IDENTITY_POOL: Rule(
        "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}",
        ("workloadIdentityPoolId", "project", "mode"),
        autoname="",
    ),
    IDENTITY_PROVIDER: Rule(
        "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}/providers/"
        "{workloadIdentityPoolProviderId}",
        ("workloadIdentityPoolId", "workloadIdentityPoolProviderId", "project"),
        (Reference("workloadIdentityPoolId", IDENTITY_POOL, holds=False),),
        autoname="",
    ),
    # A zone with records of its own, beside those of its name servers, is not deleted (Cloud DNS reference,
    # managedZones.delete: containerNotEmpty).
    MANAGED_ZONE: Rule(
        "projects/{project}/managedZones/{name}",
        ("name", "project", "dnsName", "visibility"),
        (Reference("privateVisibilityConfig.networks[].networkUrl", NETWORK, holds=False),),
    ),
    RECORD_SET: Rule(
        "projects/{project}/managedZones/{managedZone}/rrsets/{name}/{type}",
        ("name", "type", "project", "managedZone"),
        (Reference("managedZone", MANAGED_ZONE),),
        autoname="",
    ),
    CUSTOM_ROLE: Rule(
        "projects/{project}/roles/{roleId}",
        ("roleId", "project"),
        defaults={"stage": "GA"},
        autoname="",
    ),
}

ADDITIVE = frozenset({ACCOUNT_MEMBER, PROJECT_MEMBER, SUBNETWORK_MEMBER, PROJECT_SERVICE, BUCKET_MEMBER, KEY_MEMBER})
"""Kinds that can be created twice: for an existing grant or API, the existing one is returned."""
UNDELETABLE = frozenset({KEY_RING, CRYPTO_KEY})
"""Kinds that stay for ever: the plugin only forgets a key ring, and destroys the versions of a key (SDK documentation
of both). Their names are never free again, and what stays can be imported."""
SOFT_DELETED = frozenset({IDENTITY_POOL, IDENTITY_PROVIDER})
"""Kinds that are in state DELETED for about 30 days, in which their ids cannot be used again (SDK documentation of
`state`; creating one fails with 409: terraform-provider-google issue 14191), and which the plugin takes for gone."""
MACHINE_A4X = "a4x-highgpu-4g"
"""Machine type prefix of the GB200 NVL72 nodes, with 4 GPUs each."""
NODES_PER_DOMAIN = 18
"""Machines of one 1x72 workload policy."""
TOPOLOGY_NVL72 = "1x72"
"""The accelerator topology of one NVLink domain."""


def short(reference: str) -> str:
    """The last segment of a name, an id or a self link."""
    return reference.rstrip("/").rsplit("/", 1)[-1]

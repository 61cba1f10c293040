"""The cluster, its node pools and the bucket, as GKE's hardening guide (CIS GKE benchmark 1.4) has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from policy.rule import UNKNOWN, Check, Finding, Resource, Rule, Run, Settings, at, differs, items, shown

CLUSTER: Final = "gcp:container/cluster:Cluster"
NODE_POOL: Final = "gcp:container/nodePool:NodePool"
BUCKET: Final = "gcp:storage/bucket:Bucket"

_Judge = Callable[[Resource], Iterator[Finding]]


def _of(judge: _Judge, *types: str) -> Check:
    """A check of some types of resources that looks at nothing else."""

    def check(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
        if resource.type in types:
            yield from judge(resource)

    return check


def _wanted(path: str, *allowed: Any, fix: str, resource: Resource) -> Iterator[Finding]:
    if differs(resource, path, *allowed):
        yield Finding(shown(resource, path), fix)


def _must(path: str, *allowed: Any, fix: str) -> _Judge:
    """An input must have one of these values."""
    return lambda resource: _wanted(path, *allowed, fix=fix, resource=resource)


def _private_nodes(resource: Resource) -> Iterator[Finding]:
    path = "networkConfig" if resource.type == NODE_POOL else "privateClusterConfig"
    # A pool that says nothing is like its cluster.
    allowed = (True, None) if resource.type == NODE_POOL else (True,)
    yield from _wanted(f"{path}.enablePrivateNodes", *allowed, fix="Set it to true", resource=resource)


def _authorized_networks(resource: Resource) -> Iterator[Finding]:
    config = at(resource.inputs, "masterAuthorizedNetworksConfig")
    if config is None:
        yield Finding(
            "masterAuthorizedNetworksConfig is not set, so the control plane's IP address is open to everybody",
            "Set it; an empty list lets nobody in, and the DNS endpoint still works",
        )
    for block in items(at(config, "cidrBlocks")):
        # Half of the internet, twice, is all of it.
        if re.search(r"/[0-7]$", str(at(block, "cidrBlock"))):
            yield Finding(f"cidrBlock = {at(block, 'cidrBlock')}", "List the ranges that need access")
    yield from _wanted(
        "masterAuthorizedNetworksConfig.gcpPublicCidrsAccessEnabled",
        False,
        None,
        fix="Set it to false",
        resource=resource,
    )


def _workload_identity(resource: Resource) -> Iterator[Finding]:
    if resource.type == CLUSTER and at(resource.inputs, "workloadIdentityConfig.workloadPool") is None:
        yield Finding("workloadIdentityConfig.workloadPool is not set", "Set it to PROJECT.svc.id.goog")
    if resource.type == NODE_POOL:
        yield from _wanted(
            "nodeConfig.workloadMetadataConfig.mode",
            "GKE_METADATA",
            resource=resource,
            fix="Set it to GKE_METADATA, or every pod can act as the node",
        )


def _node_account(resource: Resource) -> Iterator[Finding]:
    account = at(resource.inputs, "nodeConfig.serviceAccount")
    if account is not UNKNOWN and (
        account in (None, "", "default") or str(account).endswith("-compute@developer.gserviceaccount.com")
    ):
        yield Finding(
            shown(resource, "nodeConfig.serviceAccount"),
            "Use an account of the nodes' own with the roles of NodeAccount; the project's default one may do far more",
        )


def _shielded(resource: Resource) -> Iterator[Finding]:
    if resource.type == CLUSTER:
        # On by default.
        yield from _wanted("enableShieldedNodes", True, None, fix="Set it to true", resource=resource)
        return
    for part in ("enableSecureBoot", "enableIntegrityMonitoring"):
        path = f"nodeConfig.shieldedInstanceConfig.{part}"
        yield from _wanted(path, True, fix="Set it to true", resource=resource)


def _monitoring(resource: Resource) -> Iterator[Finding]:
    path = "monitoringConfig.managedPrometheus.enabled"
    yield from _wanted(path, True, fix="Set it to true", resource=resource)
    components = at(resource.inputs, "monitoringConfig.enableComponents")
    if components is not UNKNOWN and not {"DCGM", UNKNOWN} & {*(components or [])}:
        yield Finding("monitoringConfig.enableComponents has no DCGM", "Add it, or nobody sees the GPUs' errors")


def _bucket_access(resource: Resource) -> Iterator[Finding]:
    yield from _wanted("uniformBucketLevelAccess", True, fix="Set it to true", resource=resource)
    yield from _wanted("publicAccessPrevention", "enforced", fix='Set it to "enforced"', resource=resource)


def _bucket_region(resource: Resource) -> Iterator[Finding]:
    region, location = at(resource.provider and resource.provider.inputs, "region"), at(resource.inputs, "location")
    if isinstance(region, str) and isinstance(location, str) and region.lower() != location.lower():
        yield Finding(
            f"location = {location}, gcp:region = {region}",
            "Weights load slowly across regions and egress is charged: put the bucket where the nodes are",
        )


def _maintenance(resource: Resource) -> Iterator[Finding]:
    exclusions = at(resource.inputs, "maintenancePolicy.maintenanceExclusions")
    scopes = {at(exclusion, "exclusionOptions.scope") for exclusion in items(exclusions)}
    if exclusions is not UNKNOWN and not scopes & {"NO_MINOR_OR_NODE_UPGRADES", "NO_UPGRADES", UNKNOWN}:
        yield Finding(
            "no maintenance exclusion covers node upgrades",
            "A full rack has no spare host: add one of scope NO_MINOR_OR_NODE_UPGRADES and upgrade by hand. (Switching "
            "auto-upgrade off, CIS 5.5.3, is not possible in a release channel.)",
        )


def _customer_key(resource: Resource) -> Iterator[Finding]:
    path = {BUCKET: "encryption.defaultKmsKeyName", NODE_POOL: "nodeConfig.bootDiskKmsKey"}[resource.type]
    if not at(resource.inputs, path):
        yield Finding(f"{path} is not set", "Google's own keys encrypt it; set a Cloud KMS key to control access by it")


def _labelled(resource: Resource) -> Iterator[Finding]:
    path = {CLUSTER: "resourceLabels", NODE_POOL: "nodeConfig.resourceLabels", BUCKET: "labels"}[resource.type]
    if not at(resource.inputs, path):
        yield Finding(f"{path} is not set", "Without labels its cost cannot be told from that of others")


def _versioned(resource: Resource) -> Iterator[Finding]:
    if not at(resource.inputs, "hierarchicalNamespace.enabled"):
        fix = "Set it to true, or an overwritten object is lost (not possible with a hierarchical namespace)"
        yield from _wanted("versioning.enabled", True, fix=fix, resource=resource)


def _bindings(resource: Resource) -> Iterator[Finding]:
    for group in ("Authenticated", "Unauthenticated"):
        path = f"rbacBindingConfig.enableInsecureBindingSystem{group}"
        yield from _wanted(path, False, fix="Set it to false, and name users or groups in bindings", resource=resource)


_CHANNELS: Final = ("RAPID", "REGULAR", "STABLE", "EXTENDED")
_RELEASE_CHANNEL: Final = _must(
    "releaseChannel.channel", *_CHANNELS, fix=f"Choose one of {', '.join(_CHANNELS)}; GKE patches only these in time"
)
_ENCRYPTED_SECRETS: Final = _must(
    "databaseEncryption.state", "ENCRYPTED", fix="Encrypt Kubernetes Secrets in etcd with a Cloud KMS key"
)
_ANONYMOUS: Final = _must(
    "anonymousAuthenticationConfig.mode",
    "LIMITED",
    fix="Set it to LIMITED, with which health checks are still allowed without authentication",
)
_SIGNED: Final = _must(
    "binaryAuthorization.evaluationMode",
    "PROJECT_SINGLETON_POLICY_ENFORCE",
    fix="Let Binary Authorization admit only signed images",
)

RULES: Final = (
    Rule("private-nodes", "Nodes have no public IP addresses.", "mandatory", _of(_private_nodes, CLUSTER, NODE_POOL)),
    Rule(
        "authorized-networks",
        "The control plane's IP address lets only listed networks in.",
        "mandatory",
        _of(_authorized_networks, CLUSTER),
    ),
    Rule(
        "anonymous-requests",
        "Only health checks are allowed without authentication.",
        "mandatory",
        _of(_ANONYMOUS, CLUSTER),
    ),
    Rule(
        "bindings-to-everybody",
        "No role is bound to all authenticated or unauthenticated users.",
        "mandatory",
        _of(_bindings, CLUSTER),
    ),
    Rule(
        "workload-identity",
        "Pods have identities of their own, not the node's.",
        "mandatory",
        _of(_workload_identity, CLUSTER, NODE_POOL),
    ),
    Rule("node-account", "Nodes run as an account of their own.", "mandatory", _of(_node_account, NODE_POOL)),
    Rule("shielded-nodes", "Nodes boot only verified software.", "mandatory", _of(_shielded, CLUSTER, NODE_POOL)),
    Rule("release-channel", "The cluster is in a release channel.", "mandatory", _of(_RELEASE_CHANNEL, CLUSTER)),
    Rule("monitoring", "Managed Prometheus and the GPUs' metrics are on.", "mandatory", _of(_monitoring, CLUSTER)),
    Rule(
        "bucket-access",
        "Buckets have uniform access and refuse public access.",
        "mandatory",
        _of(_bucket_access, BUCKET),
    ),
    Rule("bucket-region", "Buckets are in the region of the nodes.", "mandatory", _of(_bucket_region, BUCKET)),
    Rule("node-upgrades", "Nothing upgrades the nodes unattended.", "advisory", _of(_maintenance, CLUSTER)),
    Rule(
        "customer-managed-keys",
        "Buckets and boot disks are encrypted with a key of the company.",
        "advisory",
        _of(_customer_key, BUCKET, NODE_POOL),
    ),
    Rule(
        "secrets-encryption", "Kubernetes Secrets are encrypted in etcd.", "advisory", _of(_ENCRYPTED_SECRETS, CLUSTER)
    ),
    Rule("binary-authorization", "The cluster admits only signed images.", "advisory", _of(_SIGNED, CLUSTER)),
    Rule(
        "cost-labels",
        "Cluster, node pools and buckets have labels.",
        "advisory",
        _of(_labelled, CLUSTER, NODE_POOL, BUCKET),
    ),
    Rule("bucket-versioning", "Buckets keep overwritten objects.", "advisory", _of(_versioned, BUCKET)),
)

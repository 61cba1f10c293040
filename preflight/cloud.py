"""The interface between checks and cloud.

`Cloud` is its only seam: the checks know nothing of HTTP, libraries or JSON, and implementations nothing of rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Trouble = Literal["missing", "denied", "off", "login", "no answer", "refused"]
"""Why there is no answer: the resource does not exist; the caller lacks permission; the API is disabled in the project;
the credentials are not accepted; network, timeout or an error of the service; the service rejected the request."""


class CloudError(Exception):
    """A failed request. The text is the cloud's own reason, in one line."""

    def __init__(self, trouble: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.trouble: Trouble = trouble


@dataclass(frozen=True)
class Project:
    """A Google Cloud project."""

    number: str
    state: str
    """ACTIVE, or pending deletion."""


@dataclass(frozen=True)
class Reservation:
    """A reservation of machines in one zone."""

    machine_type: str
    count: int
    in_use: int
    specific: bool
    """Whether its machines can be used only by naming the reservation."""
    share: str
    """LOCAL, SPECIFIC_PROJECTS or ORGANIZATION."""
    shared_with: frozenset[str]
    """Ids or numbers of the projects, for SPECIFIC_PROJECTS."""
    status: str
    ends: str
    """RFC 3339 time at which the reservation is deleted; empty: never."""


@dataclass(frozen=True)
class SubBlock:
    """One NVL72 rack of a reservation: up to 18 hosts that share an NVLink fabric."""

    name: str
    count: int
    in_use: int
    health: str
    """HEALTHY, DEGRADED, or empty if unknown."""
    degraded_hosts: int
    degraded_infra: int
    """Faulty parts of the rack other than hosts, such as an NVLink switch."""


@dataclass(frozen=True)
class Quota:
    """A limit and its usage."""

    limit: float
    usage: float

    @property
    def free(self) -> float:
        """What is left."""
        return self.limit - self.usage


@dataclass(frozen=True)
class Network:
    """A VPC network."""

    name: str
    description: str
    profile: str
    """Name of its network profile; empty for an ordinary network."""
    mtu: int = 0
    """Bytes; 0 if unknown."""


@dataclass(frozen=True)
class Subnetwork:
    """A subnetwork of a VPC network."""

    name: str
    network: str
    """Name of its network."""
    range: str
    """Primary range, in CIDR notation."""
    secondary: Mapping[str, str]
    """Secondary ranges by name."""
    private_access: bool
    """Whether VMs without a public address reach Google's APIs."""


@dataclass(frozen=True)
class Versions:
    """GKE versions that one channel offers in one location."""

    default: str
    valid: Sequence[str]


@dataclass(frozen=True)
class NodePool:
    """A node pool."""

    name: str
    status: str
    machine_type: str
    zones: Sequence[str]
    groups: Sequence[str]
    """URLs of its instance groups, one for each zone."""
    additional_networks: int
    accelerator_profile: str
    """`auto` if DRANET attaches the NICs; else empty."""
    labels: Mapping[str, str]
    """Labels of its nodes."""


@dataclass(frozen=True)
class Cluster:
    """A GKE cluster."""

    name: str
    location: str
    status: str
    version: str
    datapath: str
    calico: bool
    """Whether the Calico add-on enforces NetworkPolicies."""
    multi_networking: bool
    workload_pool: str
    gcs_fuse: bool
    labels: Mapping[str, str]
    host: str
    """Host of its Kubernetes API, without a scheme."""
    ca_certificate: str
    """CA of the API's certificate, in base64; empty for a public CA (the DNS endpoint)."""
    pools: Mapping[str, NodePool]


@dataclass(frozen=True)
class Node:
    """A Kubernetes node."""

    name: str
    ready: bool
    schedulable: bool
    gpus: int
    """Allocatable GPUs."""
    taints: frozenset[str]
    """Keys of the taints that keep pods off it."""
    cpu: int = 0
    """Allocatable thousandths of a CPU."""
    memory: int = 0
    """Allocatable bytes of memory."""
    pods: int = 0
    """Allocatable pods."""


@dataclass(frozen=True)
class Pod:
    """A pod on a node, running or starting, with its requests."""

    namespace: str
    name: str
    node: str
    gpus: int
    cpu: int
    """Thousandths of a CPU."""
    memory: int
    """Bytes."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, eq=False)
class NetworkPolicy:
    """A NetworkPolicy of Kubernetes."""

    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    """As the API has it."""


@dataclass(frozen=True)
class Definition:
    """A custom resource definition."""

    served: frozenset[str]
    """Versions that the API server takes."""
    stored: frozenset[str] = frozenset()
    """Versions that objects are, or once were, stored in."""
    converter: str = ""
    """The Service that converts between versions, as `NAME in NAMESPACE`; empty if none does."""


@dataclass(frozen=True)
class Kai:
    """The KAI scheduler in a cluster, or what an uninstalled one has left."""

    served: bool
    """Whether its CRDs are installed."""
    namespace: str
    """Namespace of its operator; empty if none runs."""
    version: str
    """Tag of the operator's image; empty if none runs."""
    labels: Mapping[str, str]
    """Labels of that namespace."""
    configured: bool
    """Whether `kai-config` exists."""
    ready: bool
    """Whether `kai-config` is Ready."""
    shards: Mapping[str, str]
    """Grace period for a gang that lacks a pod, by SchedulingShard (empty: KAI's default)."""
    webhooks: Sequence[str]
    """Its webhook configurations for pods, as `kind/name`."""
    missing_class: str
    """The RuntimeClass that it gives GPU pods, if the cluster does not have it; else empty."""
    waits_for_cluster_policy: bool
    """Whether its operator needs the kind ClusterPolicy, which the cluster does not have."""


@dataclass(frozen=True)
class Namespace:
    """A Kubernetes namespace, and what limits pods in it."""

    labels: Mapping[str, str]
    quotas: Mapping[str, frozenset[str]]
    """Resources that each ResourceQuota for all pods counts, by the quota's name."""
    limits: Mapping[str, str]
    """Default limits of containers, from all LimitRanges."""
    requests: Mapping[str, str]
    """Default requests of containers, from all LimitRanges."""


@dataclass(frozen=True)
class Deployment:
    """A Kubernetes Deployment."""

    namespace: str
    image: str
    """Image of its first container."""
    available: bool


@dataclass(frozen=True)
class Bucket:
    """A Cloud Storage bucket."""

    location: str
    """Region or multi-region, in upper case."""
    uniform_access: bool
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Key:
    """A Cloud KMS key."""

    purpose: str
    """ENCRYPT_DECRYPT, or what else it is made for."""
    state: str
    """Of its primary version: ENABLED, DISABLED, ...; empty if it has none."""


@dataclass(frozen=True)
class OrgPolicy:
    """An organisation policy as it is in force for a project."""

    enforced: bool = False
    """A switch is on."""
    denies_all: bool = False
    """No value is allowed."""
    allowed: frozenset[str] = frozenset()
    """The only values that are allowed; empty: all that are not denied."""
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Image:
    """A container image in its registry."""

    architectures: frozenset[str]
    """Its architectures (amd64, arm64); empty if the registry does not list them."""


class Cloud(Protocol):
    """All requests of the checks. Each may raise `CloudError`."""

    def login(self) -> str:
        """Get a token; returns its owner, if the credentials say."""
        ...

    def project(self, project: str) -> Project:
        """The project."""
        ...

    def granted(self, project: str, permissions: Sequence[str]) -> frozenset[str]:
        """Those of `permissions` that the caller has on the project."""
        ...

    def disabled_services(self, project: str, services: Sequence[str]) -> list[str]:
        """Those of `services` that are disabled in the project."""
        ...

    def reservation(self, project: str, zone: str, name: str) -> Reservation:
        """The reservation."""
        ...

    def blocks(self, project: str, zone: str, reservation: str) -> list[str]:
        """Names of the reservation's blocks."""
        ...

    def sub_blocks(self, project: str, zone: str, reservation: str, block: str) -> list[SubBlock]:
        """The block's sub-blocks."""
        ...

    def sub_block(self, project: str, zone: str, reservation: str, block: str, name: str) -> SubBlock:
        """One sub-block."""
        ...

    def project_quotas(self, project: str) -> Mapping[str, Quota]:
        """Quotas of the whole project, by metric."""
        ...

    def region_quotas(self, project: str, region: str) -> Mapping[str, Quota]:
        """Quotas of the region, by metric."""
        ...

    def members(self, project: str, role: str) -> frozenset[str]:
        """Members of `role` in the project's own policy, without conditions."""
        ...

    def key(self, path: str) -> Key:
        """The Cloud KMS key."""
        ...

    def key_members(self, path: str, role: str) -> frozenset[str]:
        """Members of `role` in the own policy of a key or key ring, without conditions."""
        ...

    def granted_on_key(self, path: str, permissions: Sequence[str]) -> frozenset[str]:
        """Those of `permissions` that the caller has on the key."""
        ...

    def account_disabled(self, email: str) -> bool:
        """Whether the service account is disabled."""
        ...

    def granted_on_account(self, email: str, permissions: Sequence[str]) -> frozenset[str]:
        """Those of `permissions` that the caller has on the service account."""
        ...

    def org_policy(self, project: str, constraint: str) -> OrgPolicy:
        """The policy in force for a constraint."""
        ...

    def networks(self, project: str) -> Mapping[str, Network]:
        """The project's VPC networks by name."""
        ...

    def subnetwork(self, project: str, region: str, name: str) -> Subnetwork:
        """The subnetwork."""
        ...

    def subnetwork_members(self, project: str, region: str, name: str) -> Mapping[str, frozenset[str]]:
        """Members by role in the subnetwork's own policy, without conditions."""
        ...

    def network_profile_zone(self, project: str, profile: str) -> str:
        """The zone that a network profile belongs to."""
        ...

    def versions(self, project: str, location: str, channel: str) -> Versions:
        """Versions that the channel offers for new clusters."""
        ...

    def cluster(self, project: str, location: str, name: str) -> Cluster:
        """The cluster."""
        ...

    def cluster_names(self, project: str) -> list[str]:
        """The project's clusters in all locations, as `location/name`."""
        ...

    def group_size(self, url: str) -> int:
        """Target size of an instance group."""
        ...

    def nodes(self, cluster: Cluster, selector: str) -> list[Node]:
        """Nodes with the labels `selector` (empty: all), from the Kubernetes API."""
        ...

    def pods(self, cluster: Cluster) -> list[Pod]:
        """Unfinished pods that are on a node, from the Kubernetes API."""
        ...

    def kai(self, cluster: Cluster) -> Kai:
        """The KAI scheduler, from the Kubernetes API."""
        ...

    def deployments(self, cluster: Cluster, name: str) -> list[Deployment]:
        """The Deployments of this name in all namespaces, from the Kubernetes API."""
        ...

    def namespace(self, cluster: Cluster, name: str) -> Namespace | None:
        """The namespace with its quotas and LimitRanges, from the Kubernetes API; None if there is none."""
        ...

    def network_policies(self, cluster: Cluster, namespace: str) -> list[NetworkPolicy]:
        """The NetworkPolicies of a namespace, from the Kubernetes API."""
        ...

    def other_policies(self, cluster: Cluster, namespace: str) -> list[str]:
        """Policies of other kinds in a namespace, as `kind name`; those of the whole cluster, if the name is empty."""
        ...

    def crds(self, cluster: Cluster, names: Sequence[str]) -> Mapping[str, Definition]:
        """Those of the custom resource definitions that exist, from the Kubernetes API."""
        ...

    def bucket(self, name: str) -> Bucket:
        """The bucket."""
        ...

    def bucket_members(self, name: str, role: str) -> frozenset[str]:
        """Members of `role` in the bucket's own policy, without conditions."""
        ...

    def files(self, bucket: str, folder: str) -> Mapping[str, int]:
        """Sizes in bytes of the files below `folder`, by relative path."""
        ...

    def read(self, bucket: str, path: str) -> bytes:
        """A file's content."""
        ...

    def image(self, reference: str) -> Image:
        """The image, read without credentials; from a registry of Google with the caller's, if it wants some."""
        ...

    def readers(self, project: str, location: str, repository: str) -> frozenset[str]:
        """Members who may pull from a repository of Artifact Registry, by its own policy."""
        ...

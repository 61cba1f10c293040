"""What preflight asks of the cloud, in the words of its checks.

`Cloud` is the one seam: the checks know nothing of HTTP, libraries or JSON, and whoever answers knows nothing of
rules. Facts hold plain values; a number that the cloud does not state is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Trouble = Literal["missing", "denied", "off", "login", "no answer", "refused"]
"""Why there is no answer: the thing does not exist; the caller may not look; the API is off in the project; the
credentials are not accepted; network, time-out or a fault of the service; the service refused the question."""


class CloudError(Exception):
    """A question without an answer. Its text is the cloud's own reason, in one line."""

    def __init__(self, trouble: Trouble, reason: str) -> None:
        super().__init__(reason)
        self.trouble: Trouble = trouble


@dataclass(frozen=True)
class Project:
    """A Google Cloud project."""

    number: str
    state: str
    """ACTIVE, or on its recovery."""


@dataclass(frozen=True)
class Reservation:
    """A reservation of machines in one zone."""

    machine_type: str
    count: int
    in_use: int
    specific: bool
    """Whether only who names the reservation gets its machines."""
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
    """HEALTHY, DEGRADED, or empty where the cloud says nothing."""
    degraded_hosts: int
    degraded_infra: int
    """Faulty parts of the rack that are no host, such as an NVLink switch."""


@dataclass(frozen=True)
class Quota:
    """A limit and how much of it is taken."""

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


@dataclass(frozen=True)
class Versions:
    """GKE versions that one channel offers in one location."""

    default: str
    valid: Sequence[str]


@dataclass(frozen=True)
class NodePool:
    """A node pool as its cluster states it."""

    name: str
    status: str
    machine_type: str
    zones: Sequence[str]
    groups: Sequence[str]
    """URLs of its instance groups, one for each zone."""
    additional_networks: int
    accelerator_profile: str
    """`auto` where DRANET attaches the NICs; else empty."""
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
    multi_networking: bool
    workload_pool: str
    gcs_fuse: bool
    labels: Mapping[str, str]
    host: str
    """Where its Kubernetes API answers, without scheme."""
    ca_certificate: str
    """The CA in base64 that signed the API's certificate; empty for a public CA (the DNS endpoint)."""
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
    """Pods that it takes."""


@dataclass(frozen=True)
class Pod:
    """A pod on a node, running or starting, with what it asks for."""

    namespace: str
    name: str
    node: str
    gpus: int
    cpu: int
    """Thousandths of a CPU."""
    memory: int
    """Bytes."""


@dataclass(frozen=True)
class Kai:
    """The KAI scheduler in a cluster, or what one has left there."""

    served: bool
    """Whether its kinds are known in the cluster."""
    namespace: str
    """Where its operator runs; empty where none does."""
    version: str
    """Tag of the operator's image; empty where none runs."""
    labels: Mapping[str, str]
    """Of that namespace."""
    configured: bool
    """Whether `kai-config` is there."""
    ready: bool
    """Whether `kai-config` says that everything runs."""
    shards: Mapping[str, str]
    """Each SchedulingShard, and how long it lets a gang lack a pod (empty: KAI's own default)."""
    webhooks: Sequence[str]
    """Its webhook configurations for pods, as `kind/name`."""
    missing_class: str
    """The RuntimeClass that it gives GPU pods and that the cluster does not have; empty where it gives none."""
    waits_for_cluster_policy: bool
    """Whether its operator needs the kind ClusterPolicy, and the cluster does not have it."""


@dataclass(frozen=True)
class Bucket:
    """A Cloud Storage bucket."""

    location: str
    """Region or multi-region, in capitals."""
    uniform_access: bool
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Image:
    """A container image in its registry."""

    architectures: frozenset[str]
    """Those that it is made for (amd64, arm64); empty where the registry does not list them."""


class Cloud(Protocol):
    """Everything that the checks ask. Every question may raise `CloudError`."""

    def login(self) -> str:
        """Get a token; who it is for, as far as the credentials say."""
        ...

    def project(self, project: str) -> Project:
        """The project."""
        ...

    def granted(self, project: str, permissions: Sequence[str]) -> frozenset[str]:
        """Those of `permissions` that the caller has on the project."""
        ...

    def disabled_services(self, project: str, services: Sequence[str]) -> list[str]:
        """Those of `services` that are switched off in the project."""
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
        """Quotas that hold for the project as a whole, by metric."""
        ...

    def region_quotas(self, project: str, region: str) -> Mapping[str, Quota]:
        """Quotas that hold in the region, by metric."""
        ...

    def members(self, project: str, role: str) -> frozenset[str]:
        """Whom the project's own policy grants `role`, without conditions."""
        ...

    def networks(self, project: str) -> Mapping[str, Network]:
        """The project's VPC networks by name."""
        ...

    def network_profile_zone(self, project: str, profile: str) -> str:
        """The zone that a network profile belongs to."""
        ...

    def versions(self, project: str, location: str, channel: str) -> Versions:
        """What the channel offers for new clusters."""
        ...

    def cluster(self, project: str, location: str, name: str) -> Cluster:
        """The cluster."""
        ...

    def cluster_names(self, project: str) -> list[str]:
        """The project's clusters in all locations, as `location/name`."""
        ...

    def group_size(self, url: str) -> int:
        """Machines that an instance group is sized for."""
        ...

    def nodes(self, cluster: Cluster, selector: str) -> list[Node]:
        """Nodes with the labels `selector` (empty: all), from the Kubernetes API."""
        ...

    def pods(self, cluster: Cluster) -> list[Pod]:
        """Pods that are on a node and not finished, from the Kubernetes API."""
        ...

    def kai(self, cluster: Cluster) -> Kai:
        """The KAI scheduler, from the Kubernetes API."""
        ...

    def bucket(self, name: str) -> Bucket:
        """The bucket."""
        ...

    def files(self, bucket: str, folder: str) -> Mapping[str, int]:
        """Bytes of each file below `folder`, by its path below it."""
        ...

    def read(self, bucket: str, path: str) -> bytes:
        """A file's content."""
        ...

    def image(self, reference: str) -> Image:
        """The image, as its registry shows it to anybody."""
        ...

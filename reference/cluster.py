"""Requirements for adopting a cluster and a node pool, shared by the program and preflight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reference import gke
from reference.machines import A4X

_AT_CREATION = "it is chosen when a cluster is created: set cluster.mode: create, or create another one with"


@dataclass(frozen=True)
class ClusterFacts:
    """What is known about a cluster."""

    name: str
    location: str
    project: str
    datapath: str
    calico: bool
    """Whether the Calico add-on enforces NetworkPolicies; Dataplane V2 does without."""
    multi_networking: bool
    workload_pool: str
    """Empty where Workload Identity is off."""
    gcs_fuse: bool
    version: str

    @property
    def update(self) -> str:
        """Beginning of the command that updates the cluster."""
        return f"gcloud container clusters update {self.name} --location {self.location} --project {self.project}"


@dataclass(frozen=True)
class PoolFacts:
    """What is known about a node pool."""

    machine_type: str
    zones: Sequence[str]
    nodes: int
    """Current number of nodes in all zones."""
    additional_networks: int
    """Networks that its nodes are attached to beside the cluster's own."""
    accelerator_profile: str | None = None
    """Accelerator network profile; None if unknown."""
    dranet_driver: bool = True
    """Whether DRANET's driver runs on its nodes; True if unknown."""


@dataclass(frozen=True)
class Lack:
    """An unmet requirement, and its fix."""

    finding: str
    fix: str

    def __str__(self) -> str:
        return f"{self.finding}: {self.fix}"


def dataplane(cluster: ClusterFacts) -> Lack | None:
    """RDMA needs Dataplane V2, through DRANET too; it always enforces NetworkPolicies."""
    if cluster.datapath == "ADVANCED_DATAPATH":
        return None
    finding = f"the datapath is {cluster.datapath or 'unset'}, and RDMA needs Dataplane V2"
    if not cluster.calico:
        finding += "; nothing enforces NetworkPolicies there, so isolation would not be in force"
    return Lack(finding, f"{_AT_CREATION} --enable-dataplane-v2")


def multi_networking(cluster: ClusterFacts) -> Lack | None:
    """Pods get RDMA NICs through multi-networking, unless DRANET attaches them."""
    if cluster.multi_networking:
        return None
    finding = "multi-networking is off, so pods get no RDMA interface"
    return Lack(finding, f"{_AT_CREATION} --enable-multi-networking")


def workload_identity(cluster: ClusterFacts) -> Lack | None:
    """Pods reach the model bucket through Workload Identity."""
    if cluster.workload_pool:
        return None
    pool = f"{cluster.project}.svc.id.goog"
    return Lack(
        "Workload Identity is off, so pods cannot read the model bucket",
        f"{cluster.update} --workload-pool={pool}, and --workload-metadata=GKE_METADATA on its node pools",
    )


def gcs_fuse(cluster: ClusterFacts) -> Lack | None:
    """Pods mount the model bucket through the Cloud Storage FUSE CSI driver."""
    if cluster.gcs_fuse:
        return None
    finding = "the Cloud Storage FUSE CSI driver is off, so the model bucket cannot be mounted"
    return Lack(finding, f"{cluster.update} --update-addons=GcsFuseCsiDriver=ENABLED")


def version(cluster: ClusterFacts, window: gke.VersionWindow) -> Lack | None:
    """The Dynamo release supports the cluster's version."""
    try:
        window.check(cluster.version)
    except gke.GkeRuleError as error:
        return Lack(f"the cluster runs {cluster.version}: {error.rule}", error.fix)
    return None


def cluster_lacks(cluster: ClusterFacts, rdma: gke.RdmaMode, window: gke.VersionWindow) -> Iterator[Lack]:
    """Everything that prevents adopting a cluster."""
    found = [workload_identity(cluster), gcs_fuse(cluster), dataplane(cluster)]
    if rdma == "multi-network":
        found.append(multi_networking(cluster))
    if cluster.version:
        found.append(version(cluster, window))
    yield from (lack for lack in found if lack is not None)


def pool_lacks(pool: PoolFacts, domain: str, *, zone: str, nodes: int, rdma: gke.RdmaMode) -> Iterator[Lack]:
    """Everything that prevents adopting a node pool as the domain of that name, zone and size."""
    key, attached = f"domains.{domain}", len(gke.DEVICE_NETWORKS)
    created = "it is chosen when a pool is created: create another pool"
    if not pool.machine_type.startswith(A4X.machine_type):
        machines = pool.machine_type or "of an unknown type"
        yield Lack(f"its machines are {machines}, not {A4X.machine_type}", "name a pool of A4X nodes")
    if list(pool.zones) != [zone]:
        where = ", ".join(pool.zones) or "no zone"
        yield Lack(f"its nodes are in {where}, and the config says {zone}", f"set {key}.zone")
    offered = pool.accelerator_profile in ("auto", None) or pool.additional_networks >= attached
    if rdma == "dranet" and not (offered and pool.dranet_driver):
        finding = (
            "its NICs are not DRANET's: it has no accelerator network profile `auto`, and no five additional networks "
            f"with the label {gke.DRANET_LABEL}"
        )
        yield Lack(finding, f"{created}, or set cluster.rdma: multi-network")
    if rdma == "multi-network" and pool.additional_networks < attached:
        yield Lack(
            f"its nodes have {pool.additional_networks} additional networks, and an A4X node needs {attached} "
            f"({', '.join(gke.DEVICE_NETWORKS)})",
            created,
        )
    if pool.nodes < nodes:
        yield Lack(
            f"it has {pool.nodes} nodes, and the config counts on {nodes}", f"set {key}.nodes, or resize the pool"
        )

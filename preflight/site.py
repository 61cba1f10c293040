"""What is checked: the settings, the cloud, and answers that several checks share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from preflight.cloud import Cloud, CloudError, Cluster, Network, Node, NodePool, Pod, Project, Subnetwork
from reference import gke, machines, naming, networks
from serving_rules import layout
from settings import Settings
from settings.model import CreateCluster, CreateDomain, Domain
from settings.network import AdoptNetwork

T = TypeVar("T")

"""In the description of the program's own networks; networks have no labels."""


class Site:
    """Settings and cloud. Shared requests are made once, even by concurrent checks."""

    def __init__(self, settings: Settings, cloud: Cloud) -> None:
        self.settings = settings
        self.cloud = cloud
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._answers: dict[str, Any] = {}

    @property
    def creates_cluster(self) -> bool:
        """Whether the program creates the cluster."""
        return isinstance(self.settings.cluster, CreateCluster)

    def project(self) -> Project:
        """The project."""
        return self._once("project", lambda: self.cloud.project(self.settings.project))

    def cluster(self) -> Cluster | None:
        """The cluster of the configured name, or None if there is none."""

        def ask() -> Cluster | None:
            settings = self.settings
            try:
                return self.cloud.cluster(settings.project, settings.location, settings.cluster.name)
            except CloudError as error:
                if error.trouble == "missing":
                    return None
                raise

        return self._once("cluster", ask)

    def own_cluster(self) -> Cluster | None:
        """The environment's cluster: the adopted one, or the one that it has created."""
        cluster = self.cluster()
        if cluster is None or not self.creates_cluster:
            return cluster
        return cluster if self.is_own(cluster.labels) else None

    def pool(self, name: str) -> NodePool | None:
        """The node pool `name` of `own_cluster`, or None if cluster or pool do not exist."""
        cluster = self.own_cluster()
        return None if cluster is None else cluster.pools.get(name)

    def nodes(self, cluster: Cluster, pool: str) -> list[Node]:
        """The nodes of a pool."""
        return self.labelled(cluster, f"{machines.NODE_POOL_KEY}={pool}")

    def x86_nodes(self, cluster: Cluster) -> list[Node]:
        """The nodes for pods without a GPU."""
        return self.labelled(cluster, f"{machines.ARCH_KEY}=amd64")

    def labelled(self, cluster: Cluster, selector: str) -> list[Node]:
        """The nodes with these labels; all for an empty selector."""
        return self._once(f"nodes {selector}", lambda: self.cloud.nodes(cluster, selector))

    def networks(self) -> Mapping[str, Network]:
        """The project's networks."""
        return self._once("networks", lambda: self.cloud.networks(self.settings.project))

    def networks_of(self, project: str | None) -> Mapping[str, Network]:
        """The networks of `project`, the host project of a Shared VPC; None: the cluster's own."""
        if project in {None, self.settings.project}:
            return self.networks()
        return self._once(f"networks of {project}", lambda: self.cloud.networks(project or ""))

    def members(self, project: str, role: str) -> frozenset[str]:
        """Members of `role` in the project's own policy."""
        return self._once(f"members {project} {role}", lambda: self.cloud.members(project, role))

    def subnetwork_members(self, project: str, place: networks.Place) -> Mapping[str, frozenset[str]]:
        """Members by role in the subnetwork's own policy."""
        region = place.region or self.settings.region
        key = f"members {project} {region} {place.name}"
        return self._once(key, lambda: self.cloud.subnetwork_members(project, region, place.name))

    def pods(self, cluster: Cluster) -> list[Pod]:
        """The pods on the cluster's nodes."""
        return self._once("pods", lambda: self.cloud.pods(cluster))

    @property
    def dranet(self) -> bool:
        """Whether GKE attaches the NICs itself, to networks that it creates."""
        return self.settings.cluster.rdma == "dranet"

    def own_networks(self) -> Mapping[str, str]:
        """Networks that the program creates, by name: the cluster's, and without DRANET the gVNIC and RDMA ones."""
        cluster = self.settings.cluster
        if self.settings.created_network is None:
            return {}
        own = {gke.cluster_network(cluster.name): "net-0"}
        if not self.dranet and cluster.device_networks is None:
            own[gke.gvnic_network(cluster.name)] = "net-1"
            own[gke.rdma_network(cluster.name, self.settings.domains[0].zone)] = "rdma"
        return own

    @property
    def host(self) -> str | None:
        """The project that shares its networks with the cluster's; None: they are its own."""
        cluster = self.settings.cluster
        network = cluster.network if isinstance(cluster, CreateCluster) else None
        if isinstance(network, AdoptNetwork):
            owner = networks.network(network.network).project
        elif network is None and cluster.device_networks is not None and self.settings.created_domains:
            owner = networks.network(cluster.device_networks.rdma_network).project
        else:
            owner = None
        return None if owner == self.settings.project else owner

    def subnetwork(self, name: str) -> Subnetwork | None:
        """The subnetwork of this name in the host project, or of this path; None if there is none."""
        place, region = networks.subnetwork(name), self.settings.region
        project = place.project or self.host or self.settings.project

        def ask() -> Subnetwork | None:
            try:
                return self.cloud.subnetwork(project, place.region or region, place.name)
            except CloudError as error:
                if error.trouble == "missing":
                    return None
                raise

        return self._once(f"subnetwork {project} {place.name}", ask)

    def shared_subnetworks(self) -> list[str]:
        """Subnetworks of the nodes' NICs that the config names."""
        cluster = self.settings.cluster
        network = cluster.network if isinstance(cluster, CreateCluster) else None
        found = [network.subnetwork] if isinstance(network, AdoptNetwork) else []
        if isinstance(network, AdoptNetwork) and network.control_plane_subnetwork is not None:
            found.append(network.control_plane_subnetwork)
        if cluster.device_networks is not None:
            found += [subnetwork for _, subnetwork in cluster.device_networks.interfaces]
        return found

    def is_own_network(self, network: Network) -> bool:
        """Whether the network's description says that this program created it for a cluster of this name."""
        return gke.of_cluster(self.settings.cluster.name) in network.description

    def is_own(self, labels: Mapping[str, str]) -> bool:
        """Whether labels say that this program created the resource for this environment."""
        return naming.gcp_labels(self.settings.environment).items() <= labels.items()

    def is_own_namespace(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace's labels say that this program created it for this environment."""
        return naming.kubernetes_labels(self.settings.environment).items() <= labels.items()

    @property
    def operator_finds_kai(self) -> bool:
        """Whether the Dynamo operator uses KAI if its CRDs are installed, whatever the config says."""
        return self.settings.profile.finds_kai

    def reservation(self, domain: CreateDomain) -> tuple[gke.Reservation, str]:
        """The domain's reservation, and the project that owns it."""
        parsed = gke.parse_reservation(domain.reservation)
        return parsed, parsed.project or self.settings.project

    def worker_nodes(self, domain: Domain) -> int:
        """Nodes of all serving stacks in the domain."""
        return sum(layout.load(s.layout).nodes for s in self.settings.stacks if s.domain == domain.name)

    def models(self) -> list[str]:
        """Hugging Face ids of the models that the stacks serve."""
        return sorted({layout.load(stack.layout).model for stack in self.settings.stacks})

    def _once(self, key: str, ask: Callable[[], T]) -> T:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._answers:
                self._answers[key] = ask()
            return self._answers[key]

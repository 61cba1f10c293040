"""A cloud in which nothing is wrong, made from the settings: for every mode that these accept.

It answers what `preflight.cloud.Cloud` asks, below which tests/preflight/test_preflight.py goes down to HTTP.
"""

# ruff: noqa: ARG002 - whatever is asked about is healthy

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from preflight import cloud
from preflight.cloud import CloudError
from reference import buckets, cluster_options, encryption, gke, machines, networks, shared_vpc
from reference.dynamo import PROFILES
from reference.machines import A4X
from settings import Settings
from settings.model import CreateCluster
from settings.network import AdoptNetwork

VERSION: Final = "1.35.3-gke.1389000"
NUMBER: Final = "123456789012"
AGENT: Final = f"serviceAccount:service-{NUMBER}@container-engine-robot.iam.gserviceaccount.com"
GB: Final = 10**9


def kind(check: str) -> str:
    """A check's name without the domain, zone, image or model that it is about."""
    key = r"disks|secrets|bucket|volumes"
    about = rf"a4x-\d|us-[a-z]+\d-[a-z]|deepseek-ai/.*|[^ ]+:[^ ]+|[^ ]+-docker\.pkg\.dev/[^ ]+|{key}"
    return re.sub(rf" ({about})$", "", check)


class HealthyCloud:
    """`preflight.cloud.Cloud` for `settings`: what is adopted exists as it must, what is created does not exist yet."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def login(self) -> str:
        return "a person's credentials"

    def project(self, project: str) -> cloud.Project:
        return cloud.Project(NUMBER, "ACTIVE")

    def granted(self, project: str, permissions: Sequence[str]) -> frozenset[str]:
        return frozenset(permissions)

    def members(self, project: str, role: str) -> frozenset[str]:
        if role in gke.NODE_ROLES:
            return frozenset({f"serviceAccount:{self.settings.identities.node_service_account}"})
        if role in cluster_options.FLEET_ROLES:
            return frozenset({f"serviceAccount:{cluster_options.fleet_agent(NUMBER)}"})
        return frozenset({AGENT} if role in {"roles/compute.networkAdmin", shared_vpc.HOST_AGENT} else ())

    def key(self, path: str) -> cloud.Key:
        return cloud.Key("ENCRYPT_DECRYPT", "ENABLED")

    def key_members(self, path: str, role: str) -> frozenset[str]:
        if role != encryption.ROLE or "/cryptoKeys/" not in path or self.settings.encryption.grant:
            return frozenset()
        keys = self.settings.encryption.keys
        return frozenset(f"serviceAccount:{encryption.agent(use, NUMBER)}" for use in keys if keys[use] == path)

    def granted_on_key(self, path: str, permissions: Sequence[str]) -> frozenset[str]:
        return frozenset(permissions)

    def account_disabled(self, email: str) -> bool:
        return False

    def granted_on_account(self, email: str, permissions: Sequence[str]) -> frozenset[str]:
        return frozenset(permissions)

    def org_policy(self, project: str, constraint: str) -> cloud.OrgPolicy:
        return cloud.OrgPolicy()

    def disabled_services(self, project: str, services: Sequence[str]) -> list[str]:
        return []

    def reservation(self, project: str, zone: str, name: str) -> cloud.Reservation:
        return cloud.Reservation(A4X.machine_type, 180, 0, True, "ORGANIZATION", frozenset(), "READY", "")

    def blocks(self, project: str, zone: str, reservation: str) -> list[str]:
        return ["block-1"]

    def sub_blocks(self, project: str, zone: str, reservation: str, block: str) -> list[cloud.SubBlock]:
        return [self.sub_block(project, zone, reservation, block, "sub-block-1")]

    def sub_block(self, project: str, zone: str, reservation: str, block: str, name: str) -> cloud.SubBlock:
        return cloud.SubBlock(name, 18, 0, "HEALTHY", 0, 0)

    def project_quotas(self, project: str) -> Mapping[str, cloud.Quota]:
        return {name: cloud.Quota(10_000, 0) for name in ("NETWORKS", "SUBNETWORKS", "FIREWALLS", "CPUS_ALL_REGIONS")}

    def region_quotas(self, project: str, region: str) -> Mapping[str, cloud.Quota]:
        return {name: cloud.Quota(1e6, 0) for name in ("CPUS", "SSD_TOTAL_GB", "HDB_TOTAL_GB", "STATIC_ADDRESSES")}

    def networks(self, project: str) -> Mapping[str, cloud.Network]:
        found = {"default": cloud.Network("default", "", "")}
        for name, its in self._named(project).items():
            found[name] = cloud.Network(name, "", its, networks.MTU)
        return found

    def _named(self, project: str) -> dict[str, str]:
        """Networks of a project that the settings name, with their profiles."""
        cluster = self.settings.cluster
        profile = gke.rdma_profile(next(d.zone for d in self.settings.created_domains or self.settings.domains))
        paths = {}
        if isinstance(cluster, CreateCluster) and isinstance(cluster.network, AdoptNetwork):
            paths[cluster.network.network] = ""
        if cluster.device_networks is not None:
            paths |= dict(zip(cluster.device_networks.networks, ("", profile), strict=True))
        places = {networks.network(path): its for path, its in paths.items()}
        return {p.name: its for p, its in places.items() if (p.project or self.settings.project) == project}

    def subnetwork(self, project: str, region: str, name: str) -> cloud.Subnetwork:
        cluster, of = self.settings.cluster, "default"
        for network, subnetwork in cluster.device_networks.interfaces if cluster.device_networks else ():
            if networks.last_part(subnetwork) == name:
                of = network
        ranges = {}
        if isinstance(cluster, CreateCluster) and isinstance(cluster.network, AdoptNetwork):
            its = cluster.network
            if name in map(networks.last_part, filter(None, (its.subnetwork, its.control_plane_subnetwork))):
                of = its.network
            if networks.last_part(its.subnetwork) == name:
                ranges = {its.pods_range: "10.64.0.0/11", its.services_range: "10.96.0.0/20"}
        return cloud.Subnetwork(name, networks.last_part(of), "10.32.0.0/20", ranges, True)

    def subnetwork_members(self, project: str, region: str, name: str) -> Mapping[str, frozenset[str]]:
        return {shared_vpc.NETWORK_USER: frozenset({AGENT, f"serviceAccount:{shared_vpc.apis_agent(NUMBER)}"})}

    def network_profile_zone(self, project: str, profile: str) -> str:
        return profile.removesuffix("-vpc-roce")

    def versions(self, project: str, location: str, channel: str) -> cloud.Versions:
        return cloud.Versions(VERSION, ("1.34.3-gke.1318000", VERSION))

    def cluster(self, project: str, location: str, name: str) -> cloud.Cluster:
        if self.settings.cluster.mode == "create":
            raise CloudError("missing", "Not found")
        dranet = self.settings.cluster.rdma == "dranet"
        return cloud.Cluster(
            name=name,
            location=location,
            status="RUNNING",
            version=VERSION,
            datapath="ADVANCED_DATAPATH",
            calico=False,
            multi_networking=not dranet,
            workload_pool=f"{project}.svc.id.goog",
            gcs_fuse=True,
            labels={},
            host="gke.example",
            ca_certificate="",
            pools={
                domain.name: cloud.NodePool(
                    name=domain.name,
                    status="RUNNING",
                    machine_type=A4X.machine_type,
                    zones=(domain.zone,),
                    groups=(f"{domain.name} {domain.nodes}",),
                    additional_networks=0 if dranet else len(gke.DEVICE_NETWORKS),
                    accelerator_profile="auto" if dranet else "",
                    labels={},
                )
                for domain in self.settings.domains
                if domain.mode == "adopt"
            },
        )

    def cluster_names(self, project: str) -> list[str]:
        return []

    def group_size(self, url: str) -> int:
        return int(url.rpartition(" ")[2])

    def nodes(self, cluster: cloud.Cluster, selector: str) -> list[cloud.Node]:
        system = cloud.Node("system-0", True, True, 0, frozenset(), 15_900, 60 * GB, 110)
        pool = [
            cloud.Node(f"{domain.name}-{i}", True, True, 4, frozenset(a4x_taints()), 139_000, 870 * GB, 110)
            for domain in self.settings.domains
            for i in range(domain.nodes)
            if domain.mode == "adopt"
        ]
        if selector.startswith(f"{machines.NODE_POOL_KEY}="):
            return [node for node in pool if node.name.startswith(f"{selector.partition('=')[2]}-")]
        # Tolerations are for clusters that have no other nodes.
        return pool if self.settings.dynamo.system_tolerations and pool else [system]

    def pods(self, cluster: cloud.Cluster) -> list[cloud.Pod]:
        nats = {"app.kubernetes.io/name": "nats"}
        return [
            cloud.Pod("kube-system", "kube-dns-0", "system-0", 0, 300, GB),
            cloud.Pod(self.settings.dynamo.namespace, "dynamo-platform-nats-0", "system-0", 0, 0, 0, nats),
        ]

    def kai(self, cluster: cloud.Cluster) -> cloud.Kai:
        runs = self.settings.kai.mode == "adopt"
        return cloud.Kai(
            served=runs,
            namespace="kai-scheduler" if runs else "",
            version="v0.17.0" if runs else "",
            labels={},
            configured=runs,
            ready=runs,
            shards={"default": "-1s"} if runs else {},
            webhooks=["mutatingwebhookconfigurations/mutating-kai-admission"] if runs else [],
            missing_class="",
            waits_for_cluster_policy=False,
        )

    def deployments(self, cluster: cloud.Cluster, name: str) -> list[cloud.Deployment]:
        version = PROFILES[self.settings.dynamo.version].grove_version
        return [cloud.Deployment("grove-system", f"ghcr.io/ai-dynamo/grove/grove-operator:{version}", True)]

    def namespace(self, cluster: cloud.Cluster, name: str) -> cloud.Namespace | None:
        return cloud.Namespace({}, {}, {}, {})

    def network_policies(self, cluster: cloud.Cluster, namespace: str) -> list[cloud.NetworkPolicy]:
        return []

    def other_policies(self, cluster: cloud.Cluster, namespace: str) -> list[str]:
        return []

    def crds(self, cluster: cloud.Cluster, names: Sequence[str]) -> Mapping[str, cloud.Definition]:
        profile = PROFILES[self.settings.dynamo.version]
        versions = frozenset(profile.graph_versions)
        service = f"{profile.webhook_service} in {self.settings.dynamo.namespace}" if len(versions) > 1 else ""
        return dict.fromkeys(names, cloud.Definition(versions, versions, service))

    def bucket(self, name: str) -> cloud.Bucket:
        if self.settings.model_bucket.mode == "create":
            raise CloudError("missing", "Not found")
        return cloud.Bucket(self.settings.region.upper(), True, {})

    def bucket_members(self, name: str, role: str) -> frozenset[str]:
        given = self.settings.identities
        email = given.model_writer if role == buckets.WRITER else given.model_reader
        return frozenset({f"serviceAccount:{email}"} if role in {buckets.WRITER, buckets.READER} else ())

    def files(self, bucket: str, folder: str) -> Mapping[str, int]:
        return {"model.safetensors.index.json": 100, "config.json": 100, "model-1.safetensors": 10**9}

    def read(self, bucket: str, path: str) -> bytes:
        return json.dumps({"weight_map": {"a": "model-1.safetensors"}}).encode()

    def image(self, reference: str) -> cloud.Image:
        return cloud.Image(frozenset({"amd64", "arm64"}))

    def readers(self, project: str, location: str, repository: str) -> frozenset[str]:
        return frozenset({"allAuthenticatedUsers"})


def a4x_taints() -> set[str]:
    """Keys of the taints of an A4X node."""
    return {toleration.get("key", "") for toleration in A4X.tolerations()}

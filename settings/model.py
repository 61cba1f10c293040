"""The stack config as typed models.

Descriptions of fields appear in error messages and in the generated config reference. Models hold plain values, never
an `Output`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, cast

from pydantic import AfterValidator, Discriminator, Field, Tag

from reference import cluster_options, dra_driver, gke, kai
from reference.dynamo import PROFILES, DynamoProfile, Gang
from reference.egress import DNS_API
from reference.machines import A4X, Toleration
from reference.mirrors import ImageMirrors
from reference.namespaces import KAI_RESERVATION, Foreign
from reference.nats import Login
from reference.platform_parts import OWN, PlatformParts
from serving_rules.layout import Overrides
from settings.encryption import Encryption
from settings.fields import (
    BucketName,
    Change,
    ChartSource,
    ClusterVersion,
    DraDriverVersion,
    GibVersion,
    Image,
    KaiVersion,
    KubernetesName,
    NatsUser,
    ObjectName,
    ProjectId,
    ProjectNumber,
    Range,
    Reservation,
    SecurityGroup,
    SglangVersion,
    StackName,
)
from settings.identities import Identities
from settings.images import Images
from settings.isolation import Clients, Isolation
from settings.maintenance import Maintenance
from settings.metadata import Metadata
from settings.namespaces import Namespaces
from settings.network import CreateNetwork, DeviceNetworks, Network
from settings.node_pools import NodePool, Taint
from settings.platform_parts import AdoptEtcd, AdoptNats, CreateNats, CreateService
from settings.pods import Pods, Security, StackResources, Volume
from settings.raw_fields import RawFields
from validation.strict_model import StrictModel
from validation.validators import distinct, mode_or_create

Mode = Literal["adopt", "create"]

_MODE = "`create` to have it created, `adopt` to use one that exists"
_KAI_MODE = f"{_MODE}, `none` for a cluster with another scheduler"


PRICE_MAX: Final = 1_000_000
"""Above any price of a GPU hour in any currency: a larger value is a typo."""

BANDWIDTH_MAX: Final = 1800
"""GB/s of the NVLink of one GB200, both directions together: no collective is faster."""


class _Cluster(StrictModel):
    name: KubernetesName = Field(description="the cluster's name")
    rdma: gke.RdmaMode = Field(
        default="multi-network",
        description="`multi-network` (the recipe's: three VPCs and a pod annotation) or `dranet` (resource claims)",
    )
    location: Annotated[str | None, Change.CLUSTER] = Field(
        default=None, description="the zone of a zonal cluster; default: gcp:region"
    )
    device_networks: DeviceNetworks | None = Field(
        default=None, description="existing networks of the additional NICs, for pools that are created"
    )


class AdoptCluster(_Cluster):
    """A GKE cluster that exists."""

    mode: Literal["adopt"] = Field(description=_MODE)


class CreateCluster(_Cluster):
    """A GKE cluster that the program creates."""

    moved: ClassVar[Mapping[str, str]] = {
        "addressRange": "the network's keys are in a mapping now: set cluster.network.addressRange",
        "dnsEndpoint": "set cluster.endpoint: dns for true (the default), public-ip for false",
    }

    mode: Literal["create"] = Field(description=_MODE)
    version: ClusterVersion = Field(default=gke.DEFAULT_VERSION, description='the GKE version, such as "1.35"')
    channel: Literal["RAPID", "REGULAR", "STABLE", "EXTENDED"] = Field(
        default=gke.DEFAULT_CHANNEL, description="the release channel"
    )
    network: Network = Field(default=CreateNetwork(), description="a mapping with mode and the keys of that mode")
    endpoint: Annotated[gke.Endpoint, Change.IN_PLACE] = Field(
        default="dns",
        description="how the control plane is reached: `dns` (its DNS name, guarded by IAM), `dns-only` (and no IP "
        "address answers), `private-ip` (from the VPC) or `public-ip`",
    )
    authorized_networks: Annotated[tuple[Range, ...], AfterValidator(distinct), Change.IN_PLACE] = Field(
        default=(), description="IPv4 ranges that may reach the control plane's IP address"
    )
    dranet_network_admin: bool = Field(
        default=False, description="whether GKE's service agent gets roles/compute.networkAdmin, for dranet"
    )
    maintenance: Maintenance = Field(
        default=Maintenance(), description="a mapping with dailyStart or window, holdUpgrades and exclusions"
    )
    cost_allocation: Annotated[bool, Change.IN_PLACE] = Field(
        default=False, description="whether billing breaks down costs by namespace and label"
    )
    fleet_project: Annotated[ProjectId | None, Change.IN_PLACE] = Field(
        default=None, description="the id of the project whose fleet the cluster joins"
    )
    security_group: Annotated[SecurityGroup | None, Change.IN_PLACE] = Field(
        default=None,
        description="the group whose members Kubernetes roles can name: gke-security-groups@DOMAIN; "
        "without the key a cluster keeps the group that it has",
    )
    binary_authorization: Annotated[cluster_options.EvaluationMode, Change.IN_PLACE] = Field(
        default=cluster_options.BINARY_AUTHORIZATION_OFF,
        description="the evaluation mode of Binary Authorization: `DISABLED`, or `PROJECT_SINGLETON_POLICY_ENFORCE`, "
        "with which the project's policy decides which images run; the program never writes that policy",
    )


Cluster = Annotated[AdoptCluster | CreateCluster, Field(discriminator="mode")]


class FabricTest(StrictModel):
    """A test of an NVLink domain before its first stack.

    The default minimums are the lowest published ones: 200 GB/s all_gather is what Google's cluster-toolkit requires of
    two A4X nodes, and the most that a node's four 400 Gbit/s NICs carry; 250 GB/s all_reduce is what NVIDIA's AICR
    requires (it measured 281.9). Over NVLink others have measured 842 with 2 nodes and 910 with 16.
    """

    nodes: int | None = Field(
        default=None,
        ge=2,
        le=A4X.nodes_per_domain,
        description="the number of nodes that are tested, 2 or more; default: all of the domain",
    )
    all_gather: int = Field(
        default=200,
        alias="allGatherGBps",
        ge=1,
        le=BANDWIDTH_MAX,
        description="the least bus bandwidth of an all_gather in GB/s, a whole number",
    )
    all_reduce: int = Field(
        default=250,
        alias="allReduceGBps",
        ge=1,
        le=BANDWIDTH_MAX,
        description="the least bus bandwidth of an all_reduce in GB/s, a whole number",
    )


class _Domain(StrictModel):
    name: KubernetesName = Field(description="the node pool's name")
    zone: str = Field(description="the zone of the nodes, such as us-central1-b")
    nodes: int = Field(
        ge=1,
        le=A4X.nodes_per_domain,
        description="the number of nodes, 1 to 18; list a further domain for more. Fewer than 18 keep the rest of the "
        "sub-block from everyone else until the number is raised, which resizes the pool",
    )
    price_per_gpu_hour: float | None = Field(
        default=None, gt=0, le=PRICE_MAX, description="what one GPU costs an hour, for the line that a preview prints"
    )
    fabric_test: FabricTest | None = Field(
        default=None,
        description="a mapping with nodes, allGatherGBps and allReduceGBps; {} tests all nodes with the defaults",
    )
    taints: Annotated[tuple[Taint, ...], Change.PODS] = Field(
        default=(),
        description="a list of taints of the nodes, each with key, value and effect: created pools get them, and all "
        "pods of the program that run there tolerate them",
    )

    @property
    def tolerations(self) -> list[Toleration]:
        """Tolerations of a pod that runs on these nodes."""
        own: list[Toleration] = [
            {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}
            for taint in self.taints
        ]
        return [*A4X.tolerations(), *own]

    @property
    def tested_nodes(self) -> int:
        """Nodes that the fabric test takes; 0 without one."""
        return 0 if self.fabric_test is None else self.fabric_test.nodes or self.nodes


class AdoptDomain(_Domain):
    """One NVLink domain whose node pool exists."""

    mode: Literal["adopt"] = Field(description=_MODE)


class CreateDomain(_Domain):
    """One NVLink domain: a node pool of up to 18 A4X nodes on one sub-block."""

    moved: ClassVar[Mapping[str, str]] = {
        "spot": "remove it: A4X capacity comes from a reservation only; spot and on-demand do not exist",
    }
    """Keys that node pools of other machines have."""

    mode: Literal["create"] = Field(description=_MODE)
    reservation: Reservation = Field(
        description="projects/P/reservations/R/reservationBlocks/B/reservationSubBlocks/S. A4X capacity comes from a "
        "reservation only; spot and on-demand do not exist"
    )
    node_version: str | None = Field(
        default=None, description="the GKE build of the nodes, such as 1.35.2-gke.1485000; default: the control plane's"
    )
    pool: NodePool = Field(default=NodePool(), description="a mapping with labels, sysctls, kubelet, upgrade, ...")


Domain = AdoptDomain | CreateDomain


class _ModelBucket(StrictModel):
    name: BucketName = Field(description="the bucket's name")
    download: bool = Field(default=False, description="whether a Job downloads the stacks' models into the bucket")


class AdoptModelBucket(_ModelBucket):
    """A Cloud Storage bucket that exists, for the weights."""

    mode: Literal["adopt"] = Field(description=_MODE)


class CreateModelBucket(_ModelBucket):
    """A Cloud Storage bucket that the program creates, for the weights."""

    mode: Literal["create"] = Field(description=_MODE)
    force_destroy: bool | None = Field(
        default=None,
        description="whether a destroy deletes the bucket with its files; default: only where protect is off",
    )


ModelBucket = Annotated[AdoptModelBucket | CreateModelBucket, Field(discriminator="mode")]


Nats = Annotated[
    Annotated[AdoptNats, Tag("adopt")] | Annotated[CreateNats, Tag("create")], Discriminator(mode_or_create)
]
Etcd = Annotated[
    Annotated[AdoptEtcd, Tag("adopt")] | Annotated[CreateService, Tag("create")], Discriminator(mode_or_create)
]


class _Dynamo(StrictModel):
    """What every stack has to know of its Dynamo platform, one installation a cluster."""

    moved: ClassVar[Mapping[str, str]] = {
        "kai": "KAI is a part of its own now: set kai.mode (create, adopt, none) and kai.version",
        "kaiBindingRole": "leave it out: the KAI that is installed has the role itself",
    }
    """Keys that were here, and what to do instead."""

    version: str = Field(default="0.7.0", description="the Dynamo release, such as 0.7.0")
    namespace: KubernetesName = Field(default="dynamo-cloud", description="the namespace of the platform's own pods")
    chart_source: ChartSource | None = Field(
        default=None,
        description="a mirror of all charts: URL, folder or oci://; default: each publisher's own repository",
    )
    chart_login: bool = Field(default=False, description="whether chart archives are fetched with the NGC key")
    system_tolerations: bool = Field(
        default=False, description="whether system pods may run on A4X nodes (a cluster without other nodes)"
    )
    nats_user: Annotated[NatsUser | None, Change.PODS] = Field(
        default=None,
        description="the user with whom the pods log in to a NATS that the program does not install, with the secret "
        "natsPassword; `dynamo` on the platform of another environment; default: they log in to none",
    )


class AdoptDynamo(_Dynamo):
    """A Dynamo platform that runs in the cluster."""

    instead: ClassVar[Mapping[str, str]] = {
        "nats": "remove it; dynamo.natsUser and the secret natsPassword are what the pods log in with",
    }
    """What to set in place of a key of the other mode."""

    mode: Literal["adopt"] = Field(description=_MODE)

    @property
    def parts(self) -> PlatformParts:
        """Nothing is known of others' parts: those of the release."""
        return OWN


class CreateDynamo(_Dynamo):
    """The Dynamo platform, installed by the program."""

    mode: Literal["create"] = Field(description=_MODE)
    storage_class: Annotated[ObjectName | None, Change.NONE] = Field(
        default=None,
        description="a storage class that exists, for the volumes of NATS and etcd; default: the cluster's",
    )
    grove: Annotated[Mode, Change.IN_PLACE] = Field(
        default="create", description="`create` to have Grove installed with the platform, `adopt` to use one that runs"
    )
    crds: Annotated[Mode, Change.IN_PLACE] = Field(
        default="create",
        description="`create` to have Dynamo's CRDs installed, `adopt` where somebody else keeps those of this release",
    )
    nats: Annotated[Nats, Change.PODS] = Field(
        default=CreateNats(), description="a mapping with mode and address, for a NATS that runs, or with login"
    )
    etcd: Annotated[Etcd, Change.PODS] = Field(
        default=CreateService(), description="a mapping with mode and address, for an etcd that runs (0.7 only)"
    )

    @property
    def parts(self) -> PlatformParts:
        """Which parts of the platform are somebody else's."""
        return PlatformParts(
            grove=self.grove == "create",
            crds=self.crds == "create",
            nats=self.nats.address if isinstance(self.nats, AdoptNats) else None,
            etcd=self.etcd.address if isinstance(self.etcd, AdoptEtcd) else None,
        )

    @property
    def nats_login(self) -> Login:
        """Which login the NATS has that comes with the platform; `none` without such a NATS."""
        return self.nats.login if isinstance(self.nats, CreateNats) else "none"


Dynamo = Annotated[AdoptDynamo | CreateDynamo, Field(discriminator="mode")]


class NoKai(StrictModel):
    """Another scheduler places the GPU pods."""

    mode: Literal["none"] = Field(description=_KAI_MODE)


class AdoptKai(StrictModel):
    """A KAI that runs in the cluster."""

    mode: Literal["adopt"] = Field(description=_KAI_MODE)


class CreateKai(StrictModel):
    """KAI, the scheduler of the GPU pods, one installation a cluster."""

    mode: Literal["create"] = Field(default="create", description=_KAI_MODE)
    version: KaiVersion = Field(default=kai.DEFAULT_VERSION, description="the release, such as 0.17.0")


Kai = Annotated[
    Annotated[NoKai, Tag("none")] | Annotated[AdoptKai, Tag("adopt")] | Annotated[CreateKai, Tag("create")],
    Discriminator(mode_or_create),
]


class AdoptDraDriver(StrictModel):
    """NVIDIA's DRA driver, installed by somebody else."""

    mode: Literal["adopt"] = Field(description=_MODE)


class CreateDraDriver(StrictModel):
    """NVIDIA's DRA driver, which creates ComputeDomains."""

    mode: Literal["create"] = Field(description=_MODE)
    version: DraDriverVersion = Field(
        default=dra_driver.DEFAULT_VERSION, description="the chart's release, such as 25.12.0"
    )


DraDriver = Annotated[AdoptDraDriver | CreateDraDriver, Field(discriminator="mode")]


class NodeSoftware(StrictModel):
    """Software on the A4X nodes below the workload."""

    gib_version: GibVersion | None = Field(
        default=None,
        description="the release of Google's NCCL gIB plugin for arm64, such as v1.0.7, or v1.0.7@sha256:... with its "
        "digest; default: the Dynamo release's",
    )
    install_nccl: bool | None = Field(
        default=None,
        description="whether the plugin's own libnccl is installed beside it; default: the Dynamo release's",
    )
    gpu_driver_version: gke.DriverVersion | None = Field(
        default=None,
        description="which GPU driver GKE installs on created pools: DEFAULT, LATEST, INSTALLATION_DISABLED. A change "
        "replaces the pool; default: DEFAULT",
    )


class Frontend(StrictModel):
    """The frontends of one serving stack."""

    replicas: int | None = Field(
        default=None, ge=1, description="the number of frontend pods, of 5 CPUs and 50 GiB each; default: the layout's"
    )
    placement: Literal["a4x", "system"] = Field(
        default="a4x",
        description="`a4x` for the domain's own nodes (arm64 images), `system` for the x86 system nodes",
    )
    image: Image | None = Field(default=None, description="the frontends' image; default: the Dynamo release's")
    environment: Annotated[dict[str, str], Change.PODS] = Field(
        default={}, description="environment variables of the frontends, such as those of Dynamo's router"
    )


class Readiness(StrictModel):
    """How long the readiness check of one serving stack waits."""

    deadline_minutes: int = Field(
        default=180, ge=10, le=1440, description="the minutes until the check gives up, 10 to 1440 (a day)"
    )
    unschedulable_minutes: int = Field(
        default=10, ge=1, le=1440, description="the minutes that a pod may be without a node, fewer than the deadline"
    )


class Stack(StrictModel):
    """One serving stack."""

    name: StackName = Field(description="the stack's name, up to 22 characters")
    namespace: Annotated[KubernetesName | None, Change.PODS] = Field(
        default=None, description="the name of its namespace; default: the stack's name"
    )
    layout: str = Field(description="the name of a folder in sglang_configs/")
    domain: str = Field(description="the name of the domain to run in")
    image: Image | None = Field(default=None, description="the workers' image (arm64); default: the Dynamo release's")
    sglang: Annotated[SglangVersion | None, Change.PODS] = Field(
        default=None,
        description="the SGLang release in `image`, which the layout's arguments are checked against and adapted to; "
        "default: the Dynamo release's",
    )
    gang: Annotated[Gang, Change.GRAPH] = Field(
        default="serving",
        description="which pods start together or not at all: `serving` for what it takes to serve, every decode "
        "replica and one prefill replica; `whole` for all workers (Dynamo 1.5)",
    )
    frontend: Frontend = Field(default=Frontend(), description="a mapping with replicas, placement and image")
    overrides: Overrides = Field(
        default=Overrides(), description="single server arguments and variables, a mapping with prefill and decode"
    )
    wait: bool = Field(
        default=True, description="whether `pulumi up` runs a readiness check and succeeds only when the stack serves"
    )
    readiness: Readiness = Field(
        default=Readiness(), description="a mapping with deadlineMinutes and unschedulableMinutes"
    )
    benchmark: bool = Field(default=True, description="whether the benchmark client is deployed")
    priority_class: Annotated[ObjectName | None, Change.PODS] = Field(
        default=None, description="the priority class of the pods; default: KAI's `inference`, where KAI runs"
    )
    resources: StackResources = Field(
        default=StackResources(), description="a mapping with worker and gcsfuse, each with requests and limits"
    )
    security: Security = Field(
        default=Security(),
        description="a mapping with privilegedWorkers, offlineWorkers, restrictedFrontends and bindToPodAddress",
    )
    volumes: tuple[Volume, ...] = Field(
        default=(), description="a list of volumes, each with name, mountPath, source, readOnly and roles"
    )
    clients: Annotated[Clients, Change.IN_PLACE] = Field(
        default=(),
        description="a list of the pods and ranges that can reach the frontends besides the stack's own pods, or "
        "`cluster` for every pod of the cluster",
    )

    @property
    def space(self) -> str:
        """The namespace of the stack."""
        return self.namespace or self.name


class Settings(StrictModel):
    """An environment: everything that a stack config says, except the secrets."""

    environment: str = Field(description="the name of the Pulumi stack; not a key of the config")
    project: str = Field(alias="gcp:project", description="the Google Cloud project id")
    region: str = Field(alias="gcp:region", description="the region, such as us-central1")
    project_number: ProjectNumber = Field(
        default=None,
        description="the project's number: gcloud projects describe PROJECT --format='value(projectNumber)'",
    )
    protect: bool = Field(
        default=False, description="whether cluster, node pools and bucket are protected from deletion"
    )
    workload_identity: Literal["direct", "serviceAccount"] = Field(
        default="direct", description="`direct`, or `serviceAccount` for the recipe's way"
    )
    identities: Identities = Field(default=Identities(), description="a mapping with nodeServiceAccount, iam, ...")
    encryption: Encryption = Field(
        default=Encryption(), description="a mapping with disks, secrets, bucket, volumes and grant"
    )
    cluster: Cluster = Field(description="a mapping with mode, name, ...")
    domains: tuple[Annotated[Domain, Field(discriminator="mode")], ...] = Field(description="a list of NVLink domains")
    model_bucket: ModelBucket = Field(description="a mapping with mode and name")
    kai: Kai = Field(default=CreateKai(), description="a mapping with mode and version")
    dynamo: Dynamo = Field(description="a mapping with mode, version, ...")
    dra_driver: DraDriver = Field(description="a mapping with mode and version")
    node_software: NodeSoftware = Field(
        default=NodeSoftware(), description="a mapping with gibVersion, installNccl and gpuDriverVersion"
    )
    stacks: tuple[Stack, ...] = Field(default=(), description="a list of serving stacks")
    namespaces: Namespaces = Field(
        default=Namespaces(), description="a mapping with create, kai, draDriver and downloads"
    )
    isolation: Isolation = Field(
        default=Isolation(), description="a mapping with ingress, egress, egressRanges and rdma"
    )
    metadata: Metadata = Field(default=Metadata(), description="a mapping with labels, annotations and tags")
    pods: Pods = Field(default=Pods(), description="a mapping with systemTolerations, proxy, caBundle, ...")
    raw: RawFields = Field(default=RawFields(), description="a mapping with cluster, nodePools and systemPool")
    images: Images = Field(default=Images(), description="a mapping with mirrors and onlyMirrors")

    @property
    def profile(self) -> DynamoProfile:
        """The Dynamo release. It must have a profile."""
        return PROFILES[self.dynamo.version]

    def profile_of(self, stack: Stack) -> DynamoProfile:
        """The Dynamo release as `stack` runs it, with the SGLang release of its image. It must have a profile."""
        return self.profile.serving(stack.sglang)

    def domain(self, name: str) -> Domain | None:
        """The domain called `name`."""
        return next((domain for domain in self.domains if domain.name == name), None)

    @property
    def tolerations(self) -> list[Toleration]:
        """Tolerations of a pod that runs on the nodes of every domain."""
        found = [*A4X.tolerations()]
        for domain in self.domains:
            found += [toleration for toleration in domain.tolerations if toleration not in found]
        return found

    @property
    def system_tolerations(self) -> list[Toleration]:
        """Tolerations of a system pod: those of the settings, and for A4X nodes if it may run there."""
        return [*(self.tolerations if self.dynamo.system_tolerations else ()), *self.said_tolerations]

    @property
    def said_tolerations(self) -> list[Toleration]:
        """Tolerations that the settings give the pods on system nodes."""
        return [
            cast("Toleration", toleration.model_dump(exclude_none=True, by_alias=True))
            for toleration in self.pods.system_tolerations
        ]

    @property
    def system_on_a4x(self) -> bool:
        """Whether system pods may run on A4X nodes: they tolerate what every such node has."""
        every = any(one.key is None and one.effect in (None, "NoSchedule") for one in self.pods.system_tolerations)
        return self.dynamo.system_tolerations or every

    @property
    def mirrors(self) -> ImageMirrors:
        """The mirrors of image registries."""
        return ImageMirrors(self.images.mirrors or {})

    @property
    def foreign_namespaces(self) -> list[Foreign]:
        """The namespaces that somebody else makes; none where the program creates its own."""
        if self.namespaces.create:
            return []
        found = [
            Foreign(f"stacks[{i}].namespace", stack.space, "stack", stack.name) for i, stack in enumerate(self.stacks)
        ]
        if self.namespaces.downloads is not None:
            found.append(Foreign("namespaces.downloads", self.namespaces.downloads, "download"))
        if isinstance(self.dynamo, CreateDynamo):
            found.append(Foreign("dynamo.namespace", self.dynamo.namespace, "dynamo"))
        if isinstance(self.kai, CreateKai):
            found += [Foreign("namespaces.kai", name, "kai") for name in (self.namespaces.kai, KAI_RESERVATION)]
        if isinstance(self.dra_driver, CreateDraDriver):
            found.append(Foreign("namespaces.draDriver", self.namespaces.dra_driver, "dra-driver"))
        return found

    @property
    def created_network(self) -> CreateNetwork | None:
        """The network that the program creates; None: it is adopted, or its cluster is."""
        network = self.cluster.network if isinstance(self.cluster, CreateCluster) else None
        return network if isinstance(network, CreateNetwork) else None

    @property
    def creates_apis_zone(self) -> bool:
        """Whether the program creates the private zone of Google's APIs: in a network of its own."""
        return self.created_network is not None and self.isolation.egress == "private-googleapis"

    @property
    def creates_roce_vpc(self) -> bool:
        """Whether the program creates the VPC of the RDMA NICs."""
        own = self.created_network is not None and self.cluster.device_networks is None
        return own and self.cluster.rdma == "multi-network"

    @property
    def rdma_tag(self) -> str | None:
        """Id of the tag value by which the RoCE VPC's firewall policy knows the nodes; None: there is no policy."""
        tag = self.isolation.rdma_firewall
        return None if tag is None else self.metadata.secure_tags[tag]

    @property
    def apis(self) -> tuple[str, ...]:
        """The Google Cloud APIs that the environment uses."""
        return (*gke.APIS, DNS_API) if self.creates_apis_zone else gke.APIS

    @property
    def creates_volumes(self) -> bool:
        """Whether the program creates volumes: those of the platform's NATS and etcd."""
        return isinstance(self.dynamo, CreateDynamo) and self.profile.makes_volumes(self.dynamo.parts)

    @property
    def location(self) -> str:
        """Where the cluster is: the region, or the zone of a zonal cluster."""
        return self.cluster.location or self.region

    @property
    def a4x_nodes(self) -> int:
        """Nodes of all domains."""
        return sum(domain.nodes for domain in self.domains)

    @property
    def created_domains(self) -> tuple[CreateDomain, ...]:
        """Domains whose node pool the program creates."""
        return tuple(domain for domain in self.domains if isinstance(domain, CreateDomain))

"""Rules of GKE for A4X that need no call to the cloud: versions, zones, reservations, node counts, roles.

A broken rule is a `GkeRuleError` whose message names the key, the value, the rule and the fix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reference import naming
from reference.dynamo import DynamoProfile
from reference.machines import A4X
from validation.problems import RuleError

RdmaMode = Literal["multi-network", "dranet"]
"""How pods reach the four CX-7 NICs: through GKE `Network` objects and a pod annotation, or through DRANET's
resource claims. A cluster uses one of them; both must not claim the same NICs."""

Endpoint = Literal["dns", "dns-only", "private-ip", "public-ip"]
"""How the control plane is reached: by its DNS name, which IAM guards, with or without IP addresses beside it; by its
private IP address, from the VPC; or by its public one. Listed ranges alone reach an IP address."""

DriverVersion = Literal["DEFAULT", "LATEST", "INSTALLATION_DISABLED"]
"""Which GPU driver GKE installs on a pool: the one its build was tested with, the newest available, or none."""

DEFAULT_DRIVER: Final = "DEFAULT"
"""R580 or newer on every version in the window."""

DEVICE_NETWORKS: Final = (A4X.gvnic_network, *A4X.rdma_networks)
"""Additional networks of an A4X node in the order of its NICs: eth1, then eth2 to eth5. GKE attaches the NICs
in list order, and every published A4X setup has the gVNIC first."""

DEFAULT_VERSION: Final = "1.35"
"""Minor version of a new cluster: the newest that Dynamo 0.7.0's scheduler works on."""

DEFAULT_CHANNEL: Final = "REGULAR"

RUN_MINOR: Final = 35
"""The last minor version of Kubernetes 1.x that Dynamo, Grove and KAI were run on. From 1.36 on a scheduler needs
`update` and `patch` on `resourceclaims/binding`, which KAI has since 0.15."""

TAINT_FIX: Final = "1.34.1-gke.2037001"
"""First 1.34 build that removes the `impending-node-termination` taint from GPU nodes after host maintenance
(GKE's list of known issues; fixed in 1.35 from the start)."""

NODE_POOL_MAX: Final = 40
"""Characters of a node pool's name."""

TAINT_EFFECTS: Final[Mapping[str, str]] = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}
"""GKE's names of Kubernetes' taint effects."""

WRITTEN_LABELS: Final = ("cloud.google.com/gke-accelerator", "cloud.google.com/gke-gpu-driver-version")
"""Labels that GKE gives the nodes of GPU pools by itself. Whether it also writes them into the pool is unverified."""

RECREATING: Final = (
    "containerdConfig",
    "diskSizeGb",
    "diskType",
    "gcfsConfig",
    "imageType",
    "kubeletConfig",
    "linuxNodeConfig",
    "loggingVariant",
    "workloadMetadataConfig",
)
"""Fields of a node config that the provider updates in place and GKE applies by re-creating the nodes, as the upgrade
settings say (provider 7.45's `container_node_pool`; GKE's page on node upgrade strategies)."""

APIS: Final = (
    "artifactregistry.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
)
"""Services that the program uses, directly or through GKE."""

DEPLOYER_ROLES: Final = (
    "roles/compute.admin",
    "roles/container.admin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/resourcemanager.projectIamAdmin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
)
"""What the identity that runs `pulumi up` needs on the project to create everything. Google's A4X guide lists the
Service Usage consumer role; enabling APIs, as this program does, takes the admin role."""

ADOPTER_ROLES: Final = ("roles/compute.viewer", "roles/container.admin", "roles/storage.admin")
"""What it needs to adopt cluster and pools: GKE's `getCluster` lists instance group managers, which
`container.admin` alone may not (seen: 403 compute.instanceGroupManagers.list)."""

NODE_ROLES: Final = ("roles/artifactregistry.reader", "roles/container.defaultNodeServiceAccount")
"""What a node itself needs: pull images from the project's own registry, write logs and metrics (GKE's role for nodes).
Pods have identities of their own (Workload Identity) and get none of this."""

DRANET_LABEL: Final = "cloud.google.com/gke-networking-dra-driver"
"""Label of the nodes on which GKE runs DRANET's driver, with the value true."""

DRANET_CLASS: Final = "mrdma.google.com"
"""Device class of RDMA NICs, which GKE installs; its other one, netdev.google.com, is for NICs without RDMA (its DRANET
guide)."""

INTERFACES: Final = "networking.gke.io/interfaces"
"""Annotation of a pod: a JSON list of its interfaces, each with the name of a `Network` object."""

DRANET_ROLE: Final = "roles/compute.networkAdmin"
"""What GKE may need to create DRANET's networks (the profile `auto`): NVIDIA's AICR grants it, Google's toolkit and XPK
do not."""

# All used with `fullmatch`; `[0-9]` because `\d` matches the digits of every script.
SECURITY_GROUP: Final = re.compile(r"gke-security-groups@[a-z0-9-]+(\.[a-z0-9-]+)+")
"""The group of Google Groups for RBAC, whose name GKE prescribes."""
_ZONE: Final = re.compile(r"[a-z]+-[a-z]+[0-9]+-(?:ai[0-9]+)?[a-z]")
"""A zone, or an AI zone such as us-central1-ai1a, which belongs to its region like any other."""
_REGION: Final = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_NUMBER: Final = r"(0|[1-9][0-9]{0,8})"
_VERSION: Final = re.compile(rf"{_NUMBER}\.{_NUMBER}(?:\.{_NUMBER}(?:-gke\.{_NUMBER})?)?\.?")
_RESERVATION: Final = re.compile(
    r"(?:projects/(?P<project>[^/]+)/reservations/)?(?P<name>[^/]+)"
    r"(?:/reservationBlocks/(?P<block>[^/]+)(?:/reservationSubBlocks/(?P<sub_block>[^/]+))?)?"
)
_PROJECT_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
RESOURCE_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
PROJECT_ID: Final = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?:)?[a-z][-a-z0-9]{4,28}[a-z0-9]")


class GkeRuleError(RuleError):
    """A value breaks a rule of GKE or of A4X. The message names the key, the value, the rule and the fix."""


def alias(version: str, key: str = "cluster.version") -> str:
    """`version` as GKE's API accepts it: without the trailing dot of a version prefix.

    Beside exact builds the API accepts the aliases "1.X" and "1.X.Y", which stand for the highest valid build of that
    minor or patch (reference of `Cluster.initialClusterVersion`). So a prefix needs no lookup of versions, and a
    preview no network.
    """
    _parsed(version, key)
    return version.rstrip(".")


def _parsed(version: str, key: str) -> tuple[int, int, int | None, int | None]:
    match = _VERSION.fullmatch(version)
    if match is None or match[1] != "1":
        raise GkeRuleError(
            key, version, "not a GKE version", 'Write "1.35", or an exact build such as "1.35.2-gke.1485000"'
        )
    return 1, int(match[2]), _number(match[3]), _number(match[4])


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


@dataclass(frozen=True)
class VersionWindow:
    """GKE minor versions that a Dynamo release supports, and why not others."""

    profile: str
    """The Dynamo release, for messages."""
    lowest: int
    highest: int
    run: int
    """The last version that was run; later ones are accepted with a warning."""
    below: str
    """What breaks below `lowest`."""
    above: str
    """What breaks above `highest`."""

    def check(self, version: str, key: str = "cluster.version") -> None:
        """Raise `GkeRuleError` if `version` (alias, prefix or exact build) is outside the window."""
        _, found, patch, build = _parsed(version, key)
        if not self.lowest <= found <= self.highest:
            raise GkeRuleError(
                key,
                version,
                f"Dynamo {self.profile} runs on GKE 1.{self.lowest} to 1.{self.highest}; "
                f"{self.below if found < self.lowest else self.above}",
                f'Set it to "1.{self.run}", or choose a Dynamo release that accepts this version',
            )
        fix = _parsed(TAINT_FIX, key)
        if found == fix[1] and patch is not None and (patch, build or 10**9) < (fix[2] or 0, fix[3] or 0):
            raise GkeRuleError(
                key,
                version,
                f"before {TAINT_FIX} GPU nodes keep the taint impending-node-termination after host maintenance",
                f'Set it to "1.{found}" for the newest build, or to {TAINT_FIX} or later',
            )

    def warning(self, version: str, key: str = "cluster.version") -> str | None:
        """A warning about a version that `check` accepts."""
        found = _parsed(version, key)[1]
        if found <= self.run:
            return None
        return f"{key} = {version}: Dynamo {self.profile} was not run on 1.{found}; it was on 1.{self.run}."


_BELOW: Final = (
    "before 1.34 dynamic resource allocation needs beta APIs that can never be switched off again without a new cluster"
)
_ABOVE: Final = "later versions have not been checked for changes to the scheduler and to device claims"


def version_window(profile: DynamoProfile) -> VersionWindow:
    """The window of a Dynamo release."""
    lowest, highest = profile.kubernetes
    return VersionWindow(profile.version, lowest, highest, RUN_MINOR, _BELOW, _ABOVE)


def check_project(project: str, key: str = "project") -> None:
    """Raise `GkeRuleError` unless `project` is a valid project id."""
    if not PROJECT_ID.fullmatch(project):
        raise GkeRuleError(
            key,
            project,
            "a project id has 6 to 30 lower-case letters, digits and hyphens, a letter first",
            "Give the project's id, not its name: gcloud projects list",
        )


def check_project_number(number: str, key: str = "projectNumber") -> None:
    """Raise `GkeRuleError` unless `number` is a valid project number."""
    if not _PROJECT_NUMBER.fullmatch(number):
        raise GkeRuleError(
            key,
            number,
            "a project's number is a whole number, without leading zeros",
            "Ask for it: gcloud projects describe PROJECT --format='value(projectNumber)'",
        )


def check_region(region: str, key: str = "region") -> None:
    """Raise `GkeRuleError` unless `region` has the form of a region."""
    if not _REGION.fullmatch(region):
        raise GkeRuleError(key, region, "not a region of Google Cloud", 'Write it like "us-central1"')


def check_zone(zone: str, region: str, key: str = "zone") -> None:
    """Raise `GkeRuleError` unless `zone` is in `region`: pool, RDMA network and bucket share the region."""
    if not _ZONE.fullmatch(zone):
        raise GkeRuleError(key, zone, "not a zone of Google Cloud", f'Write it like "{region}-b"')
    if zone.rpartition("-")[0] != region:
        raise GkeRuleError(
            key,
            zone,
            f"the zone lies outside the region {region} of the cluster",
            f"Choose the zone of the reservation and set gcp:region to {zone.rpartition('-')[0]}",
        )


def rdma_resources() -> list[str]:
    """Names by which a container asks for an RDMA NIC: those of GKE's device plugin, which a webhook of GKE adds to
    pods with the annotation (public A4X manifests have them with and without the suffix), and the one that Kubernetes
    derives from a device class (KEP-5004, from 1.34 on).
    """
    networks = [f"networking.gke.io.networks/{name}" for name in A4X.rdma_networks]
    return [*networks, *(f"{name}.IP" for name in networks), f"deviceclass.resource.kubernetes.io/{DRANET_CLASS}"]


def rdma_zone(zones: Mapping[str, str]) -> str:
    """The one zone of the created domains `zones` (name -> zone).

    The RoCE network profile is zonal and the `Network` objects have fixed names, so a cluster has one RDMA network and
    its A4X pools share one zone.
    """
    found = sorted(set(zones.values()))
    if len(found) != 1:
        listed = ", ".join(f"{name} in {zone}" for name, zone in sorted(zones.items())) or "no domain"
        raise GkeRuleError(
            "domains",
            listed,
            "all domains of a cluster share one RDMA network, and its profile belongs to one zone",
            "Put them into one zone, or the others into an environment of their own",
        )
    return found[0]


def rdma_profile(zone: str) -> str:
    """Name of the network profile that lets a VPC hold the CX-7 NICs of `zone` (A4X; A4X Max has another)."""
    return f"{zone}-vpc-roce"


def rdma_profile_path(project: str, zone: str) -> str:
    """`rdma_profile` as the partial URL that a VPC takes."""
    return f"projects/{project}/global/networkProfiles/{rdma_profile(zone)}"


def service_agent(project_number: str) -> str:
    """Email of the service agent through which GKE acts in a project."""
    return f"service-{project_number}@container-engine-robot.iam.gserviceaccount.com"


def check_node_version(version: str, control_plane: str | None, key: str) -> None:
    """Check the version of a pool's nodes; `control_plane` is None for an adopted cluster.

    Raises:
        GkeRuleError: not an exact build, or newer than the control plane.
    """
    wanted = _parsed(version, key)
    if wanted[3] is None:
        raise GkeRuleError(
            key,
            version,
            "nodes need an exact build: GKE resolves a prefix to a build, which would show as a change",
            'Write it like "1.35.2-gke.1485000": gcloud container get-server-config --location REGION',
        )
    if control_plane is None:
        return
    # Unspecified parts of the control plane's version mean the newest build.
    given = [part for part in _parsed(control_plane, "cluster.version") if part is not None]
    if [part or 0 for part in wanted[: len(given)]] > given:
        raise GkeRuleError(
            key,
            version,
            f"nodes are never newer than the control plane, which is {control_plane}",
            "Choose an older build, or raise cluster.version",
        )


def cluster_network(cluster: str) -> str:
    """Name of the VPC that is created for `cluster`: eth0 of its nodes."""
    return f"{cluster}-net-0"


def gvnic_network(cluster: str) -> str:
    """Name of the VPC that is created for the second gVNIC of the A4X nodes of `cluster`: eth1."""
    return f"{cluster}-net-1"


def of_cluster(cluster: str) -> str:
    """Part of the description of everything that is created for `cluster`, by which preflight knows its own."""
    return f"of GKE cluster {cluster}"


def rdma_network(cluster: str, zone: str) -> str:
    """Name of the VPC that is created for the CX-7 NICs of `cluster`; its subnets add `-0` to `-3`.

    It contains the zone because another zone needs another VPC, while the pool in the old zone still uses the old one.
    """
    return f"{cluster}-rdma-{zone}"


def check_nodes(nodes: int, key: str = "nodes") -> str | None:
    """Check the number of nodes of one NVLink domain; returns a warning if it is allowed but wasteful.

    Raises:
        GkeRuleError: fewer than 1 or more than 18 nodes.
    """
    if not 1 <= nodes <= A4X.nodes_per_domain:
        raise GkeRuleError(
            key,
            nodes,
            f"an NVLink domain has 1 to {A4X.nodes_per_domain} nodes",
            "List one domain for each reservation sub-block",
        )
    if nodes < A4X.nodes_per_domain:
        rest = A4X.nodes_per_domain - nodes
        return (
            f"{key} = {nodes}: GKE gives the whole sub-block of {A4X.nodes_per_domain} nodes to the pool; "
            "the other "
            f"{rest} stay reserved and closed to other pools until the number is raised."
        )
    return None


def check_pool_name(name: str, key: str = "name") -> None:
    """Raise `GkeRuleError` unless `name` is a valid node pool name."""
    if not RESOURCE_NAME.fullmatch(name) or len(name) > NODE_POOL_MAX:
        raise GkeRuleError(
            key,
            name,
            f"a node pool's name has up to {NODE_POOL_MAX} lower-case letters, digits and hyphens, a letter first",
            'Choose a short name such as "a4x-0"',
        )


def check_cluster_name(name: str, key: str = "cluster.name") -> None:
    """Raise `GkeRuleError` unless `name` is a valid cluster name, short enough for the names derived from it."""
    if not RESOURCE_NAME.fullmatch(name) or len(name) > naming.CLUSTER_MAX:
        raise GkeRuleError(
            key,
            name,
            f"the name has {len(name)} characters; networks and accounts are named after the cluster, so it "
            "has up "
            f"to {naming.CLUSTER_MAX} lower-case letters, digits and hyphens, a letter first",
            "Choose a shorter name",
        )


@dataclass(frozen=True)
class Reservation:
    """A reservation, or one of its blocks or sub-blocks (one NVL72 rack)."""

    name: str
    project: str | None = None
    """Project that owns the reservation; None: the cluster's own."""
    block: str | None = None
    sub_block: str | None = None

    def path(self, default_project: str) -> str:
        """The value of a node pool's reservation affinity, always with the project."""
        path = f"projects/{self.project or default_project}/reservations/{self.name}"
        if self.block is not None:
            path += f"/reservationBlocks/{self.block}"
        if self.sub_block is not None:
            path += f"/reservationSubBlocks/{self.sub_block}"
        return path


def parse_reservation(text: str, key: str = "reservation") -> Reservation:
    """Parse `[projects/P/reservations/]R[/reservationBlocks/B[/reservationSubBlocks/S]]`."""
    match = _RESERVATION.fullmatch(text)
    if match is None:
        raise GkeRuleError(
            key,
            text,
            "not a reservation",
            "Write NAME, or projects/PROJECT/reservations/NAME, with /reservationBlocks/BLOCK and "
            "/reservationSubBlocks/SUBBLOCK behind it to choose one rack",
        )
    return reservation(match["name"], match["project"], match["block"], match["sub_block"], key=key)


def reservation(
    name: str,
    project: str | None = None,
    block: str | None = None,
    sub_block: str | None = None,
    *,
    key: str = "reservation",
) -> Reservation:
    """A `Reservation` from its parts, each checked."""
    if project is not None and not PROJECT_ID.fullmatch(project):
        raise GkeRuleError(
            f"{key}.project",
            project,
            "not a project id",
            "Give the id of the project that owns the reservation",
        )
    for part, value in (("name", name), ("block", block), ("subBlock", sub_block)):
        if value is not None and not RESOURCE_NAME.fullmatch(value):
            raise GkeRuleError(
                f"{key}.{part}",
                value,
                "a name has up to 63 lower-case letters, digits and hyphens, a letter first",
                "Copy it from `gcloud beta compute reservations sub-blocks list`",
            )
    if sub_block is not None and block is None:
        raise GkeRuleError(
            f"{key}.subBlock", sub_block, "a sub-block is named together with its block", f"Add {key}.block"
        )
    return Reservation(name, project, block, sub_block)


def ignored_labels(others: Iterable[str]) -> list[str]:
    """Paths for `ignore_changes` of a node pool: single labels that GKE and other tools write on it."""
    return [f'nodeConfig.labels["{key}"]' for key in (*WRITTEN_LABELS, *others)]

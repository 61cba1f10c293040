"""Networks of a cluster and of its node pools: how they are named, and who may use those of another project.

A name is one of the caller's own project; a network of a Shared VPC's host project is found by its path alone. The
accounts that act there, and their roles, are those of GKE's guide on Shared VPC; the refusals are quoted from
terraform-google-kubernetes-engine issues 302 and 616.
"""

from __future__ import annotations

import ipaddress
import re

from rehearsal.simulator.gcp.outputs import project_number
from rehearsal.simulator.gcp.rules import CLUSTER, NETWORK, PROJECT_MEMBER, SUBNETWORK, SUBNETWORK_MEMBER, short
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, dig, items, mapping, text

KINDS = frozenset({NETWORK, SUBNETWORK})
HOST_AGENT = "roles/container.hostServiceAgentUser"
NETWORK_USER = "roles/compute.networkUser"
_HOST = re.compile(r"^https://[^/]+/compute/[a-z0-9]+/")


def named(state: CloudState, kind: str, reference: str, placed: Props) -> CloudResource | None:
    """The network or subnetwork that an object in this project and place means by a name or a path."""
    path = _HOST.sub("", reference)
    if not path.startswith("projects/"):
        region = text(placed, "region") or _region(text(placed, "location"))
        where = "global/networks" if kind == NETWORK else f"regions/{region}/subnetworks"
        path = f"projects/{text(placed, 'project')}/{where}/{reference}"
    return state.get(kind, path)


def at_cluster(state: CloudState, placed: Props) -> None:
    """What keeps GKE from putting a cluster into its network; a cluster has a node of its default pool at first."""
    at_endpoint(placed)
    network = named(state, NETWORK, text(placed, "network"), placed)
    subnetwork = named(state, SUBNETWORK, text(placed, "subnetwork"), placed)
    if subnetwork is not None:
        ranges = {text(part, "rangeName") for part in items(subnetwork.outputs, "secondaryIpRanges")}
        for field in ("clusterSecondaryRangeName", "servicesSecondaryRangeName"):
            wanted = text(placed, f"ipAllocationPolicy.{field}")
            if wanted and wanted not in ranges:
                raise ApiError(f"Error 400: {field}: subnetwork '{subnetwork.id}' has no secondary range '{wanted}'")
    if network is not None and _owner(network) != placed["project"]:
        _agent_of_host(state, _owner(network), str(placed["project"]))
        if subnetwork is not None:
            _users(state, subnetwork, str(placed["project"]))


def at_endpoint(placed: Props) -> None:
    """A private control plane takes no public ranges (terraform-google-kubernetes-engine issue 153)."""
    if dig(placed, "privateClusterConfig.enablePrivateEndpoint") is not True:
        return
    for block in items(placed, "masterAuthorizedNetworksConfig.cidrBlocks"):
        cidr = text(block, "cidrBlock")
        if cidr and ipaddress.IPv4Network(cidr).is_global:
            raise ApiError(
                f'Error 400: Invalid master authorized networks: network "{cidr}" is not a reserved network, which is '
                "required for private endpoints., badRequest"
            )


def at_pool(state: CloudState, cluster: CloudResource | None, placed: Props) -> None:
    """What keeps a pool's nodes from their networks.

    All NICs of a node are in one project (GKE's guide on multi-network support for Pods), and both agents use each of
    its subnetworks.
    """
    if cluster is None:
        return
    own = named(state, NETWORK, text(cluster.outputs, "network"), cluster.outputs)
    project = str(placed["project"])
    host = project if own is None else _owner(own)
    for config in items(placed, "networkConfig.additionalNodeNetworkConfigs"):
        network = named(state, NETWORK, text(config, "network"), placed)
        subnetwork = named(state, SUBNETWORK, text(config, "subnetwork"), placed)
        if own is not None and network is not None and _owner(network) != host:
            raise ApiError(
                f"Error 400: network '{network.id}' is not in project {host}: all NICs of the nodes must belong to the "
                "project of the cluster's network"
            )
        if subnetwork is not None and host != project:
            _users(state, subnetwork, project)
    if host != project and mapping(placed, "networkConfig").get("acceleratorNetworkProfile") == "auto":
        raise ApiError(
            f"Error 400: the accelerator network profile makes networks in project {project}, and all NICs of the "
            f"nodes must belong to {host} [inferred]"
        )


def _agent_of_host(state: CloudState, host: str, project: str) -> None:
    if not _on_project(state, host, HOST_AGENT, _agents(project)[0]):
        raise ApiError(
            "Error 403: Kubernetes Engine Service Agent is missing required permissions on this project: required "
            f'"container.hostServiceAgent.use" permission(s) for "projects/{host}"., forbidden'
        )


def _users(state: CloudState, subnetwork: CloudResource, project: str) -> None:
    for member in _agents(project):
        held = state.find(
            SUBNETWORK_MEMBER,
            where=lambda grant, member=member: (
                grant.id.startswith(f"{subnetwork.id}/")
                and (text(grant.outputs, "role"), text(grant.outputs, "member")) == (NETWORK_USER, member)
            ),
        )
        if not held and not _on_project(state, _owner(subnetwork), NETWORK_USER, member):
            raise ApiError(
                f"Google Compute Engine: Required 'compute.subnetworks.get' permission for '{subnetwork.id}' "
                f"({member} has no {NETWORK_USER})"
            )


def _agents(project: str) -> tuple[str, str]:
    """GKE's service agent, and the account as which Google's APIs make instance groups."""
    number = project_number(project)
    return (
        f"serviceAccount:service-{number}@container-engine-robot.iam.gserviceaccount.com",
        f"serviceAccount:{number}@cloudservices.gserviceaccount.com",
    )


def agents_grants(project: str) -> list[tuple[str, str, bool]]:
    """What a host project grants the clusters of a project: role, member, and whether on each subnetwork."""
    robot, apis = _agents(project)
    return [(HOST_AGENT, robot, False), (NETWORK_USER, robot, True), (NETWORK_USER, apis, True)]


def _on_project(state: CloudState, project: str, role: str, member: str) -> bool:
    return state.get(PROJECT_MEMBER, f"{project}/{role}/{member}") is not None


def _owner(resource: CloudResource) -> str:
    return resource.id.split("/")[1]


def _region(location: str) -> str:
    """The region of a region or zone."""
    return "-".join(location.split("-")[:2])


def clusters_name(state: CloudState, cluster: str) -> str:
    """Name of the VPC of a cluster, by which GKE's controller tells it from the devices' (cloud-provider-gcp,
    gnpcontroller_validations: VPC names are compared, not paths).
    """
    found = state.get(CLUSTER, cluster)
    return short(text(found.outputs, "network")) if found else ""

"""What a network team provides for networks that are adopted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reference import addresses, egress, firewall, gke, iam, networks, shared_vpc, system_pool
from reference.prerequisites import Prerequisite

CLUSTER_CHECK: Final = "cluster network"
DEVICES_CHECK: Final = "device networks"
"""Names of the preflight checks of the cluster's network, and of those of the additional NICs."""

_CLUSTER, _DEVICES = "cluster.network", "cluster.deviceNetworks"
_PROFILE: Final = "https://cloud.google.com/vpc/docs/rdma-network-profiles"
_MULTI_NETWORK: Final = "https://cloud.google.com/kubernetes-engine/docs/how-to/setup-multinetwork-support-for-pods"


@dataclass(frozen=True)
class Team:
    """Whose networks they are, and where."""

    project: str
    """The project that owns them: a Shared VPC's host project, or the cluster's own."""
    region: str
    zone: str
    """Zone of the A4X nodes."""

    def subnet(self, network: str, name: str) -> str:
        """A command that creates a subnetwork."""
        create = f"gcloud compute networks subnets create {name} --project {self.project}"
        return f"{create} --region {self.region} --network {network}"


def of_cluster(
    team: Team, network: str, subnetwork: str, ranges: tuple[str, str], a4x_nodes: int
) -> Iterator[Prerequisite]:
    """The cluster's own network; `ranges` are the names of the secondary ranges for pods and services."""
    name, subnet, (pods, services) = networks.last_part(network), networks.last_part(subnetwork), ranges
    nodes = a4x_nodes + system_pool.NODES_MAX
    yield Prerequisite(
        _CLUSTER,
        f"subnetwork {subnet} of network {name} in project {team.project}, with {nodes} addresses, private Google "
        f"access and the secondary ranges {pods} (/{addresses.pods_prefix(nodes)} or larger) and {services} "
        f"(/{networks.SERVICES_PREFIX_MAX} or larger)",
        f"{team.subnet(name, subnet)} --range NODES_RANGE --enable-private-ip-google-access "
        f"--secondary-range {pods}=PODS_RANGE,{services}=SERVICES_RANGE",
        CLUSTER_CHECK,
        "https://cloud.google.com/kubernetes-engine/docs/how-to/alias-ips",
    )
    yield Prerequisite(
        _CLUSTER,
        "the firewall rules of the output firewallRules, in each of the networks",
        "pulumi stack output firewallRules",
        "none: only a packet shows which rules let it in",
        "reference/firewall.py",
    )


def of_devices(
    team: Team, gvnic: tuple[str, str], rdma: str, rdma_subnetworks: Sequence[str]
) -> Iterator[Prerequisite]:
    """The networks of the additional NICs; `gvnic` is a network and its subnetwork."""
    network, subnet = map(networks.last_part, gvnic)
    vpc = f"gcloud compute networks create {{}} --project {team.project} --subnet-mode custom --mtu {networks.MTU}"
    yield Prerequisite(
        _DEVICES,
        f"network {network} with an MTU of {networks.MTU} and subnetwork {subnet}, without secondary ranges",
        f"{vpc.format(network)}; {team.subnet(network, subnet)} --range RANGE",
        DEVICES_CHECK,
        _MULTI_NETWORK,
    )
    name, profile = networks.last_part(rdma), gke.rdma_profile(team.zone)
    subnets = "; ".join(f"{team.subnet(name, networks.last_part(path))} --range RANGE" for path in rdma_subnetworks)
    yield Prerequisite(
        _DEVICES,
        f"network {name} with the profile {profile}, which is chosen when it is created, and its four subnetworks",
        f"{vpc.format(name)} --network-profile {profile}; {subnets}",
        DEVICES_CHECK,
        _PROFILE,
    )


def of_apis_zone(project: str, network: str) -> Iterator[Prerequisite]:
    """The private zone of Google's APIs for a network that somebody else made; `network` is its name or words."""
    zone = f"--project {project} --zone googleapis"
    addresses = ",".join(egress.PRIVATE_APIS)
    yield Prerequisite(
        "isolation.egress",
        f"in network {network} of project {project} the names *.{egress.ZONE} lead to {egress.VIRTUAL_HOST}, "
        f"{egress.PRIVATE_APIS[0]} to {egress.PRIVATE_APIS[-1]}: by a private zone, and with a route to "
        f"{firewall.GOOGLE_APIS} by the default internet gateway",
        f"gcloud dns managed-zones create googleapis --project {project} --visibility private --networks {network} "
        f"--dns-name {egress.ZONE} --description apis; "
        f"gcloud dns record-sets create {egress.VIRTUAL_HOST} {zone} --type A --ttl 300 --rrdatas {addresses}; "
        f"gcloud dns record-sets create *.{egress.ZONE} {zone} --type CNAME --ttl 300 --rrdatas {egress.VIRTUAL_HOST}",
        "none: a peering zone or a response policy leads there as well, so only a pod can tell",
        "https://cloud.google.com/vpc/docs/configure-private-google-access",
    )


def of_host(
    key: str, host: str, project_number: str, region: str, subnetworks: Sequence[str]
) -> Iterator[Prerequisite]:
    """What the owner of a Shared VPC's host project grants for the nodes' subnetworks, which `key` names."""
    yield Prerequisite(
        key,
        f"the API {shared_vpc.API} is on in project {host}",
        f"gcloud services enable {shared_vpc.API} --project {host}",
        shared_vpc.API_CHECK,
        "https://github.com/terraform-google-modules/terraform-google-kubernetes-engine/issues/302",
    )
    for grant in shared_vpc.grants(host, project_number, region, subnetworks):
        what = f"{grant.account} has {grant.role} on {grant.where}"
        yield Prerequisite(key, what, grant.command, shared_vpc.CHECK, shared_vpc.SOURCE)
    places = [networks.subnetwork(path) for path in dict.fromkeys(subnetworks)]
    uses = [
        f"gcloud compute networks subnets add-iam-policy-binding {place.name} --project {host} --region "
        f"{place.region or region} --member=MEMBER --role={shared_vpc.NETWORK_USER} --condition=None"
        for place in places
    ]
    source = "https://github.com/hashicorp/terraform-provider-google/issues/1711"
    for what, command in (
        (f"{shared_vpc.NETWORK_USER} on the nodes' subnetworks", "; ".join(uses)),
        ("roles/compute.networkViewer on it", iam.command("project", host, "roles/compute.networkViewer", "MEMBER")),
    ):
        check = CLUSTER_CHECK if key == _CLUSTER else DEVICES_CHECK
        yield Prerequisite(key, f"whoever runs pulumi has {what} (project {host})", command, check, source)

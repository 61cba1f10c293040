"""Networks that exist and are used: those of the cluster and of the NICs, and what their project grants."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Final

from preflight.cloud import Network, Subnetwork
from preflight.results import Outcome, failed, passed, warned
from preflight.site import Site
from reference import addresses, gke, networks, shared_vpc, system_pool
from settings.network import AdoptNetwork, DeviceNetworks

_KEY: Final = "cluster.network"


def cluster_network(site: Site, named: AdoptNetwork) -> Outcome:
    """The network, the nodes' subnetwork and its secondary ranges exist, and are large enough."""
    settings = site.settings
    network, subnet = _network(site, named.network), site.subnetwork(named.subnetwork)
    if network is None:
        return failed(f"there is no network {named.network}", f"correct {_KEY}.network: gcloud compute networks list")
    if subnet is None:
        return failed(
            f"there is no subnetwork {named.subnetwork} in {settings.region}",
            f"correct {_KEY}.subnetwork: gcloud compute networks subnets list --network {network.name}",
        )
    wanted = settings.a4x_nodes + system_pool.NODES_MAX
    wrong = [*_foreign(subnet, network), *_ranges(subnet, named, wanted)]
    control_plane = named.control_plane_subnetwork
    if control_plane is not None:
        its = site.subnetwork(control_plane)
        if its is None:
            finding = f"there is no subnetwork {control_plane} in {settings.region}"
            wrong.append((finding, f"correct {_KEY}.controlPlaneSubnetwork"))
        else:
            wrong += _foreign(its, network)
    if wrong:
        return _failed(wrong)
    if network.mtu and network.mtu < networks.MTU:
        return warned(*_slow(network))
    secondary = [f"{name} {subnet.secondary[name]}" for name in (named.pods_range, named.services_range)]
    return passed(f"{subnet.name} {subnet.range} with {', '.join(secondary)} in {network.name}, for {wanted} nodes")


def _ranges(subnet: Subnetwork, named: AdoptNetwork, nodes: int) -> Iterator[tuple[str, str]]:
    """What is wrong with the ranges, for this many nodes, those of the system pool included."""
    if not subnet.private_access:
        yield (
            f"{subnet.name} has no private Google access, so nodes without public addresses reach no Google API",
            f"gcloud compute networks subnets update {subnet.name} --enable-private-ip-google-access",
        )
    yield from _small(subnet, nodes)
    for key, name in (("podsRange", named.pods_range), ("servicesRange", named.services_range)):
        if name not in subnet.secondary:
            yield (
                f"{subnet.name} has no secondary range {name} (it has: {', '.join(subnet.secondary) or 'none'})",
                f"correct {_KEY}.{key}",
            )
    pods, services = subnet.secondary.get(named.pods_range), subnet.secondary.get(named.services_range)
    if pods is not None and addresses.nodes_of_pods(pods) < nodes:
        finding = (
            f"{named.pods_range} ({pods}) holds the pods of {addresses.nodes_of_pods(pods)} nodes, a "
            f"/{addresses.POD_PREFIX_PER_NODE} for each, and {nodes} are wanted ({system_pool.NODES_MAX} of them "
            "system nodes)"
        )
        yield finding, f"give a range of /{addresses.pods_prefix(nodes)} or larger"
    if services is not None and ipaddress.ip_network(services).prefixlen > networks.SERVICES_PREFIX_MAX:
        yield (
            f"{named.services_range} ({services}) is smaller than the /{networks.SERVICES_PREFIX_MAX} that GKE takes",
            f"give a range of /{networks.SERVICES_PREFIX_MAX} or larger",
        )


def devices(site: Site, named: DeviceNetworks) -> Outcome:
    """The configured networks for the NICs of created pools exist and fit."""
    gvnic, rdma = _network(site, named.gvnic.network), _network(site, named.rdma_network)
    if gvnic is None or rdma is None:
        missing = [name for name, found in zip(named.networks, (gvnic, rdma), strict=True) if found is None]
        return failed(
            f"there is no network {', '.join(missing)}",
            "correct cluster.deviceNetworks; the cluster's own: kubectl get gkenetworkparamsets -o wide",
        )
    fitting = {gke.rdma_profile(domain.zone) for domain in site.settings.created_domains}
    if fitting != {rdma.profile}:
        return failed(
            f"{named.rdma_network} has the profile {rdma.profile or '(none)'}, the pools need "
            f"{', '.join(sorted(fitting))}",
            "name the RDMA network of the pools' zone; the profile is chosen when a network is created",
        )
    wrong = list(_nic_subnetworks(site, named, gvnic, rdma))
    if rdma.mtu and rdma.mtu != networks.MTU:
        finding = f"{rdma.name} has an MTU of {rdma.mtu}, and RDMA needs {networks.MTU}"
        wrong.append((finding, f"gcloud compute networks update {rdma.name} --mtu {networks.MTU}"))
    if wrong:
        return _failed(wrong)
    if gvnic.mtu and gvnic.mtu < networks.MTU:
        return warned(*_slow(gvnic))
    return passed(f"{named.gvnic.network}, {named.rdma_network} ({rdma.profile})")


def _nic_subnetworks(site: Site, named: DeviceNetworks, gvnic: Network, rdma: Network) -> Iterator[tuple[str, str]]:
    nodes = sum(domain.nodes for domain in site.settings.created_domains)
    for name, network in [(named.gvnic.subnetwork, gvnic), *((name, rdma) for name in named.rdma_subnetworks)]:
        subnet = site.subnetwork(name)
        if subnet is None:
            finding = f"there is no subnetwork {name} in {site.settings.region}"
            yield (
                finding,
                f"correct cluster.deviceNetworks: gcloud compute networks subnets list --network {network.name}",
            )
            continue
        yield from _foreign(subnet, network)
        yield from _small(subnet, nodes)
        if subnet.secondary:
            yield (
                f"{subnet.name} has secondary ranges ({', '.join(subnet.secondary)}), which GKE refuses for a device",
                "name a subnetwork without any",
            )


def host_api(site: Site, host: str) -> Outcome:
    """The container API is on in the host project too."""
    if site.cloud.disabled_services(host, [shared_vpc.API]):
        return failed(
            f"{shared_vpc.API} is off in the host project {host}",
            f"gcloud services enable {shared_vpc.API} --project {host}",
        )
    return passed(f"{shared_vpc.API} is on in {host}")


def agents(site: Site, host: str) -> Outcome:
    """The accounts that act in the host project may: GKE's service agent, and Google's APIs agent.

    Grants of a folder or of the organisation are not seen.
    """
    wanted = list(shared_vpc.grants(host, site.project().number, site.settings.region, site.shared_subnetworks()))
    missing = [grant for grant in wanted if grant.member not in _holders(site, grant)]
    if not missing:
        return passed(f"both agents have their roles in {host}: {len(wanted)} grants")
    lacking = "; ".join(f"{grant.account} has no {grant.role} on {grant.where}" for grant in missing)
    return failed(f"in {host}: {lacking}", "; ".join(grant.command for grant in missing))


def _holders(site: Site, grant: shared_vpc.Grant) -> Iterable[str]:
    """Who has the role, or one that includes it, on the project or on the subnetwork."""
    roles = (grant.role,) if grant.subnetwork is None else (grant.role, *shared_vpc.WIDER)
    yield from (member for role in roles for member in site.members(grant.host, role))
    if grant.subnetwork is not None:
        held = site.subnetwork_members(grant.host, grant.subnetwork)
        yield from (member for role in roles for member in held.get(role, ()))


def _network(site: Site, name: str) -> Network | None:
    """The network of this name, or of this path in another project."""
    place = networks.network(name)
    return site.networks_of(place.project).get(place.name)


def _foreign(subnet: Subnetwork, network: Network) -> Iterator[tuple[str, str]]:
    if subnet.network != network.name:
        yield f"{subnet.name} is a subnetwork of {subnet.network}, not of {network.name}", "name one of this network"


def _small(subnet: Subnetwork, nodes: int) -> Iterator[tuple[str, str]]:
    room = ipaddress.ip_network(subnet.range).num_addresses - addresses.RESERVED_PER_SUBNET
    if room < nodes:
        yield f"{subnet.name} ({subnet.range}) has {room} addresses for {nodes} nodes", "name or make a larger one"


def _slow(network: Network) -> tuple[str, str]:
    return (
        f"{network.name} has an MTU of {network.mtu}, which costs bandwidth: GPU networks use {networks.MTU}",
        f"before the nodes exist: gcloud compute networks update {network.name} --mtu {networks.MTU}",
    )


def _failed(wrong: Iterable[tuple[str, str]]) -> Outcome:
    findings, fixes = zip(*wrong, strict=True)
    return failed("; ".join(findings), "; ".join(dict.fromkeys(fixes)))

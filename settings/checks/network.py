"""Rules of the networks and of the control plane's endpoint."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from reference import addresses, gke, networks
from settings.model import CreateCluster, Settings
from settings.network import AdoptNetwork, CreateNetwork, DeviceNetworks
from validation.problems import Problem, RuleError, refused

_NETWORK, _DEVICES = "cluster.network", "cluster.deviceNetworks"


def location(settings: Settings) -> Iterator[Problem]:
    """A cluster is in the region, or in one of its zones; a created zonal one has its domains there."""
    key, zone = "cluster.location", settings.cluster.location
    if zone is None or zone == settings.region:
        return
    try:
        gke.check_zone(zone, settings.region, key)
    except RuleError as error:
        yield Problem(error.key, error.value, error.rule, f"name a zone of {settings.region}, or remove the key")
        return
    elsewhere = [f"{domain.name} in {domain.zone}" for domain in settings.created_domains if domain.zone != zone]
    if elsewhere and isinstance(settings.cluster, CreateCluster):
        yield Problem(
            key,
            zone,
            f"a zonal cluster is in the zone of its domains, and there is {', '.join(elsewhere)}",
            "set it to the zone of the domains, or remove the key for a regional cluster",
        )


def own(settings: Settings) -> Iterator[Problem]:
    """A network that is created carries the nodes; one that is adopted is whole: nothing of ours is made in it."""
    cluster = settings.cluster
    if not isinstance(cluster, CreateCluster):
        return
    network = cluster.network
    if isinstance(network, CreateNetwork):
        yield from refused(addresses.plan, network.address_range, settings.a4x_nodes)
        return
    named = {
        "controlPlaneRange": network.control_plane_range,
        "controlPlaneSubnetwork": network.control_plane_subnetwork,
    }
    given = {key: value for key, value in named.items() if value is not None}
    if len(given) > 1:
        rule = "the control plane's private address is in one subnetwork: an existing one, or one that GKE makes"
        yield Problem(f"{_NETWORK}.controlPlaneRange", network.control_plane_range, rule, "keep one of the two keys")
    if cluster.endpoint == "private-ip" and not given:
        yield Problem(
            f"{_NETWORK}.controlPlaneSubnetwork",
            None,
            "with endpoint private-ip GKE would choose the control plane's subnetwork itself, and naming one later "
            "replaces the cluster",
            f"name a subnetwork for it, or set {_NETWORK}.controlPlaneRange",
        )
    for key, value in (
        ("subnetwork", network.subnetwork),
        ("controlPlaneSubnetwork", network.control_plane_subnetwork),
    ):
        if value is not None:
            yield from _inside(settings, f"{_NETWORK}.{key}", value, network.network)


def devices(settings: Settings) -> Iterator[Problem]:
    """Pools attach to existing networks wherever the program creates none for them."""
    cluster, named = settings.cluster, settings.cluster.device_networks
    if not settings.created_domains:
        return
    if named is not None:
        yield from _named_devices(settings, named)
        return
    network = cluster.network if isinstance(cluster, CreateCluster) else None
    if cluster.rdma == "multi-network" and not isinstance(cluster, CreateCluster):
        yield Problem(
            _DEVICES,
            None,
            "a pool that is created in an adopted cluster attaches to networks that exist",
            "name the gVNIC and RDMA networks that the cluster's Network objects use",
        )
    elif cluster.rdma == "multi-network" and isinstance(network, AdoptNetwork):
        yield Problem(
            _DEVICES,
            None,
            "beside a network that is adopted the program creates none for the other NICs",
            "name the gVNIC and RDMA networks that were made for them",
        )
    elif isinstance(network, AdoptNetwork) and _host(settings, network.network) is not None:
        yield Problem(
            _DEVICES,
            None,
            "GKE creates DRANET's networks in the cluster's own project, and in a Shared VPC all NICs are in the host "
            "project [inferred]",
            "name the gVNIC and RDMA networks that were made in the host project",
        )


def _named_devices(settings: Settings, named: DeviceNetworks) -> Iterator[Problem]:
    yield from _inside(settings, f"{_DEVICES}.gvnic.subnetwork", named.gvnic.subnetwork, named.gvnic.network)
    for i, subnetwork in enumerate(named.rdma_subnetworks):
        yield from _inside(settings, f"{_DEVICES}.rdmaSubnetworks[{i}]", subnetwork, named.rdma_network)
    cluster = settings.cluster
    taken: dict[str, str] = {}
    if isinstance(cluster, CreateCluster):
        network = cluster.network
        name = gke.cluster_network(cluster.name) if isinstance(network, CreateNetwork) else network.network
        taken[networks.last_part(name)] = "the cluster's own"
    for key, value in (
        (f"{_DEVICES}.gvnic.network", named.gvnic.network),
        (f"{_DEVICES}.rdmaNetwork", named.rdma_network),
    ):
        name = networks.last_part(value)
        if name in taken:
            rule = f"GKE tells a node's networks apart by name alone, and {taken[name]} has this one"
            yield Problem(key, value, rule, "use a VPC network of another name for it")
        taken.setdefault(name, "the second gVNIC's")


def shared(settings: Settings) -> Iterator[Problem]:
    """All NICs of a node are in one project."""
    found = _owners(settings)
    for key, owner, value in found[1:]:
        first, host, _ = found[0]
        if owner != host:
            rule = f"all six NICs of a node are in one project: {first} is in {host or settings.project}, this is in "
            path = f": projects/{host}/global/networks/NAME" if host else ""
            fix = f"name a network of {host or settings.project}{path}"
            yield Problem(key, value, rule + (owner or settings.project), fix)


def number_needed(settings: Settings) -> str:
    """Why a Shared VPC needs the project's number; empty: the networks are the project's own."""
    found = _owners(settings)
    host = found[0][1] if found else None
    if host is None:
        return ""
    return f"the accounts that act in the Shared VPC's host project {host} are named by the project's number"


def _owners(settings: Settings) -> list[tuple[str, str | None, str]]:
    """Key, host project (None: the program's own) and value of each network that the nodes are given."""
    cluster, named = settings.cluster, settings.cluster.device_networks
    found: list[tuple[str, str | None, str]] = []
    if isinstance(cluster, CreateCluster):
        adopted = cluster.network.network if isinstance(cluster.network, AdoptNetwork) else ""
        found.append((_NETWORK, _host(settings, adopted), adopted))
    if named is not None and settings.created_domains:
        found += [
            (f"{_DEVICES}.gvnic.network", _host(settings, named.gvnic.network), named.gvnic.network),
            (f"{_DEVICES}.rdmaNetwork", _host(settings, named.rdma_network), named.rdma_network),
        ]
    return found


def endpoint(settings: Settings) -> Iterator[Problem]:
    """Who may reach an IP address of the control plane is listed, where it has one."""
    cluster, key = settings.cluster, "cluster.authorizedNetworks"
    if not isinstance(cluster, CreateCluster):
        return
    listed = cluster.authorized_networks
    if cluster.endpoint == "dns-only" and listed:
        rule = "with endpoint dns-only no IP address of the control plane answers"
        yield Problem(key, list(listed), rule, "remove the key, or set cluster.endpoint: dns")
    if cluster.endpoint == "public-ip" and not listed:
        yield Problem(
            key,
            None,
            "the control plane's public IP address is reached from listed ranges only",
            "list the range that pulumi runs from, or set cluster.endpoint: dns",
        )
    for i, cidr in enumerate(listed if cluster.endpoint == "private-ip" else ()):
        if ipaddress.IPv4Network(cidr).is_global:
            yield Problem(
                f"{key}[{i}]",
                cidr,
                "a control plane with a private IP address alone takes no public ranges",
                "list the private range that pulumi runs from, or set cluster.endpoint: dns or public-ip",
            )


def warnings(settings: Settings) -> Iterator[str]:
    """What is allowed but probably a mistake."""
    cluster = settings.cluster
    if not isinstance(cluster, CreateCluster):
        return
    if isinstance(cluster.network, CreateNetwork):
        tight = addresses.warning(cluster.network.address_range, settings.a4x_nodes)
        if tight:
            yield tight
    if cluster.endpoint == "private-ip" and not cluster.authorized_networks:
        yield (
            "cluster.authorizedNetworks is not set: with endpoint private-ip only the nodes' own subnetwork and the "
            "pods reach the control plane, so pulumi must run there."
        )


def _inside(settings: Settings, key: str, name: str, network: str) -> Iterator[Problem]:
    """A subnetwork is in its network's project, and in the region."""
    place, host = networks.subnetwork(name), _host(settings, network)
    if place.project is not None and _other(settings, place.project) != host:
        yield Problem(
            key,
            name,
            f"a subnetwork is in the project of its network, which is {host or settings.project}",
            f"give its name alone, or its path in {host or settings.project}",
        )
    if place.region not in (None, settings.region):
        rule = f"the nodes are in the region {settings.region}"
        yield Problem(key, name, rule, f"name a subnetwork of {settings.region}")


def _host(settings: Settings, network: str) -> str | None:
    """The project that shares the network; None: it is the cluster's own."""
    return _other(settings, networks.network(network).project)


def _other(settings: Settings, project: str | None) -> str | None:
    return None if project == settings.project else project

"""Networks from the settings: the cluster's, those of the additional NICs, and the firewall rules of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components import gcp
from reference import addresses, firewall, gke, networks
from settings import Settings
from settings.model import CreateCluster
from settings.network import AdoptNetwork, CreateNetwork


def cluster_network(settings: Settings, cluster: CreateCluster) -> gcp.OwnNetworks | gcp.AdoptedNetwork:
    """The network of a created cluster."""
    network = cluster.network
    if isinstance(network, CreateNetwork):
        plan = addresses.plan(network.address_range, settings.a4x_nodes)
        nat, rules = network.nat == "own", network.firewall == "own"
        return gcp.OwnNetworks(plan, nat, rules, settings.creates_apis_zone, settings.rdma_tag)

    def path(subnetwork: str) -> str:
        return networks.of_network(subnetwork, network.network, settings.project, settings.region)

    private = network.control_plane_subnetwork
    return gcp.AdoptedNetwork(
        network.network,
        path(network.subnetwork),
        network.pods_range,
        network.services_range,
        gcp.ControlPlane(network.control_plane_range, None if private is None else path(private)),
    )


def named_interfaces(settings: Settings) -> Sequence[gcp.DeviceInterface] | None:
    """The additional NICs of created pools in the networks that the config names; None: it names none."""
    named = settings.cluster.device_networks
    if named is None:
        return None
    return [
        {
            "name": name,
            "network": network,
            "subnetwork": networks.of_network(subnetwork, network, settings.project, settings.region),
        }
        for name, (network, subnetwork) in zip(gke.DEVICE_NETWORKS, named.interfaces, strict=True)
    ]


def firewall_rules(settings: Settings, cluster: CreateCluster) -> Sequence[Mapping[str, Any]]:
    """The rules that the program does not write itself, each for the network that it belongs to."""
    network, named = cluster.network, cluster.device_networks
    if isinstance(network, CreateNetwork):
        plan = addresses.plan(network.address_range, settings.a4x_nodes)
        ranges, own = firewall.Ranges.planned(plan), gke.cluster_network(cluster.name)
        written = network.firewall == "own"
        gvnic = (gke.gvnic_network(cluster.name), plan.gvnic)
    else:
        ranges, own, written, gvnic = _in_words(network), network.network, False, None
    foreign: list[Mapping[str, Any]] = []
    if not written:
        foreign += [rule.printed(own) for rule in (*firewall.cluster_rules(ranges), *firewall.egress_rules(ranges))]
    if named is not None:
        gvnic = (named.gvnic.network, firewall.primary(networks.last_part(named.gvnic.subnetwork)))
    # GKE makes the networks of DRANET's profile itself, with their rules.
    elif written or cluster.rdma == "dranet":
        gvnic = None
    if gvnic is not None:
        for rule in (firewall.gvnic_rule(gvnic[1], ranges), firewall.gvnic_egress(gvnic[1], ranges)):
            foreign.append(rule.printed(gvnic[0]))
    return foreign


def _in_words(network: AdoptNetwork) -> firewall.Ranges:
    private = network.control_plane_subnetwork
    control_plane = network.control_plane_range or "range of the control plane's private address"
    if private is not None:
        control_plane = firewall.primary(networks.last_part(private))
    return firewall.Ranges.named(
        networks.last_part(network.subnetwork), network.pods_range, network.services_range, control_plane
    )

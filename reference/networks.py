"""How networks and subnetworks are named: by name in the cluster's own project, by path in another's (Shared VPC).

Google Cloud's APIs take both. GKE's network objects take names alone, and its controller compares the last part of what
a node pool has (cloud-provider-gcp, multinetwork_cloud_cidr_allocator).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from reference.gke import PROJECT_ID, RESOURCE_NAME, GkeRuleError

Collection = Literal["networks", "subnetworks"]

MTU: Final = 8896
"""Bytes. Google's jumbo frame size for GPU networks, the default of cluster-toolkit's VPC module."""

SERVICES_PREFIX_MAX: Final = 27
"""Prefix of the smallest range of services that GKE takes."""

_API: Final = r"(?:https://(?:www|compute)\.googleapis\.com/compute/[a-z0-9]+/)?projects/(?P<project>[^/]+)/"
_PATHS: Final = {
    "networks": re.compile(rf"{_API}global/networks/(?P<name>[^/]+)"),
    "subnetworks": re.compile(rf"{_API}regions/(?P<region>[a-z]+-[a-z]+[0-9]+)/subnetworks/(?P<name>[^/]+)"),
}


@dataclass(frozen=True)
class Place:
    """Where a network or subnetwork is."""

    name: str
    project: str | None = None
    """Project that owns it; None: the cluster's own."""
    region: str | None = None
    """Region of a subnetwork that is named by path."""


def check_network(name: str, collection: Collection, key: str = "network") -> None:
    """Raise `GkeRuleError` unless `name` is the name of a VPC network or subnetwork, or its path in the project that
    owns it (a Shared VPC's host project).
    """
    path = _PATHS[collection].fullmatch(name)
    if not RESOURCE_NAME.fullmatch(path["name"] if path else name) or (
        path and not PROJECT_ID.fullmatch(path["project"])
    ):
        place = "global" if collection == "networks" else "regions/REGION"
        raise GkeRuleError(
            key,
            name,
            "a network's name has up to 63 lower-case letters, digits and hyphens, a letter first",
            f"Give the name, or projects/PROJECT/{place}/{collection}/NAME for one of another project",
        )


def check_range_name(name: str, key: str = "range") -> None:
    """Raise `GkeRuleError` unless `name` is the name of a secondary range."""
    if not RESOURCE_NAME.fullmatch(name):
        raise GkeRuleError(
            key,
            name,
            "a secondary range is named by up to 63 lower-case letters, digits and hyphens, a letter first",
            "Give its name: gcloud compute networks subnets describe SUBNETWORK --format='value(secondaryIpRanges)'",
        )


def network(name: str) -> Place:
    """The place of a network; see `check_network`."""
    path = _PATHS["networks"].fullmatch(name)
    return Place(path["name"], path["project"]) if path else Place(name)


def subnetwork(name: str) -> Place:
    """The place of a subnetwork; see `check_network`."""
    path = _PATHS["subnetworks"].fullmatch(name)
    return Place(path["name"], path["project"], path["region"]) if path else Place(name)


def last_part(name: str) -> str:
    """The name alone, as `GKENetworkParamSet` takes it."""
    return name.rpartition("/")[2]


def of_network(name: str, its_network: str, project: str, region: str) -> str:
    """A subnetwork as the APIs must be told it: a bare name lies in the project of its network.

    Everything else stays as it is written, because a node pool's networks are compared as texts: what the API writes
    back in another form would replace the pool.
    """
    owner = network(its_network).project
    if subnetwork(name).project is not None or owner in (None, project):
        return name
    return f"projects/{owner}/regions/{region}/subnetworks/{name}"

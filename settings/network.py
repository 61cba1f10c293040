"""Networks of the cluster and of the additional NICs: created, or made by a network team."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from reference import addresses
from settings.fields import (
    Change,
    ControlPlaneRange,
    NetworkName,
    Range,
    RangeName,
    SubnetworkName,
    four,
)
from validation.strict_model import StrictModel
from validation.validators import distinct, mode_or_create

_MODE = "`create` to have it created, `adopt` to use one that exists"
_PATH = "its path for one of another project"


class Subnet(StrictModel):
    """One network interface's network."""

    network: Annotated[NetworkName, Change.POOLS] = Field(description=f"the name of the VPC network, or {_PATH}")
    subnetwork: Annotated[SubnetworkName, Change.POOLS] = Field(description=f"the name of its subnetwork, or {_PATH}")


class DeviceNetworks(StrictModel):
    """Existing networks for the additional NICs of created pools."""

    gvnic: Subnet = Field(description="network and subnetwork of the second gVNIC")
    rdma_network: Annotated[NetworkName, Change.POOLS] = Field(
        description=f"the name of the VPC with the RoCE network profile, or {_PATH}"
    )
    rdma_subnetworks: Annotated[
        tuple[SubnetworkName, ...], AfterValidator(four), AfterValidator(distinct), Change.POOLS
    ] = Field(
        description="the names of its four subnetworks, or their paths if they are of another project, in the order of "
        "the NICs"
    )

    @property
    def networks(self) -> tuple[str, str]:
        """Both VPC networks."""
        return self.gvnic.network, self.rdma_network

    @property
    def interfaces(self) -> tuple[tuple[str, str], ...]:
        """Network and subnetwork of each NIC, in the order of the nodes' NICs."""
        rdma = ((self.rdma_network, subnetwork) for subnetwork in self.rdma_subnetworks)
        return ((self.gvnic.network, self.gvnic.subnetwork), *rdma)


class CreateNetwork(StrictModel):
    """A VPC network of the cluster's own."""

    mode: Literal["create"] = Field(default="create", description=_MODE)
    address_range: Annotated[Range, Change.CLUSTER] = Field(
        default=addresses.DEFAULT_BASE, description="one IPv4 range that all networks of the cluster are cut from"
    )
    nat: Annotated[Literal["own", "none"], Change.IN_PLACE] = Field(
        default="own",
        description="`own` for a Cloud NAT, `none` where the nodes reach what they need without (images from a mirror)",
    )
    firewall: Annotated[Literal["own", "none"], Change.IN_PLACE] = Field(
        default="own",
        description="`own` for the nodes' firewall rules, `none` where somebody else writes those of the output "
        "firewallRules",
    )


class AdoptNetwork(StrictModel):
    """A VPC network that exists, of this project or of a Shared VPC's host project: nothing is created in it."""

    mode: Literal["adopt"] = Field(description=_MODE)
    network: Annotated[NetworkName, Change.CLUSTER] = Field(description=f"the name of the VPC network, or {_PATH}")
    subnetwork: Annotated[SubnetworkName, Change.CLUSTER] = Field(
        description=f"the name of the nodes' subnetwork, or {_PATH}"
    )
    pods_range: Annotated[RangeName, Change.CLUSTER] = Field(
        description="the name of the subnetwork's secondary range for pods, a /24 for each node"
    )
    services_range: Annotated[RangeName, Change.CLUSTER] = Field(
        description="the name of the subnetwork's secondary range for services"
    )
    control_plane_range: Annotated[ControlPlaneRange | None, Change.CLUSTER] = Field(
        default=None, description="the /28 that GKE makes a subnetwork of, for the control plane's private address"
    )
    control_plane_subnetwork: Annotated[SubnetworkName | None, Change.CLUSTER] = Field(
        default=None, description="the subnetwork for the control plane's private address"
    )


Network = Annotated[
    Annotated[CreateNetwork, Tag("create")] | Annotated[AdoptNetwork, Tag("adopt")], Discriminator(mode_or_create)
]

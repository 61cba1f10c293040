"""The GKE objects that represent an A4X node's additional NICs (multi-networking)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from reference import naming
from reference.gke import DEVICE_NETWORKS
from reference.machines import A4X
from reference.networks import last_part

API_VERSION: Final = "networking.gke.io/v1"

WAIT_READY: Final = "condition=Ready"
"""GKE checks VPC and subnet and sets the condition `Ready` on both kinds; if false, its reason is one of VPCNotFound,
SubnetNotFound, DeviceModeVPCAlreadyInUse, DeviceModeSubnetAlreadyInUse, DeviceModeCantUseDefaultVPC,
DeviceModeCantBeUsedWithSecondaryRange."""

_DEVICE_MODES: Final[Mapping[str, str]] = {
    A4X.gvnic_network: "NetDevice",
    **dict.fromkeys(A4X.rdma_networks, "RDMA"),
}


class _Object(kubernetes.apiextensions.CustomResource):
    """An object of networking.gke.io."""

    metadata: pulumi.Output[Mapping[str, Any]]

    def __init__(self, name: str, kind: str, metadata: Any, spec: Any, opts: pulumi.ResourceOptions) -> None:
        # The SDK leaves two deprecated parameters of this constructor without a type.
        super().__init__(name, API_VERSION, kind, spec, metadata, opts)  # pyright: ignore[reportUnknownMemberType]


class DeviceInterface(TypedDict):
    """One additional NIC of an A4X node."""

    name: str
    """Name of the `Network` object, one of `gke.DEVICE_NETWORKS`, which the pods' annotation uses."""
    network: pulumi.Input[str]
    """Name or path of the VPC."""
    subnetwork: pulumi.Input[str]
    """Name or path of the subnet."""


class DeviceNetworksArgs(TypedDict):
    """Inputs of `DeviceNetworks`."""

    environment: str
    """Label value: which environment of the program owns the objects."""
    provider: kubernetes.Provider
    """Kubernetes provider of the cluster."""
    interfaces: Sequence[DeviceInterface]
    """The NICs, in the node's order."""


class DeviceNetworks(pulumi.ComponentResource):
    """A `GKENetworkParamSet` and a `Network` for every additional NIC, each ready before the next step.

    GKE needs this order: parameter set, network, node pool; and the reverse for deletion. An A4X pool that is created
    before these are ready gets NICs that no pod can attach, and they cannot be added later.
    """

    names: pulumi.Output[list[str]]
    """Names of the `Network` objects, once all are ready."""

    def __init__(self, name: str, args: DeviceNetworksArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        unknown = [interface["name"] for interface in args["interfaces"] if interface["name"] not in _DEVICE_MODES]
        if unknown:
            raise ValueError(
                f"interfaces = {unknown}: an A4X node has {', '.join(DEVICE_NETWORKS)}. "
                "Pass the interfaces of DeviceVpcs as they are"
            )
        super().__init__("dynamo-a4x:platform:DeviceNetworks", name, {}, opts)
        provider, labels = args["provider"], naming.kubernetes_labels(args["environment"])

        networks: list[_Object] = []
        for interface in args["interfaces"]:
            metadata = {
                "name": interface["name"],
                "labels": labels,
                "annotations": {"pulumi.com/waitFor": WAIT_READY},
            }
            parameters = _Object(
                f"{name}-{interface['name']}-parameters",
                "GKENetworkParamSet",
                metadata,
                {
                    # The controller knows both by name alone, in a Shared VPC too.
                    "vpc": pulumi.Output.from_input(interface["network"]).apply(last_part),
                    "vpcSubnet": pulumi.Output.from_input(interface["subnetwork"]).apply(last_part),
                    "deviceMode": _DEVICE_MODES[interface["name"]],
                },
                opts=pulumi.ResourceOptions(parent=self, provider=provider),
            )
            networks.append(
                _Object(
                    f"{name}-{interface['name']}",
                    "Network",
                    metadata,
                    {
                        "type": "Device",
                        "parametersRef": {
                            "group": "networking.gke.io",
                            "kind": "GKENetworkParamSet",
                            "name": parameters.metadata["name"],
                        },
                    },
                    opts=pulumi.ResourceOptions(parent=self, provider=provider),
                )
            )

        def as_list(values: list[Any]) -> list[str]:
            return [str(value) for value in values]

        self.names = pulumi.Output.all(*[network.metadata["name"] for network in networks]).apply(as_list)
        self.register_outputs({"names": self.names})

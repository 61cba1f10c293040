"""What a company sets on the node pools of NVLink domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from reference.machines import A4X
from settings.fields import Change
from validation.strict_model import StrictModel

_NO_SPARE = "leave it out: a full reservation has no spare host, so nodes are removed before others are created"


class Taint(StrictModel):
    """A taint of the nodes, and with it a toleration of every pod of the program that runs there."""

    key: str = Field(description="the taint's key, such as dedicated")
    value: str = Field(default="", description="its value")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(description="its effect")


class Upgrade(StrictModel):
    """How GKE upgrades and repairs the nodes."""

    moved: ClassVar[Mapping[str, str]] = {
        "maxSurge": _NO_SPARE,
        "strategy": _NO_SPARE,
        "blueGreenSettings": _NO_SPARE,
    }
    """Keys of GKE that have no use on a reservation."""

    max_unavailable: Annotated[int, Change.IN_PLACE] = Field(
        default=1,
        ge=1,
        le=A4X.nodes_per_domain,
        description="the nodes that are upgraded at a time; 18 for a whole rack at once",
    )
    auto_upgrade: Annotated[bool, Change.IN_PLACE] = Field(
        default=True, description="whether GKE upgrades the nodes; a cluster in a release channel requires it"
    )
    auto_repair: Annotated[bool, Change.IN_PLACE] = Field(
        default=True, description="whether GKE re-creates nodes that stay unhealthy"
    )


class Kubelet(StrictModel):
    """Settings of the kubelet, as GKE's node system configuration names them."""

    cpu_manager_policy: Annotated[Literal["none", "static"] | None, Change.NODES] = Field(
        default=None, description="the CPU manager's policy; default: GKE's"
    )
    memory_manager_policy: Annotated[Literal["None", "Static"] | None, Change.NODES] = Field(
        default=None, description="the memory manager's policy; default: GKE's"
    )
    topology_manager_policy: Annotated[
        Literal["none", "best-effort", "restricted", "single-numa-node"] | None, Change.NODES
    ] = Field(default=None, description="the topology manager's policy; default: GKE's")
    pod_pids_limit: Annotated[int | None, Change.NODES] = Field(
        default=None, ge=1024, le=4_194_304, description="the processes of a pod, 1024 to 4194304; default: no limit"
    )
    max_parallel_image_pulls: Annotated[int | None, Change.NODES] = Field(
        default=None, ge=2, le=5, description="the images that a node pulls at a time, 2 to 5; default: GKE's"
    )
    container_log_max_size: Annotated[str | None, Change.NODES] = Field(
        default=None, description="the size at which a container's log is rotated, such as 50Mi; default: GKE's"
    )
    container_log_max_files: Annotated[int | None, Change.NODES] = Field(
        default=None, ge=2, le=10, description="the log files of a container, 2 to 10; default: GKE's"
    )
    allowed_unsafe_sysctls: Annotated[tuple[str, ...], Change.NODES] = Field(
        default=(), description="sysctls that pods may set beside the safe ones, such as net.core.somaxconn"
    )


class NodePool(StrictModel):
    """Settings of the node pool of one created domain."""

    labels: Annotated[dict[str, str], Change.IN_PLACE] = Field(
        default={}, description="Kubernetes labels of the nodes, beside the program's own"
    )
    sysctls: Annotated[dict[str, str], Change.NODES] = Field(
        default={}, description="kernel parameters of the nodes, over the program's net.ipv4.tcp_rmem and tcp_wmem"
    )
    kubelet: Kubelet = Field(default=Kubelet(), description="a mapping with settings of the kubelet")
    hugepages_2mi: Annotated[int | None, Change.NODES] = Field(
        default=None, alias="hugepages2Mi", ge=1, description="the huge pages of 2 MiB of each node"
    )
    hugepages_1gi: Annotated[int | None, Change.NODES] = Field(
        default=None, alias="hugepages1Gi", ge=1, description="the huge pages of 1 GiB of each node"
    )
    boot_disk_gb: Annotated[int, Change.NODES] = Field(
        default=100, ge=10, le=64_000, description="the size of the boot disks in GB, at least 10"
    )
    maintenance_interval: Annotated[Literal["AS_NEEDED", "PERIODIC"] | None, Change.POOLS] = Field(
        default=None, description="how often Google maintains the hosts; default: the reservation's"
    )
    upgrade: Upgrade = Field(default=Upgrade(), description="a mapping with maxUnavailable, autoUpgrade, autoRepair")


def kubelet_fields(kubelet: Kubelet) -> Mapping[str, Any]:
    """`kubelet` in the provider's fields; empty if nothing is set."""
    fields = kubelet.model_dump(exclude_none=True, exclude={"memory_manager_policy", "topology_manager_policy"})
    if not kubelet.allowed_unsafe_sysctls:
        del fields["allowed_unsafe_sysctls"]
    if kubelet.memory_manager_policy is not None:
        fields["memory_manager"] = {"policy": kubelet.memory_manager_policy}
    if kubelet.topology_manager_policy is not None:
        fields["topology_manager"] = {"policy": kubelet.topology_manager_policy}
    return fields

"""Machine types that serving stacks run on, with their labels, taints and topology.

Sources: Google's A4X machine page and "Create a custom AI-optimized GKE cluster which uses A4X" (both read in
2026), cluster-toolkit's gke-a4x blueprint (v1.72 and v1.95).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypedDict

NODE_POOL_KEY: Final = "cloud.google.com/gke-nodepool"
ACCELERATOR_KEY: Final = "cloud.google.com/gke-accelerator"
ARCH_KEY: Final = "kubernetes.io/arch"

DRIVER_ROOT: Final = "/home/kubernetes/bin/nvidia"
"""Where GKE's Container-Optimized OS puts the GPU driver (not `/`, which the NVIDIA charts assume)."""

DRIVER_MOUNT: Final = "/usr/local/nvidia"
"""Where pods have it, as in the recipe."""
DRIVER_LIBRARIES: Final = f"{DRIVER_MOUNT}/lib64"

GIB_ROOT: Final = "/home/kubernetes/bin/gib"
"""Where the NCCL gIB installer puts Google's RDMA plugin."""


class Toleration(TypedDict, total=False):
    """A Kubernetes toleration, in the shape of the API."""

    key: str
    operator: str
    value: str
    effect: str
    tolerationSeconds: int


@dataclass(frozen=True)
class Machine:
    """A machine type whose GPUs share an NVLink fabric across nodes."""

    machine_type: str
    cpus: int
    memory_gb: int
    """As Google lists it."""
    architecture: str
    """Value of `kubernetes.io/arch`, and of the images."""
    accelerator: str
    """GKE's name of the GPU."""
    gpus: int
    """GPUs of a node."""
    gpu_memory: int
    """Bytes of one GPU, as `nvidia-smi` reports them."""
    local_ssds: int
    """Local SSDs of a node, of 3 TB each."""
    nodes_per_domain: int
    """Most nodes that share one NVLink fabric: one node pool, one reservation sub-block."""
    topology: str
    """`acceleratorTopology` of the workload policy that places a pool on one rack."""
    gvnic_network: str
    """Name of the GKE `Network` object of the second gVNIC."""
    rdma_networks: tuple[str, ...]
    """Those of the RDMA NICs. Fixed: the pod annotation of every recipe uses exactly these names."""

    @property
    def arm_toleration(self) -> Toleration:
        """For the taint that GKE puts on nodes with an architecture other than x86."""
        return {"key": ARCH_KEY, "operator": "Equal", "value": self.architecture, "effect": "NoSchedule"}

    @property
    def gpu_toleration(self) -> Toleration:
        """For the taint of nodes with GPUs."""
        return {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}

    def tolerations(self) -> list[Toleration]:
        """For both taints of every node."""
        return [self.arm_toleration, self.gpu_toleration]


A4X: Final = Machine(
    machine_type="a4x-highgpu-4g",
    cpus=140,
    memory_gb=884,
    architecture="arm64",
    accelerator="nvidia-gb200",
    gpus=4,
    # 189,471 MiB in ten public logs; NVIDIA's data sheet counts 186 GB, in GiB.
    gpu_memory=189_471 * 2**20,
    local_ssds=4,
    nodes_per_domain=18,
    topology="1x72",
    gvnic_network="gvnic-1",
    rdma_networks=("rdma-0", "rdma-1", "rdma-2", "rdma-3"),
)
"""GB200 NVL72: Grace CPUs, 4 GPUs, 2 gVNICs and 4 CX-7 NICs a node."""

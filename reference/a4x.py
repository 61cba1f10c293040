"""What an A4X node is, and what Kubernetes must be told about it.

Sources: Google's A4X machine page and "Create a custom AI-optimized GKE cluster which uses A4X" (both read in
2026), cluster-toolkit's gke-a4x blueprint (v1.72 and v1.95).
"""

from __future__ import annotations

from typing import Final, TypedDict

MACHINE_TYPE: Final = "a4x-highgpu-4g"
"""140 vCPU (Grace, arm64), 884 GB of memory, 4 GB200 GPUs, 4 local SSDs of 3 TB, 2 gVNICs, 4 CX-7 NICs."""

CPUS: Final = 140
MEMORY_GB: Final = 884
ACCELERATOR: Final = "nvidia-gb200"
GPUS_PER_NODE: Final = 4
LOCAL_SSDS_PER_NODE: Final = 4

NODES_PER_DOMAIN: Final = 18
"""Nodes that share one NVLink fabric (NVL72): one node pool, one reservation sub-block, at most this many."""

WORKLOAD_TOPOLOGY: Final = "1x72"
"""`acceleratorTopology` of the workload policy that places a pool on one NVL72 rack."""

GVNIC_NETWORK: Final = "gvnic-1"
RDMA_NETWORKS: Final = ("rdma-0", "rdma-1", "rdma-2", "rdma-3")
"""Names of the GKE `Network` objects. Fixed: the pod annotation of every A4X recipe names exactly these."""

NODE_POOL_KEY: Final = "cloud.google.com/gke-nodepool"
ACCELERATOR_KEY: Final = "cloud.google.com/gke-accelerator"
ARCH_KEY: Final = "kubernetes.io/arch"
ARCH: Final = "arm64"

DRIVER_ROOT: Final = "/home/kubernetes/bin/nvidia"
"""Where GKE's Container-Optimized OS puts the GPU driver (not `/`, which the NVIDIA charts assume)."""

GIB_ROOT: Final = "/home/kubernetes/bin/gib"
"""Where the NCCL gIB installer puts Google's RDMA plugin."""


class Toleration(TypedDict, total=False):
    """A Kubernetes toleration, in the shape of the API."""

    key: str
    operator: str
    value: str
    effect: str


ARM_TOLERATION: Final[Toleration] = {
    "key": ARCH_KEY,
    "operator": "Equal",
    "value": ARCH,
    "effect": "NoSchedule",
}
GPU_TOLERATION: Final[Toleration] = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def tolerations() -> list[Toleration]:
    """The two taints of every A4X node: arm64 (set by GKE) and nvidia.com/gpu (set on the pool)."""
    return [ARM_TOLERATION.copy(), GPU_TOLERATION.copy()]

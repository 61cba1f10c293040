"""What a pod needs to use a whole A4X node: its GPUs, its RDMA NICs, its NVLink domain.

Shared by workers and the fabric test, whose result holds for workers only as far as its pods are like theirs.
"""

from __future__ import annotations

from typing import Any, Final

from reference import gke, machines
from reference.machines import A4X

Value = Any
"""A string or an `Output[str]`: this module only passes it on."""

CLAIM: Final = "compute-domain-channel"
RDMA_CLAIM: Final = "rdma"

WORKER_SHARED_MEMORY: Final = "80Gi"
"""Of a worker, as in the recipe."""

_NCCL_ENVIRONMENT: Final = """\
source /usr/local/gib/scripts/set_nccl_env.sh || { echo 'the NCCL gIB installer has not run on this node' >&2; exit 1; }
"""
_LOCKED_MEMORY: Final = "ulimit -l unlimited\n"


def security_context(*, privileged: bool, root: bool = True) -> dict[str, Any]:
    """The container's context: privileged as in the recipe, or root with the capabilities that RDMA needs. `root` says
    whether the image's own user is root.

    IPC_LOCK pins RDMA's memory and SYS_RESOURCE raises the limit of locked memory; root, because FlashInfer writes
    compiled kernels into the image (Dynamo's recipes for GB200 and GB300, deepseek-v4). No seccomp profile: the
    runtime's own one shuts out `get_mempolicy`, without which SGLang silently skips NUMA binding. Never seen on A4X.
    """
    if privileged:
        return {"privileged": True} if root else {"privileged": True, "runAsUser": 0}
    return {"runAsUser": 0, "capabilities": {"add": ["IPC_LOCK", "SYS_RESOURCE"]}}


def preamble(*, privileged: bool) -> str:
    """First lines of a container's bash script. Google's script does not work under `set -e`."""
    return _NCCL_ENVIRONMENT if privileged else _LOCKED_MEMORY + _NCCL_ENVIRONMENT


def claims(channel: Value, nics: Value | None) -> dict[str, Value]:
    """Claim templates of a pod by claim name: the channel of a ComputeDomain and, with DRANET, the NICs."""
    return {CLAIM: channel, **({} if nics is None else {RDMA_CLAIM: nics})}


def resource_claims(templates: dict[str, Value]) -> list[dict[str, Value]]:
    """`claims` as a pod spec lists them."""
    return [{"name": claim, "resourceClaimTemplateName": template} for claim, template in templates.items()]


def pull_secrets(secret: Value | None) -> dict[str, Any]:
    """Field of a pod spec with its pull secret; nothing without one."""
    return {} if secret is None else {"imagePullSecrets": [{"name": secret}]}


def nic_annotations(nics: Value | None) -> dict[str, str]:
    """Annotations that attach the NICs; none with DRANET, where a claim on `nics` does."""
    if nics is not None:
        return {}
    # The four CX-7 NICs as eth2 to eth5; eth1, the second gVNIC, stays with the node.
    interfaces = [("eth0", "default"), *((f"eth{i + 2}", name) for i, name in enumerate(A4X.rdma_networks))]
    entries = ",\n".join(f'  {{"interfaceName":"{nic}","network":"{network}"}}' for nic, network in interfaces)
    return {
        "networking.gke.io/default-interface": "eth0",
        gke.INTERFACES: f"[\n{entries}\n]\n",
    }


def volumes() -> list[dict[str, Any]]:
    """The node's GPU driver and NCCL gIB plugin."""
    return [
        {"name": "library-dir-host", "hostPath": {"path": machines.DRIVER_ROOT}},
        {"name": "gib", "hostPath": {"path": machines.GIB_ROOT}},
    ]


def volume_mounts() -> list[dict[str, Any]]:
    """Mounts of `volumes`."""
    return [
        {"name": "library-dir-host", "mountPath": machines.DRIVER_MOUNT},
        {"name": "gib", "mountPath": "/usr/local/gib"},
    ]


def affinity() -> dict[str, Any]:
    """Nodes for arm64 images."""
    term = {"matchExpressions": [{"key": machines.ARCH_KEY, "operator": "In", "values": [A4X.architecture]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"nodeAffinity": required}

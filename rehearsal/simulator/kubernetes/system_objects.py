"""What a new GKE cluster contains: its system namespaces."""

from __future__ import annotations

from rehearsal.simulator.state import CloudResource, CloudState

NAMESPACE = "kubernetes:core/v1:Namespace"
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
"""Namespaces that the API server never deletes."""
SYSTEM_NAMESPACES = (
    "default",
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "gke-managed-system",
    "gmp-system",
    "gmp-public",
)


def boot_cluster(state: CloudState, cluster: CloudResource) -> None:
    """Create the system namespaces of a cluster, which are deleted with it."""
    for name in SYSTEM_NAMESPACES:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        outputs = {**body, "status": {"phase": "Active"}}
        state.add(
            CloudResource(NAMESPACE, cluster.id, name, body, outputs, origin="service", owner=cluster.key),
        )

"""What the operator makes beside a graph's pods and does not take away with it (M9, N9; V17 for the account on 0.7)."""

from __future__ import annotations

from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import text
from rehearsal.simulator.workloads import serving

_LEFT = (
    "kubernetes:core/v1:ServiceAccount planner-serviceaccount",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding planner-serviceaccount",
    "kubernetes:core/v1:Secret mpi-run-ssh-secret",
)


def make(state: CloudState, graph: CloudResource) -> None:
    """Create them in the graph's namespace, unless they are there."""
    if serving.operator(state, graph.scope) is None:
        return
    namespace = text(graph.outputs, "metadata.namespace")
    for kind, name in (one.split() for one in _LEFT):
        body = {"metadata": {"name": name, "namespace": namespace}}
        if state.get(kind, f"{namespace}/{name}", graph.scope) is None:
            state.add(CloudResource(kind, graph.scope, f"{namespace}/{name}", body, body, origin="service"))

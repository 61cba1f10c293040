"""The status of a DynamoGraphDeployment, which does not always match its pods (R4, R7)."""

from __future__ import annotations

from typing import Any

from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, text
from rehearsal.simulator.workloads import blockers, platforms, serving

_STUCK_BELOW = (1, 1)
"""First release (major, minor) whose operator is not known to get stuck: seen on 0.7.0 and 1.0.1, not near 1.2."""
_MIXED_FROM = (1, 4)
"""First release with these reasons (read; seen on the development line of 1.5)."""


def after_create(state: CloudState, graph: CloudResource) -> Props:
    """The final status of a graph after its creation."""
    scope, body = graph.scope, graph.outputs
    for reason in blockers.makes_it_fail(state, scope, body):
        return _status("failed", "failed_to_reconcile_the_resources", reason)
    for reason in blockers.of(state, scope, body):
        return _pending(state, graph, reason)
    stuck = [role.name.lower() for role in serving.roles(body) if role.multinode]
    if stuck and _gets_stuck(state, scope):
        name = f"pcsg/{text(body, 'metadata.name')}-0-{stuck[0]}"
        return _status("pending", "some_resources_are_not_ready", f"{name}: desired=2, available=1")
    return _status("successful", "all_resources_are_ready", "All resources are ready")


def after_update(state: CloudState, graph: CloudResource, before: Props) -> Props:
    """The status right after a change: for up to 3 s the previous one (R7)."""
    return before if before.get("state") == "successful" else after_create(state, graph)


def _pending(state: CloudState, graph: CloudResource, reason: str) -> Props:
    """N5: from 1.4 on, reasons that mean nothing: neither what is missing nor where."""
    release = serving.operator(state, graph.scope)
    if release is None or platforms.minor(serving.version_of(release)) < _MIXED_FROM:
        return _status("pending", "some_resources_are_not_ready", reason)
    stale = "; ".join(f"{role.name}: desired={role.replicas}, updated=0" for role in serving.roles(graph.outputs))
    return _status("pending", "mixed_not_ready_reasons", stale)


def _gets_stuck(state: CloudState, cluster: str) -> bool:
    """R4: readiness is read from the scaling group and not checked again once that is ready.

    It does not happen every time. Here it does, so that nothing can rely on the status.
    """
    release = serving.operator(state, cluster)
    return release is not None and platforms.minor(serving.version_of(release)) < _STUCK_BELOW


def _status(state: str, reason: str, message: str) -> Props:
    ready: Any = {
        "type": "Ready",
        "status": "True" if state == "successful" else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {"state": state, "conditions": [ready]}

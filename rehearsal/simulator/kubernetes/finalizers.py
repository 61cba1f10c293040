"""Finalizers: objects whose deletion needs a controller, and what happens if it is gone.

Helm uninstalls an operator within a second, without any check (R8). What the operator should have cleaned up then stays
in deletion until somebody removes the finalizer.
"""

from __future__ import annotations

from rehearsal.simulator.kubernetes.system_objects import IMMORTAL, NAMESPACE
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import text
from rehearsal.simulator.workloads import remains, serving

CLAIM_TEMPLATE = "kubernetes:resource.k8s.io/v1:ResourceClaimTemplate"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
DRIVER = "nvidia-dra-driver-gpu"
_DAEMON = "computedomain-daemon"
"""Name prefix of what the driver's controller creates for each ComputeDomain, in its own namespace."""


def driver(state: CloudState, cluster: str) -> CloudResource | None:
    """The release of the DRA driver, whose controller cleans up ComputeDomains."""
    found = state.find(
        serving.RELEASE, scope=cluster, where=lambda resource: text(resource.outputs, "status.chart") == DRIVER
    )
    return found[0] if found else None


def begin(state: CloudState, resource: CloudResource) -> None:
    """Request the deletion of an object; raises `ApiError` if it would never finish.

    The object is then marked as being deleted, and is deleted once no finalizer blocks it (`settle`).
    """
    if resource.kind == NAMESPACE and resource.id in IMMORTAL:
        raise ApiError(f'namespaces "{resource.id}" is forbidden: this namespace may not be deleted')
    why = held(state, resource)
    if why:
        resource.dying = True
        if resource.kind == NAMESPACE:
            resource.outputs = {**resource.outputs, "status": {"phase": "Terminating"}}
        raise ApiError(f"{resource} stays in Terminating: {why}")


def held(state: CloudState, resource: CloudResource) -> str:
    """What blocks the deletion of an object; empty if nothing does."""
    if resource.kind == serving.GRAPH and serving.operator(state, resource.scope) is None:
        return "finalizer nvidia.com/finalizer, and its operator is gone"
    of_driver = resource.kind == serving.COMPUTE_DOMAIN or is_daemon(resource)
    if of_driver and driver(state, resource.scope) is None:
        return "finalizer resource.nvidia.com/computeDomain, and the driver's controller is gone"
    if resource.kind == remains.CLIQUES:
        return remains.held(state, resource)
    if barred := remains.barred(state, resource):
        return barred
    if resource.kind == NAMESPACE:
        hanging = [inner for inner in inside(state, resource) if held(state, inner)]
        if hanging:
            return f"{', '.join(map(str, hanging))} have finalizers and their operator is gone"
    return ""


def inside(state: CloudState, namespace: CloudResource) -> list[CloudResource]:
    """Everything in a namespace."""
    return state.find(
        scope=namespace.scope,
        where=lambda resource: resource.kind.startswith("kubernetes:") and resource.id.startswith(f"{namespace.id}/"),
    )


def settle(state: CloudState, cluster: str) -> None:
    """Delete what is marked for deletion and no longer blocked."""
    for resource in state.find(scope=cluster, where=lambda resource: resource.dying):
        if not held(state, resource):
            for inner in inside(state, resource) if resource.kind == NAMESPACE else []:
                state.remove(inner.key)
            state.remove(resource.key)


def refuse_new(state: CloudState, cluster: str, namespace: str, what: str) -> None:
    """Reject new objects in a namespace that is being deleted, like the API server."""
    found = state.get(NAMESPACE, namespace, cluster)
    if found is not None and found.dying:
        raise ApiError(
            f"{what} is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
        )


def daemons(state: CloudState, domain: CloudResource) -> None:
    """What the driver's controller creates in its own namespace for a ComputeDomain, and also deletes."""
    controller = driver(state, domain.scope)
    if controller is None:
        return
    namespace, name = text(controller.outputs, "namespace"), f"{_DAEMON}-{domain.id.rpartition('/')[2]}"
    for kind, suffix in ((DAEMON_SET, ""), (CLAIM_TEMPLATE, "-claim")):
        body = {"metadata": {"name": f"{name}{suffix}", "namespace": namespace}}
        made = CloudResource(
            kind, domain.scope, f"{namespace}/{name}{suffix}", body, body, origin="service", owner=domain.key
        )
        if state.get(kind, made.id, domain.scope) is None:
            state.add(made)


def is_daemon(resource: CloudResource) -> bool:
    """Whether the driver's controller created it for a ComputeDomain."""
    return (
        resource.origin == "service" and resource.kind in (DAEMON_SET, CLAIM_TEMPLATE) and f"/{_DAEMON}" in resource.id
    )

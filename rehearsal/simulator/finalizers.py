"""Finalizers: objects whose deletion ends only when a controller has agreed, and what happens when it is gone.

Helm uninstalls an operator in a second and refuses nothing (R8). What the operator should still have taken down then
stays: marked as being deleted, for as long as nobody takes the finalizer away.
"""

from __future__ import annotations

from rehearsal.simulator import serving
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.system_objects import IMMORTAL, NAMESPACE
from rehearsal.simulator.values import text

CLAIM_TEMPLATE = "kubernetes:resource.k8s.io/v1:ResourceClaimTemplate"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
DRIVER = "nvidia-dra-driver-gpu"
_DAEMON = "computedomain-daemon"
"""Beginning of the names of what the driver's controller makes for each ComputeDomain, in its own namespace."""


def driver(state: CloudState, cluster: str) -> CloudResource | None:
    """The release of the DRA driver, whose controller takes ComputeDomains down."""
    found = state.find(
        serving.RELEASE, scope=cluster, where=lambda resource: text(resource.outputs, "status.chart") == DRIVER
    )
    return found[0] if found else None


def begin(state: CloudState, resource: CloudResource) -> None:
    """Ask for the deletion of an object; raises `Refusal` where it would be waited for in vain.

    The object is then marked as being deleted, and goes by itself once nothing holds it (`settle`).
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
    """What keeps an object from going; empty when nothing does."""
    if resource.kind == serving.GRAPH and serving.operator(state, resource.scope) is None:
        return "finalizer nvidia.com/finalizer, and its operator is gone"
    of_driver = resource.kind == serving.COMPUTE_DOMAIN or is_daemon(resource)
    if of_driver and driver(state, resource.scope) is None:
        return "finalizer resource.nvidia.com/computeDomain, and the driver's controller is gone"
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
    """Let go what is being deleted and held no longer."""
    for resource in state.find(scope=cluster, where=lambda resource: resource.dying):
        if not held(state, resource):
            for inner in inside(state, resource) if resource.kind == NAMESPACE else []:
                state.remove(inner.key)
            state.remove(resource.key)


def refuse_new(state: CloudState, cluster: str, namespace: str, what: str) -> None:
    """The API server's refusal of anything new in a namespace that is being deleted."""
    found = state.get(NAMESPACE, namespace, cluster)
    if found is not None and found.dying:
        raise ApiError(
            f"{what} is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
        )


def daemons(state: CloudState, domain: CloudResource) -> None:
    """What the driver's controller makes in its own namespace for a ComputeDomain; it takes both down itself."""
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
    """Whether the driver's controller made it for a ComputeDomain."""
    return (
        resource.origin == "service" and resource.kind in (DAEMON_SET, CLAIM_TEMPLATE) and f"/{_DAEMON}" in resource.id
    )

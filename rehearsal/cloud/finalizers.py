"""Finalizers: objects whose deletion ends only when a controller has agreed, and what happens when it is gone.

Helm uninstalls an operator in a second and refuses nothing (R8). What the operator should still have taken down then
stays: marked as being deleted, for as long as nobody takes the finalizer away.
"""

from __future__ import annotations

from rehearsal.cloud import serving
from rehearsal.cloud.system_objects import IMMORTAL, NAMESPACE
from rehearsal.cloud.values import text
from rehearsal.cloud.world import Refusal, Thing, World

CLAIM_TEMPLATE = "kubernetes:resource.k8s.io/v1:ResourceClaimTemplate"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
DRIVER = "nvidia-dra-driver-gpu"
_DAEMON = "computedomain-daemon"
"""Beginning of the names of what the driver's controller makes for each ComputeDomain, in its own namespace."""


def driver(world: World, cluster: str) -> Thing | None:
    """The release of the DRA driver, whose controller takes ComputeDomains down."""
    found = world.find(
        serving.RELEASE, scope=cluster, where=lambda thing: text(thing.outputs, "status.chart") == DRIVER
    )
    return found[0] if found else None


def begin(world: World, thing: Thing) -> None:
    """Ask for the deletion of an object; raises `Refusal` where it would be waited for in vain.

    The object is then marked as being deleted, and goes by itself once nothing holds it (`settle`).
    """
    if thing.kind == NAMESPACE and thing.id in IMMORTAL:
        raise Refusal(f'namespaces "{thing.id}" is forbidden: this namespace may not be deleted')
    why = held(world, thing)
    if why:
        thing.dying = True
        if thing.kind == NAMESPACE:
            thing.outputs = {**thing.outputs, "status": {"phase": "Terminating"}}
        raise Refusal(f"{thing} stays in Terminating: {why}")


def held(world: World, thing: Thing) -> str:
    """What keeps an object from going; empty when nothing does."""
    if thing.kind == serving.GRAPH and serving.operator(world, thing.scope) is None:
        return "finalizer nvidia.com/finalizer, and its operator is gone"
    of_driver = thing.kind == serving.COMPUTE_DOMAIN or is_daemon(thing)
    if of_driver and driver(world, thing.scope) is None:
        return "finalizer resource.nvidia.com/computeDomain, and the driver's controller is gone"
    if thing.kind == NAMESPACE:
        hanging = [inner for inner in inside(world, thing) if held(world, inner)]
        if hanging:
            return f"{', '.join(map(str, hanging))} have finalizers and their operator is gone"
    return ""


def inside(world: World, namespace: Thing) -> list[Thing]:
    """Everything in a namespace."""
    return world.find(
        scope=namespace.scope,
        where=lambda thing: thing.kind.startswith("kubernetes:") and thing.id.startswith(f"{namespace.id}/"),
    )


def settle(world: World, cluster: str) -> None:
    """Let go what is being deleted and held no longer."""
    for thing in world.find(scope=cluster, where=lambda thing: thing.dying):
        if not held(world, thing):
            for inner in inside(world, thing) if thing.kind == NAMESPACE else []:
                world.remove(inner.key)
            world.remove(thing.key)


def refuse_new(world: World, cluster: str, namespace: str, what: str) -> None:
    """The API server's refusal of anything new in a namespace that is being deleted."""
    found = world.get(NAMESPACE, namespace, cluster)
    if found is not None and found.dying:
        raise Refusal(
            f"{what} is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
        )


def daemons(world: World, domain: Thing) -> None:
    """What the driver's controller makes in its own namespace for a ComputeDomain; it takes both down itself."""
    controller = driver(world, domain.scope)
    if controller is None:
        return
    namespace, name = text(controller.outputs, "namespace"), f"{_DAEMON}-{domain.id.rpartition('/')[2]}"
    for kind, suffix in ((DAEMON_SET, ""), (CLAIM_TEMPLATE, "-claim")):
        body = {"metadata": {"name": f"{name}{suffix}", "namespace": namespace}}
        made = Thing(kind, domain.scope, f"{namespace}/{name}{suffix}", body, body, origin="service", owner=domain.key)
        if world.get(kind, made.id, domain.scope) is None:
            world.add(made)


def is_daemon(thing: Thing) -> bool:
    """Whether the driver's controller made it for a ComputeDomain."""
    return thing.origin == "service" and thing.kind in (DAEMON_SET, CLAIM_TEMPLATE) and f"/{_DAEMON}" in thing.id

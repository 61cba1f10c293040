"""Fabric tests: Indexed Jobs whose pods, one on each node, measure how fast the GPUs of a node pool exchange data.

Known by the config that lies beside the code, a JSON object that names a `host` and the least `all_gather`. Nothing of
the code is looked at. Where pods find each other is Kubernetes' guide "Indexed Job for Parallel Processing with
Pod-to-Pod Communication"; that nodes have NVLink between them only as a part of one ComputeDomain is what NVIDIA's
driver is for; how fast they are is in `NVLINK` and `NETWORK`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rehearsal.cloud import finalizers, nics, nodes, serving
from rehearsal.cloud.config_maps import config_of
from rehearsal.cloud.values import Props, items, mapping, number, text
from rehearsal.cloud.world import Thing, World

NVLINK: Final = 842.0
"""GB/s that others have measured between two GB200 nodes over NVLink."""
NETWORK: Final = 200.0 * 0.95
"""GB/s of four 400 Gbit/s NICs of a node, less what headers take (estimate)."""
NEVER_RAN: Final = ""
"""In the place of last words: no pod has had a node, so nobody has any."""

_SERVICE: Final = "kubernetes:core/v1:Service"


def last_words(world: World, job: Thing) -> str | None:
    """The termination message of a fabric test that fails; None when it succeeds, or is none."""
    config = config_of(world, job, "host", "all_gather")
    if config is None:
        return None
    pod, wanted = mapping(job.inputs, "spec.template.spec"), number(config, "nodes")
    pool = nodes.pool_of(world, job.scope, pod)
    if pool is None or list(_kept_out(world, job, pod, pool)):
        return NEVER_RAN
    free = serving.pool_size(pool) - nodes.in_use(world, job.scope, text(pool.outputs, "name"))
    running = min(free - world.cordoned.get(pool.id, 0), number(job.inputs, "spec.completions", 1))
    if running <= 0:
        return NEVER_RAN
    said = _unmet(world, job, config, running, wanted) or _slow(world, job, config, pod, pool)
    return f"{said}\nNext: {text(config, 'next')}" if said else None


def _kept_out(world: World, job: Thing, pod: Props, pool: Thing) -> Iterator[str]:
    """What keeps every pod from starting."""
    yield from nodes.untolerated(pool, pod, job.id)
    annotations = mapping(job.inputs, "spec.template.metadata.annotations")
    yield from nics.of_pod(world, job.scope, job.id.rpartition("/")[0], pod, annotations)


def _unmet(world: World, job: Thing, config: Props, running: int, wanted: int) -> str:
    """Why the pods do not find each other; empty where they do."""
    namespace, _, name = job.id.rpartition("/")
    service = world.get(_SERVICE, f"{namespace}/{text(job.inputs, 'spec.template.spec.subdomain')}", job.scope)
    labels = mapping(job.inputs, "spec.template.metadata.labels")
    selector = mapping(service.outputs, "spec.selector") if service else {}
    headless = service is not None and text(service.outputs, "spec.clusterIP") == "None"
    selects = bool(selector) and all(labels.get(key) == value for key, value in selector.items())
    indexed = text(job.inputs, "spec.completionMode") == "Indexed"
    known = f"{name}-0.{text(job.inputs, 'spec.template.spec.subdomain')}" == text(config, "host")
    if not (headless and selects and indexed and known):
        return f"pod 1 did not reach pod 0 at {text(config, 'host')}: Name or service not known"
    missing = wanted - min(running, number(job.inputs, "spec.parallelism", 1))
    return f"{missing} of {wanted} pods did not come" if missing > 0 else ""


def _slow(world: World, job: Thing, config: Props, pod: Props, pool: Thing) -> str:
    """What is slower than the config allows; empty where nothing is."""
    speed = world.fabric.get(pool.id, NVLINK) if _has_channel(world, job, pod) else NETWORK
    wanted = {name: float(config[name]) for name in ("all_gather", "all_reduce")}
    slow = [f"{name} {speed:.1f} GB/s, at least {least:g} wanted" for name, least in wanted.items() if speed < least]
    return f"the NVLink fabric of node pool {text(pool.outputs, 'name')} is slow: {', '.join(slow)}" if slow else ""


def _has_channel(world: World, job: Thing, pod: Props) -> bool:
    """Whether the pods claim a channel of one ComputeDomain."""
    namespace = job.id.rpartition("/")[0]
    names = {text(claim, "resourceClaimTemplateName") for claim in items(pod, "resourceClaims")}
    made = [world.get(finalizers.CLAIM_TEMPLATE, f"{namespace}/{name}", job.scope) for name in names]
    return any(thing is not None and thing.owner and thing.owner[0] == serving.COMPUTE_DOMAIN for thing in made)

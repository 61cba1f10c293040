"""Fabric tests: Indexed Jobs whose pods, one on each node, measure how fast the GPUs of a node pool exchange data.

Recognized by the config beside the code, a JSON object with a `host` and the minimum `all_gather`; the code is not
read. Sources: Kubernetes' guide "Indexed Job for Parallel Processing with Pod-to-Pod Communication" for how pods find
each other; NVIDIA's driver for NVLink between nodes of one ComputeDomain only; `NVLINK` and `NETWORK` for the
bandwidths.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rehearsal.simulator.kubernetes import finalizers, nodes
from rehearsal.simulator.kubernetes.config_maps import config_of
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, items, mapping, number, text
from rehearsal.simulator.workloads import nics, serving, traffic

NVLINK: Final = 842.0
"""GB/s that others have measured between two GB200 nodes over NVLink."""
NETWORK: Final = 200.0 * 0.95
"""GB/s of four 400 Gbit/s NICs of a node, minus headers (estimate)."""
NEVER_RAN: Final = ""
"""Instead of a termination message: no pod got a node, so there is none."""

_SERVICE: Final = "kubernetes:core/v1:Service"


def last_words(state: CloudState, job: CloudResource) -> str | None:
    """The termination message of a failing fabric test; None if it succeeds, or the Job is not one."""
    config = config_of(state, job, "host", "all_gather")
    if config is None:
        return None
    pod, wanted = mapping(job.inputs, "spec.template.spec"), number(config, "nodes")
    pool = nodes.pool_of(state, job.scope, pod)
    if pool is None or list(_kept_out(state, job, pod, pool)):
        return NEVER_RAN
    free = serving.pool_size(pool) - nodes.in_use(state, job.scope, text(pool.outputs, "name"))
    running = min(free - state.cordoned.get(pool.id, 0), number(job.inputs, "spec.completions", 1))
    if running <= 0:
        return NEVER_RAN
    said = _unmet(state, job, config, running, wanted) or _slow(state, job, config, pod, pool)
    return f"{said}\nNext: {text(config, 'next')}" if said else None


def _kept_out(state: CloudState, job: CloudResource, pod: Props, pool: CloudResource) -> Iterator[str]:
    """What prevents all pods from starting."""
    yield from nodes.untolerated(pool, pod, job.id)
    annotations = mapping(job.inputs, "spec.template.metadata.annotations")
    yield from nics.of_pod(state, job.scope, job.id.rpartition("/")[0], pod, annotations)


def _unmet(state: CloudState, job: CloudResource, config: Props, running: int, wanted: int) -> str:
    """Why the pods do not find each other; empty if they do."""
    namespace, _, name = job.id.rpartition("/")
    service = state.get(_SERVICE, f"{namespace}/{text(job.inputs, 'spec.template.spec.subdomain')}", job.scope)
    labels = mapping(job.inputs, "spec.template.metadata.labels")
    selector = mapping(service.outputs, "spec.selector") if service else {}
    headless = service is not None and text(service.outputs, "spec.clusterIP") == "None"
    selects = bool(selector) and all(labels.get(key) == value for key, value in selector.items())
    indexed = text(job.inputs, "spec.completionMode") == "Indexed"
    known = f"{name}-0.{text(job.inputs, 'spec.template.spec.subdomain')}" == text(config, "host")
    if not (headless and selects and indexed and known):
        return f"pod 1 did not reach pod 0 at {text(config, 'host')}: Name or service not known"
    if shut_off := traffic.unmet_peers(state, job, number(config, "port")):
        return shut_off
    missing = wanted - min(running, number(job.inputs, "spec.parallelism", 1))
    return f"{missing} of {wanted} pods did not come" if missing > 0 else ""


def _slow(state: CloudState, job: CloudResource, config: Props, pod: Props, pool: CloudResource) -> str:
    """What is slower than the config allows; empty if nothing is."""
    speed = state.fabric.get(pool.id, NVLINK) if _has_channel(state, job, pod) else NETWORK
    wanted = {name: float(config[name]) for name in ("all_gather", "all_reduce")}
    slow = [f"{name} {speed:.1f} GB/s, at least {least:g} required" for name, least in wanted.items() if speed < least]
    return f"the NVLink fabric of node pool {text(pool.outputs, 'name')} is slow: {', '.join(slow)}" if slow else ""


def _has_channel(state: CloudState, job: CloudResource, pod: Props) -> bool:
    """Whether the pods claim a channel of one ComputeDomain."""
    namespace = job.id.rpartition("/")[0]
    names = {text(claim, "resourceClaimTemplateName") for claim in items(pod, "resourceClaims")}
    made = [state.get(finalizers.CLAIM_TEMPLATE, f"{namespace}/{name}", job.scope) for name in names]
    return any(
        resource is not None and resource.owner and resource.owner[0] == serving.COMPUTE_DOMAIN for resource in made
    )

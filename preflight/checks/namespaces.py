"""Namespaces that somebody else made: they are there, and nothing in them refuses or caps a pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from preflight.cloud import Namespace
from preflight.results import NO_CLUSTER, Outcome, failed, passed, skipped
from preflight.site import Site
from reference.capacity import GIB, quantity
from reference.namespaces import Foreign
from reference.pod_security import ENFORCE
from settings.model import Stack

LEAST_MEMORY: Final = 64 * GIB
"""Less is too little for a worker [inferred]: it reads its share of the weights through the node's memory."""
_DEMANDED: Final = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    **{f"{kind}.{resource}": (kind, resource) for kind in ("requests", "limits") for resource in ("cpu", "memory")},
}
"""What a ResourceQuota that counts a resource demands of every container (kubernetes.io, "Resource Quotas")."""

Finding = tuple[str, str]
"""A finding and its fix."""


def foreign(site: Site) -> Outcome:
    """Each namespace exists, admits the pods that will run there, and leaves workers the memory that they need."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    wanted = site.settings.foreign_namespaces
    bad: list[Finding] = []
    for one in wanted:
        found = site.cloud.namespace(cluster, one.name)
        if found is None:
            bad.append((f"namespace {one.name} ({one.key}) does not exist", f"kubectl create namespace {one.name}"))
            continue
        bad += _security(one, found)
        for i, stack in enumerate(site.settings.stacks):
            if stack.space == one.name:
                bad += _resources(one, found, stack, f"stacks[{i}].resources.worker")
    if bad:
        return failed("; ".join(text for text, _ in bad), "; ".join(dict.fromkeys(fix for _, fix in bad)))
    return passed(f"{', '.join(one.name for one in wanted)}: there, and nothing refuses or caps a pod")


def _security(one: Foreign, found: Namespace) -> Iterator[Finding]:
    standard = found.labels.get(ENFORCE, "privileged")
    if one.privileged and standard != "privileged":
        fix = f"kubectl label --overwrite namespace {one.name} {ENFORCE}=privileged"
        yield f"namespace {one.name} enforces {standard}, which refuses the pods there", fix


def _resources(one: Foreign, found: Namespace, stack: Stack, key: str) -> Iterator[Finding]:
    worker = stack.resources.worker
    # A limit stands in for a request that is not set.
    own = {"limits": {*worker.limits}, "requests": {*worker.requests, *worker.limits}}
    default = {"limits": {*found.limits}, "requests": {*found.requests, *found.limits}}
    for name, hard in found.quotas.items():
        asked = sorted({_DEMANDED[resource] for resource in hard if resource in _DEMANDED})
        missing = [(kind, what) for kind, what in asked if what not in own[kind] | default[kind]]
        if missing:
            demanded = ", ".join(f"{kind}.{what}" for kind, what in missing)
            text = f"ResourceQuota {name} in {one.name} demands {demanded} of every container, and workers have none"
            yield text, f"set {key} (the frontends have theirs), or have the quota count GPUs alone"
    capped = found.limits.get("memory")
    if capped is not None and "memory" not in worker.limits and quantity(capped) < LEAST_MEMORY:
        text = f"a LimitRange in {one.name} caps a worker without a limit of its own at {capped} of memory"
        yield text, f"set {key}.limits.memory, or have the LimitRange's default taken away"

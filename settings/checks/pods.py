"""Rules of pods: proxy and certificates, resources, variables and volumes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reference import capacity, outbound, pod_volumes
from serving_rules import environment
from settings.model import Settings, Stack
from settings.pods import PodResources, Toleration
from validation.problems import Problem, refused

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SIDECAR: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_WORKER: Final = frozenset({*_SIDECAR, "hugepages-2Mi", "hugepages-1Gi"})


def check(settings: Settings) -> Iterator[Problem]:
    """The settings of all pods, and of each stack's."""
    said = settings.pods
    for i, toleration in enumerate(said.system_tolerations):
        yield from _toleration(toleration, f"pods.systemTolerations[{i}]")
    urls = {"hubEndpoint": said.hub_endpoint, "pipIndex": said.pip_index}
    if said.proxy is not None:
        urls["proxy.url"] = said.proxy.url
    for name, url in urls.items():
        if url is not None:
            yield from refused(outbound.check_url, url, f"pods.{name}")
    if said.ca_bundle is not None:
        yield from refused(outbound.check_certificates, said.ca_bundle, "pods.caBundle")
    for i, stack in enumerate(settings.stacks):
        yield from _stack(stack, f"stacks[{i}]")


def _toleration(toleration: Toleration, key: str) -> Iterator[Problem]:
    if toleration.operator == "Exists" and toleration.value is not None:
        rule = "a toleration with Exists has no value"
        yield Problem(f"{key}.value", toleration.value, rule, "remove it, or set operator: Equal")
    if toleration.key is None and toleration.operator == "Equal":
        rule = "only a toleration with Exists is for every key"
        yield Problem(f"{key}.key", None, rule, "set it, or operator: Exists")


def _stack(stack: Stack, key: str) -> Iterator[Problem]:
    if stack.priority_class is not None and not _NAME.fullmatch(stack.priority_class):
        rule = "the name of a PriorityClass has lower-case letters, digits, hyphens and dots"
        yield Problem(f"{key}.priorityClass", stack.priority_class, rule, "look it up: kubectl get priorityclasses")
    for name, value in stack.frontend.environment.items():
        found = environment.unfit(name)
        if found is not None:
            shown = "(hidden)" if environment.is_secret(name) else value
            yield Problem(f"{key}.frontend.environment.{name}", shown, *found)
    yield from _resources(stack.resources.worker, _WORKER, f"{key}.resources.worker")
    yield from _resources(stack.resources.gcsfuse, _SIDECAR, f"{key}.resources.gcsfuse")
    names: set[str] = set()
    for n, volume in enumerate(stack.volumes):
        at = f"{key}.volumes[{n}]"
        if volume.name in pod_volumes.NAMES or volume.name in names:
            yield Problem(f"{at}.name", volume.name, "the pods have a volume of this name", "choose another name")
        names.add(volume.name)
        path = volume.mount_path.rstrip("/")
        if not path.startswith("/") or ":" in path:
            yield Problem(
                f"{at}.mountPath", volume.mount_path, "an absolute path without a colon", "write it like /data"
            )
        elif any(path == own or path.startswith(f"{own}/") for own in pod_volumes.PATHS):
            yield Problem(f"{at}.mountPath", volume.mount_path, "the pods have a mount there", "choose another path")
        if len(volume.source) != 1:
            rule = "a volume has one source"
            yield Problem(f"{at}.source", sorted(volume.source), rule, "write it like {configMap: {name: x}}")


def _resources(said: PodResources, known: frozenset[str], key: str) -> Iterator[Problem]:
    for part, quantities in (("requests", said.requests), ("limits", said.limits)):
        for name, text in quantities.items():
            at = f"{key}.{part}.{name}"
            if name not in known:
                rule = f"only {', '.join(sorted(known))} can be set here"
                yield Problem(at, text, rule, "remove it; GPUs and claims are the layout's")
                continue
            try:
                amount = capacity.quantity(text)
            except ValueError:
                yield Problem(at, text, "a quantity of Kubernetes", "write it like 64Gi or 500m")
                continue
            # 0 is gcsfuse's word for no limit.
            limit = _amount(said.limits.get(name, "0"))
            if part == "requests" and limit and amount > limit:
                rule = f"a request is at most its limit ({said.limits[name]})"
                yield Problem(at, text, rule, "lower it, or raise the limit")


def _amount(text: str) -> float | None:
    try:
        return capacity.quantity(text)
    except ValueError:
        return None

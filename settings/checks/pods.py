"""Rules of pods: proxy and certificates, resources, variables and volumes."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reference import capacity, outbound, pod_volumes
from serving_rules import environment
from settings.model import CreateCluster, Settings, Stack
from settings.pods import PodResources, Toleration
from validation.problems import HIDDEN, Problem, refused

_SOURCE: Final = "{configMap: {name: x}}"
_MAPPED: Final = "a mapping of all frontends and downloads has a key for it"
_SIDECAR: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_NODE: Final = capacity.a4x_node().room
_ROOM: Final = {
    "cpu": (_NODE.cpu / 1000, f"{_NODE.cpu / 1000:g} CPUs"),
    "memory": (_NODE.memory, f"{_NODE.memory // capacity.GIB} GiB of memory"),
}
"""Allocatable resources of an A4X node, as numbers and in words."""
_WORKER: Final = frozenset({"cpu", "memory"})
"""What the graph's custom resource has fields for."""


def check(settings: Settings) -> Iterator[Problem]:
    """The settings of all pods, and of each stack's."""
    said = settings.pods
    for i, toleration in enumerate(said.system_tolerations):
        yield from _toleration(toleration, f"pods.systemTolerations[{i}]")
    urls = {"hubEndpoint": said.hub_endpoint, "pipIndex": said.pip_index}
    if said.proxy is not None:
        urls["proxy.url"] = said.proxy.url
        for i, host in enumerate(said.proxy.no_proxy):
            if not re.fullmatch(r"[^\s,]+", host):
                rule = "one host, domain or range each, without commas and spaces"
                yield Problem(f"pods.proxy.noProxy[{i}]", host, rule, "list them one by one")
    for name, url in urls.items():
        if url is not None:
            yield from refused(outbound.check_url, url, f"pods.{name}")
    if said.ca_bundle is not None:
        yield from refused(outbound.check_certificates, said.ca_bundle, "pods.caBundle")
    for i, stack in enumerate(settings.stacks):
        yield from _stack(stack, f"stacks[{i}]")


def warnings(settings: Settings) -> Iterator[str]:
    """Egress that is missing."""
    proxy, cluster = settings.pods.proxy, settings.cluster
    if proxy is not None and settings.created_network is None and not any("/" in host for host in proxy.no_proxy):
        yield (
            "pods.proxy.noProxy has no range: those of an adopted network are not known here, so list nodes, pods, "
            "services and control plane."
        )
    if not isinstance(cluster, CreateCluster) or getattr(cluster.network, "nat", "own") == "own":
        return
    if not settings.images.mirrors:
        yield (
            "cluster.network.nat = none without images.mirrors: only images of Google's registries can be pulled, "
            "unless the network has its own internet egress."
        )
    if settings.model_bucket.download and not (proxy or (settings.pods.hub_endpoint and settings.pods.pip_index)):
        yield (
            "cluster.network.nat = none with modelBucket.download: the Job needs pypi.org and huggingface.co; set "
            "pods.proxy, or pods.pipIndex and pods.hubEndpoint."
        )


def _toleration(toleration: Toleration, key: str) -> Iterator[Problem]:
    if toleration.operator == "Exists" and toleration.value is not None:
        rule = "a toleration with Exists has no value"
        yield Problem(f"{key}.value", toleration.value, rule, "remove it, or set operator: Equal")
    if toleration.key is None and toleration.operator == "Equal":
        rule = "only a toleration with Exists is for every key"
        yield Problem(f"{key}.key", None, rule, "set it, or operator: Exists")


def _stack(stack: Stack, key: str) -> Iterator[Problem]:
    for name, value in stack.frontend.environment.items():
        key_of = outbound.KEYS.get(name)
        mapped = (_MAPPED, f"set {key_of}") if key_of else None
        found = environment.unfit(name, value) or mapped
        if found is not None:
            shown = HIDDEN if environment.is_secret(name) else value
            yield Problem(f"{key}.frontend.environment.{name}", shown, *found)
    yield from _resources(stack.resources.worker, _WORKER, f"{key}.resources.worker")
    yield from _resources(stack.resources.gcsfuse, _SIDECAR, f"{key}.resources.gcsfuse")
    names: set[str] = set()
    taken = set(pod_volumes.PATHS)
    for n, volume in enumerate(stack.volumes):
        at = f"{key}.volumes[{n}]"
        if volume.name in pod_volumes.NAMES or volume.name in names:
            yield Problem(f"{at}.name", volume.name, "the pods have a volume of this name", "choose another name")
        names.add(volume.name)
        yield from _mount(volume.mount_path, taken, f"{at}.mountPath")
        yield from _source(volume.source, f"{at}.source")


def _mount(written: str, taken: set[str], key: str) -> Iterator[Problem]:
    """A place in the file system that nothing else has; adds it to `taken`."""
    path = posixpath.normpath(written)
    if not path.startswith("/") or ":" in path:
        yield Problem(key, written, "a mount has an absolute path without a colon", "write it like /data")
        return
    over = sorted(own for own in taken if path == own or path.startswith(f"{own}/"))
    under = sorted(own for own in pod_volumes.PATHS if own.startswith(f"{path.rstrip('/')}/"))
    if over:
        yield Problem(key, written, "the pods have a mount there", "choose another path")
    elif under:
        yield Problem(key, written, f"the pods have a mount below it, {under[0]}", "choose another path")
    taken.add(path)


def _source(source: Mapping[str, Any], key: str) -> Iterator[Problem]:
    if len(source) != 1:
        yield Problem(key, sorted(source), "a volume has one source", f"write it like {_SOURCE}")
        return
    [(kind, content)] = source.items()
    if kind not in pod_volumes.SOURCES:
        close = difflib.get_close_matches(kind, pod_volumes.SOURCES, n=1)
        fix = f"did you mean {close[0]!r}? " if close else ""
        yield Problem(key, [kind], "a pod has no volumes of this kind", f"{fix}write it like {_SOURCE}")
    elif not isinstance(content, Mapping):
        yield Problem(f"{key}.{kind}", content, "must be a mapping", f"write it like {_SOURCE}")


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
                yield Problem(at, text, "must be a Kubernetes quantity", "write it like 64Gi or 500m")
                continue
            room = _ROOM.get(name) if known is _WORKER and part == "requests" else None
            if room is not None and amount > room[0]:
                yield Problem(at, text, f"an A4X node has {room[1]} for pods", "lower it")
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

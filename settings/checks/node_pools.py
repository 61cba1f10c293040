"""Rules of labels, taints and kernel parameters of the A4X nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from reference import gke, labels, machines
from reference.machines import A4X
from settings.model import CreateDomain, Settings
from settings.node_pools import Taint
from validation.problems import Problem, refused

_KUBELET_REFUSES: Final = re.compile(r"([^/]*\.)?(kubernetes|k8s)\.io/")
"""Domains in which the kubelet sets only labels that it knows (NodeRestriction); GKE refuses them on a pool."""
_OF_GKE: Final = frozenset({machines.NODE_POOL_KEY, *gke.WRITTEN_LABELS, gke.DRANET_LABEL})
_SYSCTL: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


def check(settings: Settings) -> Iterator[Problem]:
    """Each in the grammar of Kubernetes or Linux, and none that the program or GKE sets."""
    for i, domain in enumerate(settings.domains):
        yield from _taints(domain.taints, f"domains[{i}].taints")
        if not isinstance(domain, CreateDomain):
            continue
        for label, value in domain.pool.labels.items():
            yield from _label(label, value, f"domains[{i}].pool.labels.{label}")
        for name, value in domain.pool.sysctls.items():
            if not _SYSCTL.fullmatch(name):
                key, rule = f"domains[{i}].pool.sysctls.{name}", "a kernel parameter has parts that are joined by dots"
                yield Problem(key, value, rule, "write it like net.core.somaxconn")


def _taints(taints: Sequence[Taint], key: str) -> Iterator[Problem]:
    own = {toleration.get("key") for toleration in A4X.tolerations()}
    kinds: set[tuple[str, str]] = set()
    for n, taint in enumerate(taints):
        at, kind = f"{key}[{n}].key", (taint.key, taint.effect)
        if taint.key in own:
            rule = "every A4X node has this taint, and every pod of the program tolerates it"
            yield Problem(at, taint.key, rule, "remove it")
        elif kind in kinds:
            yield Problem(at, taint.key, "a node has one taint of a key and an effect", "remove one of the two")
        else:
            yield from refused(labels.check_kubernetes_label, taint.key, taint.value, at)
        kinds.add(kind)


def _label(label: str, value: str, key: str) -> Iterator[Problem]:
    if label in _OF_GKE:
        yield Problem(key, value, "GKE sets this label itself, and refuses it", "choose another key")
    elif _KUBELET_REFUSES.match(label):
        rule = "Kubernetes keeps labels of kubernetes.io and k8s.io on nodes for itself"
        yield Problem(key, value, rule, "choose a domain of your own, such as example.com/team")
    else:
        yield from refused(labels.check_kubernetes_label, label, value, key)

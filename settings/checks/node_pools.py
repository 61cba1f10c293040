"""Rules of labels, taints and kernel parameters of the A4X nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reference import labels
from reference.machines import A4X
from settings.model import CreateDomain, Settings
from validation.problems import Problem, refused

_KUBELET_REFUSES: Final = re.compile(r"([^/]*\.)?(kubernetes|k8s)\.io/")
"""Domains in which the kubelet sets only labels that it knows (NodeRestriction); GKE refuses them on a pool."""
_SYSCTL: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


def check(settings: Settings) -> Iterator[Problem]:
    """Each in the grammar of Kubernetes or Linux, and none that the program or GKE sets."""
    own = {toleration.get("key") for toleration in A4X.tolerations()}
    for i, domain in enumerate(settings.domains):
        for n, taint in enumerate(domain.taints):
            key = f"domains[{i}].taints[{n}]"
            if taint.key in own:
                rule = "every A4X node has this taint, and every pod of the program tolerates it"
                yield Problem(f"{key}.key", taint.key, rule, "remove it")
                continue
            yield from refused(labels.check_kubernetes_label, taint.key, taint.value, f"{key}.key")
        if not isinstance(domain, CreateDomain):
            continue
        for label, value in domain.pool.labels.items():
            key = f"domains[{i}].pool.labels.{label}"
            if _KUBELET_REFUSES.match(label):
                rule = "Kubernetes keeps labels of kubernetes.io and k8s.io on nodes for itself"
                yield Problem(key, value, rule, "choose a domain of your own, such as example.com/team")
            else:
                yield from refused(labels.check_kubernetes_label, label, value, key)
        for name, value in domain.pool.sysctls.items():
            if not _SYSCTL.fullmatch(name):
                key, rule = f"domains[{i}].pool.sysctls.{name}", "a kernel parameter has parts that are joined by dots"
                yield Problem(key, value, rule, "write it like net.core.somaxconn")

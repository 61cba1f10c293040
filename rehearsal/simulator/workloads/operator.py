"""The Dynamo operator: what it adds to pods, and what pods need from it to discover each other.

Rows R5, R6, M4, M6 and N8 of what was seen on real operators (docs/explanation/what-was-run.md).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rehearsal.simulator.kubernetes import rights
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, items, mapping, text
from rehearsal.simulator.workloads import platforms, serving

SWITCH: Final = "nvidia.com/disable-image-pull-secret-discovery"
_HUB: Final = "docker.io"

_WRITES = tuple(rights.Permission(verb, "nvidia.com", "dynamoworkermetadatas") for verb in ("create", "get", "update"))
_READS = (
    rights.Permission("list", "discovery.k8s.io", "endpointslices"),
    rights.Permission("list", "nvidia.com", "dynamoworkermetadatas"),
)


@dataclass(frozen=True)
class Rolled:
    """A role of a graph whose pods were replaced."""

    graph: str
    role: str


def restart(state: CloudState, cluster: str) -> list[Rolled]:
    """Restart the operator; returns the roles whose pods it replaces.

    Its index of pull secrets is empty when it starts: it writes every pod template without the secrets in the index,
    and a minute later with them. Each difference rolls the role (R5; seen on 0.7.0 and 1.0.1). Later releases wait for
    the index, and there only a secret that is newer than the graph makes a difference (N8, M6).
    """
    waits = _version(state, cluster) >= (1, 1)
    return [
        Rolled(graph.id, role.name)
        for graph in serving.graphs(state, cluster)
        for role in serving.roles(graph.outputs)
        if _found_by_itself(state, graph, role, newer=waits) - _named(role)
    ]


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """What prevents the pods of a graph from discovering each other.

    From 1.0 on discovery uses the Kubernetes API, with the graph's service account. The operator grants the permissions
    only to an account of its own (R6, M4).
    """
    if serving.operator(state, cluster) is None or _version(state, cluster) < (1, 0):
        return
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        account = text(role.pod, "serviceAccountName")
        if not account:
            continue
        if not rights.has_token(state, cluster, namespace, role.pod):
            yield f"{role.name}: pods never find each other: they get no token of serviceaccount {namespace}/{account}"
        needed = (*_READS, *_WRITES) if role.gpus else _READS
        missing = [one for one in needed if not rights.may(state, cluster, namespace, account, one)]
        if missing:
            yield (
                f"{role.name}: pods never find each other: serviceaccount {namespace}/{account} may not "
                f"{', '.join(map(str, missing))}"
            )


def services(state: CloudState, cluster: str, _graph: Props) -> Iterator[str]:
    """The NATS and etcd that pods never reach: neither the release's own, nor there at the address that it is given.

    Both are values of the platform's chart; the operator writes their addresses into every pod (its
    `internal/dynamo/graph.go`). NATS is needed before 1.4, etcd before 1.0 (read).
    """
    release = serving.operator(state, cluster)
    if release is None:
        return
    running, values = platforms.of_release(release), mapping(release.inputs, "values")
    for name in (*(("nats",) if running.needs_nats else ()), *(("etcd",) if running.needs_etcd else ())):
        address = text(release.inputs, f"values.dynamo-operator.{name}Addr")
        if not address and not platforms.installs(serving.version_of(release), values, name):
            yield f"pods end: {name} is off, and the operator has no {name}Addr"
        inside = _IN_CLUSTER.search(address)
        if inside and state.get("kubernetes:core/v1:Service", f"{inside[2]}/{inside[1]}", cluster) is None:
            yield f"pods end: {address} ({name}Addr) is not a Service of the cluster"


_IN_CLUSTER: Final = re.compile(r"(?:^|//)([a-z0-9-]+)\.([a-z0-9-]+)\.svc[.:]")


def _version(state: CloudState, cluster: str) -> platforms.Version:
    release = serving.operator(state, cluster)
    return platforms.minor(serving.version_of(release)) if release is not None else (0, 0)


def _named(role: serving.Role) -> set[str]:
    return {text(secret, "name") for secret in items(role.pod, "imagePullSecrets")}


def _found_by_itself(state: CloudState, graph: CloudResource, role: serving.Role, *, newer: bool) -> set[str]:
    """Pull secrets that the operator discovers for a role by the registry of its image; with `newer` only those that
    are younger than the graph.
    """
    running = serving.platform(state, graph.scope)
    in_pod = running is not None and running.reads_pod_switch
    switch = (mapping(role.metadata, "annotations") if in_pod else role.annotations).get(SWITCH)
    if str(switch).lower() == "true":
        return set()
    registry = _registry(text(role.main, "image"))
    namespace = text(graph.outputs, "metadata.namespace")
    return {
        text(secret.outputs, "metadata.name")
        for secret in state.find("kubernetes:core/v1:Secret", scope=graph.scope)
        if text(secret.outputs, "metadata.namespace") == namespace
        and registry in _registries(secret.outputs)
        and (secret.born > graph.born or not newer)
    }


def _registry(image: str) -> str:
    first, _, rest = image.partition("/")
    return first if rest and ("." in first or ":" in first) else _HUB


def _registries(secret: Props) -> set[str]:
    if text(secret, "type") != "kubernetes.io/dockerconfigjson":
        return set()
    try:
        config: Any = json.loads(base64.b64decode(str(mapping(secret, "data").get(".dockerconfigjson"))))
    except (ValueError, binascii.Error):
        return set()
    return {str(host).removeprefix("https://").split("/")[0] for host in mapping(config, "auths")}

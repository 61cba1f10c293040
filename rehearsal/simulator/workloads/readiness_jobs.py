"""Readiness checks: Jobs whose pod runs code from a ConfigMap and waits until a graph serves.

Recognized by the config beside the code, a JSON object with a `deployment` and its `roles`. The code is not read: the
result is derived from the cluster by rules of the embedded cloud's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import yaml

from rehearsal.simulator.kubernetes import config_maps, nodes, rights
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, dig, items, mapping, number, text
from rehearsal.simulator.workloads import blockers, serving, traffic

_SERVICE = "kubernetes:core/v1:Service"
_ROLE_LABEL, _TEMPLATE = "dynamo-a4x/role", "dynamo-a4x/pod-template"
_WORDS = 4096
"""Bytes of a termination message."""


def last_words(state: CloudState, job: CloudResource) -> str | None:
    """The termination message of a failing readiness check; None if it succeeds, or the Job is not one.

    It succeeds degraded if nothing but nodes is missing, and only for replicas beyond the minimum of its config.
    """
    config = config_of(state, job)
    if config is None:
        return None
    causes = list(dict.fromkeys(_causes(state, job, config)))
    missing, short = _without(state, job, config)
    state.shown.pop(job.id, None)
    if short and set(causes) == short:
        state.shown[job.id] = f"degraded: {missing}: {'; '.join(sorted(short))}"
        return None
    return "\n".join([*causes, text(config, "next")])[:_WORDS] if causes else None


def config_of(state: CloudState, job: CloudResource) -> Props | None:
    """The config of a readiness check; None for other Jobs."""
    return config_maps.config_of(state, job, "deployment", "roles")


def watches(state: CloudState, graph: CloudResource) -> bool:
    """Whether a readiness check waits for a graph."""
    wanted = text(graph.outputs, "metadata.name")
    jobs = state.find("kubernetes:batch/v1:Job", scope=graph.scope)
    return any(text(config_of(state, job), "deployment") == wanted for job in jobs)


def _causes(state: CloudState, job: CloudResource, config: Props) -> Iterator[str]:
    namespace, name = text(config, "namespace"), text(config, "deployment")
    yield from _forbidden(state, job, namespace)
    graph = state.get(serving.GRAPH, f"{namespace}/{name}", job.scope)
    if graph is None:
        yield f'dynamographdeployments.nvidia.com "{name}" not found'
        return
    yield from blockers.of(state, job.scope, graph.outputs)
    yield from _roles(graph.outputs, mapping(config, "roles"))
    yield from _endpoint(state, job.scope, graph.outputs, config)
    yield from traffic.unanswered(state, job.scope, job, graph.outputs)


def _without(state: CloudState, job: CloudResource, config: Props) -> tuple[str, set[str]]:
    """The replicas that the check does not insist on and that have no node, and which nodes are missing."""
    namespace, name = text(config, "namespace"), text(config, "deployment")
    graph = state.get(serving.GRAPH, f"{namespace}/{name}", job.scope)
    if graph is None:
        return "", set()
    short = set(nodes.shortages(state, job.scope, graph.outputs))
    wanted, missing, count = mapping(config, "roles"), list[str](), dict[str, int]()
    for role in serving.roles(graph.outputs):
        label, count[role.name] = _label(role), role.replicas
        minimum = number(wanted, f"{label}.minimum", role.replicas)
        while role.gpus and count[role.name] > minimum and any(nodes.shortages(state, job.scope, graph.outputs, count)):
            count[role.name] -= 1
        if count[role.name] < role.replicas:
            missing.append(f"{label} {count[role.name]} of {role.replicas} replicas")
    if any(nodes.shortages(state, job.scope, graph.outputs, count)):
        return "", set()
    return ", ".join(missing), short


def _label(role: serving.Role) -> str:
    return str(mapping(role.metadata, "labels").get(_ROLE_LABEL))


def _forbidden(state: CloudState, job: CloudResource, namespace: str) -> Iterator[str]:
    """Whether the account may list what tells the state: pods, and KAI's groups of them."""
    pod = mapping(job.inputs, "spec.template.spec")
    account = text(pod, "serviceAccountName")
    if not rights.has_token(state, job.scope, namespace, pod):
        yield f"no token of serviceaccount {namespace}/{account}"
    for group, kind in (("", "pods"), ("scheduling.run.ai", "podgroups")):
        if not rights.may(state, job.scope, namespace, account, rights.Permission("list", group, kind)):
            yield (
                f'{kind} is forbidden: User "system:serviceaccount:{namespace}:{account}" cannot list resource '
                f'"{kind}" in API group "{group}" in the namespace "{namespace}"'
            )


def _roles(graph: Props, wanted: Props) -> Iterator[str]:
    """Whether each role will have exactly the pods that the check waits for."""
    made: dict[str, tuple[list[int], set[str]]] = {}
    for role in serving.roles(graph):
        label = _label(role)
        pods, templates = made.get(label, ([], set()))
        template = str(mapping(role.metadata, "annotations").get(_TEMPLATE))
        made[label] = (pods + [role.nodes_each] * role.replicas, templates | {template})
    for name in sorted({*made, *wanted}):
        pods, templates = made.get(name, (list[int](), set[str]()))
        replicas, each = number(wanted, f"{name}.replicas"), number(wanted, f"{name}.podsPerReplica", 1)
        if pods != [each] * replicas:
            yield f"{name}: {replicas} times {each} pods wanted, the graph makes replicas of {pods}"
        if templates != {dig(wanted, f"{name}.template")}:
            yield f"{name}: pods of template {', '.join(sorted(templates)) or 'none'}, not of the one that is wanted"


def _endpoint(state: CloudState, cluster: str, graph: Props, config: Props) -> Iterator[str]:
    """Whether the URL resolves to the graph's frontends, and they serve the model."""
    host = urlsplit(text(config, "url")).hostname or ""
    name, _, rest = host.partition(".")
    service = state.get(_SERVICE, f"{rest.partition('.')[0]}/{name}", cluster)
    if service is None:
        yield f"{host}: Name or service not known"
        return
    selector = mapping(service.outputs, "spec.selector")
    if not any(_selects(selector, labels) for labels in _frontends(state, cluster, graph)):
        yield f"{host}: Connection refused: the Service selects none of the graph's frontends"
    models = set(_served(state, cluster, graph))
    if models and text(config, "model") not in models:
        yield f"/v1/models lists {', '.join(sorted(models))}, not {text(config, 'model')}"


def _frontends(state: CloudState, cluster: str, graph: Props) -> Iterator[Props]:
    """The labels of frontend pods, including the one that the operator adds."""
    for role in serving.roles(graph):
        if role.type == "frontend":
            yield serving.labels(state, cluster, role)


def _selects(selector: Props, labels: Props) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _served(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Model names that the workers register, from their argument files."""
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        for volume in items(role.pod, "volumes"):
            found = state.get(config_maps.CONFIG_MAP, f"{namespace}/{text(volume, 'configMap.name')}", cluster)
            for content in mapping(found.outputs, "data").values() if found is not None else ():
                loaded: Any = yaml.safe_load(str(content))
                name = text(loaded, "served-model-name")
                if name:
                    yield name

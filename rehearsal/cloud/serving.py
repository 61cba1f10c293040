"""What the operators of the field do with a DynamoGraphDeployment: whether its pods could ever run.

On a real cluster most of these errors are silent: the object is accepted and stays `pending`. The embedded cloud
says at once what would be waited for in vain. Facts are those of Dynamo 0.7 with Grove alpha.3 and KAI 0.9.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rehearsal.cloud import pods
from rehearsal.cloud.gcp_rules import MACHINE_A4X, NODE_POOL, short
from rehearsal.cloud.values import Props, dig, items, mapping, number, text
from rehearsal.cloud.world import Key, Refusal, Thing, World

GRAPH = "kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment"
COMPUTE_DOMAIN = "kubernetes:resource.nvidia.com/v1beta1:ComputeDomain"
QUEUE = "kubernetes:scheduling.run.ai/v2:Queue"
RELEASE = "kubernetes:helm.sh/v3:Release"

GPUS_PER_NODE = 4
"""Of an A4X node; a pod that takes fewer still has the node's network cards to itself."""
NAME_LIMIT = 45
"""Grove: length of deployment + scaling group + clique, at most."""
POOL_LABEL = "cloud.google.com/gke-nodepool"
TAINTS = (("kubernetes.io/arch", "arm64"), ("nvidia.com/gpu", "present"))
"""Taints of every A4X node, effect NoSchedule."""
DEFAULT_QUEUE = "dynamo"
QUEUE_ANNOTATION = "nvidia.com/kai-scheduler-queue"


@dataclass(frozen=True)
class Role:
    """One service of a graph, as the scheduler sees it."""

    name: str
    replicas: int
    nodes_each: int
    gpus: int
    """GPUs of one pod."""
    pod: Props
    multinode: bool

    @property
    def nodes(self) -> int:
        """GPU nodes that all replicas take together."""
        return self.replicas * self.nodes_each * math.ceil(self.gpus / GPUS_PER_NODE)


def roles(graph: Props) -> list[Role]:
    """The services of a graph."""
    found: list[Role] = []
    for name, service in mapping(graph, "spec.services").items():
        gpus = dig(service, "resources.limits.gpu")
        found.append(
            Role(
                name=name,
                replicas=number(service, "replicas", 1),
                nodes_each=number(service, "multinode.nodeCount", 1),
                gpus=int(gpus) if isinstance(gpus, str) and gpus.isdigit() else 0,
                pod=mapping(service, "extraPodSpec"),
                multinode=bool(mapping(service, "multinode")),
            )
        )
    return found


def graphs(world: World, cluster: str) -> list[Thing]:
    """The living graphs of a cluster."""
    return world.find(GRAPH, scope=cluster)


def users_of_pool(world: World, cluster: str, pool: str) -> list[str]:
    """Names of the graphs that run on a node pool."""
    return [
        f"DynamoGraphDeployment {graph.id}"
        for graph in graphs(world, cluster)
        if any(pool in pods.pools_of(role.pod) for role in roles(graph.outputs))
    ]


def nodes_in_use(world: World, cluster: str, pool: str, but: Key | None = None) -> int:
    """Nodes of a pool that living graphs take."""
    return sum(
        role.nodes
        for graph in graphs(world, cluster)
        if graph.key != but
        for role in roles(graph.outputs)
        if pool in pods.pools_of(role.pod)
    )


def operator(world: World, cluster: str) -> Thing | None:
    """The release that runs the Dynamo operator."""
    for release in world.find(RELEASE, scope=cluster):
        runs = dig(release.inputs, "values.dynamo-operator.enabled") is not False
        if runs and text(release.outputs, "status.chart") == "dynamo-platform":
            return release
    return None


def priority_classes(world: World, cluster: str) -> set[str]:
    """The priority classes of a cluster."""
    return {thing.id for thing in world.find("kubernetes:scheduling.k8s.io/v1:PriorityClass", scope=cluster)} | {
        "system-node-critical",
        "system-cluster-critical",
    }


def admit_graph(world: World, cluster: str, graph: Props, current: Key | None) -> None:
    """Refuse a graph whose pods would never run; `current` is the graph itself when it is only changed."""
    name, namespace = text(graph, "metadata.name"), text(graph, "metadata.namespace")
    what = f"DynamoGraphDeployment {namespace}/{name}"
    release = operator(world, cluster)
    if release is None:
        raise Refusal(f"{what} stays pending: no Dynamo operator runs in the cluster")
    early = text(release.outputs, "status.version").lstrip("v").startswith("0.")
    if current is None and early and world.was_used((GRAPH, cluster, f"{namespace}/{name}")):
        raise Refusal(
            f"{what} stays pending for ever: a graph of this name was there before, and Grove alpha.3 keeps the old "
            "generation by name; a graph that is made anew needs a new name"
        )
    for role in roles(graph):
        _name_fits(what, name, role)
    _queue_exists(world, cluster, graph, what)
    classes = priority_classes(world, cluster)
    for role in roles(graph):
        where = f"{what}, {role.name}"
        priority = text(role.pod, "priorityClassName")
        if priority and priority not in classes:
            raise Refusal(f"{where}: no PriorityClass with name {priority} was found; has KAI been installed?")
        pods.require(world, cluster, namespace, needs(graph, role), where)
    _capacity(world, cluster, graph, current, what)


def _name_fits(what: str, name: str, role: Role) -> None:
    service = role.name.lower()
    clique = f"{service}-wkr" if role.multinode else service
    group = service if role.multinode else ""
    length = len(name) + len(group) + len(clique)
    if length > NAME_LIMIT:
        raise Refusal(
            f"{what}: combined resource name length {length} exceeds {NAME_LIMIT}-character limit required for pod "
            f"naming: PodCliqueSet '{name}', PodCliqueScalingGroup '{group}', PodClique '{clique}'"
        )


def _queue_exists(world: World, cluster: str, graph: Props, what: str) -> None:
    if not world.find(scope=cluster, where=lambda t: t.id == "queues.scheduling.run.ai"):
        return
    annotations = mapping(graph, "metadata.annotations")
    queue = str(annotations.get(QUEUE_ANNOTATION) or DEFAULT_QUEUE)
    if world.get(QUEUE, queue, cluster) is None:
        raise Refusal(f"{what} fails: KAI queue {queue} does not exist (annotation {QUEUE_ANNOTATION})")


def needs(graph: Props, role: Role) -> list[pods.Needed]:
    """The objects without which the pods of a role do not start."""
    service = mapping(graph, f"spec.services.{role.name}")
    wanted = [*pods.references(role.pod), *pods.env_references(items(service, "envs"))]
    wanted += pods.env_references(items(graph, "spec.envs"))
    if text(service, "envFromSecret"):
        wanted.append(pods.Needed("core/v1:Secret", text(service, "envFromSecret")))
    wanted += [
        pods.Needed("core/v1:PersistentVolumeClaim", text(claim, "name"))
        for claim in items(graph, "spec.pvcs")
        if claim.get("create") is not True
    ]
    return wanted


def _capacity(world: World, cluster: str, graph: Props, current: Key | None, what: str) -> None:
    wanted: dict[str, int] = {}
    for role in roles(graph):
        chosen = pods.pools_of(role.pod)
        if role.gpus and not chosen:
            raise Refusal(
                f"{what}, {role.name}: GPU pods without {POOL_LABEL} may be spread over two NVLink domains, which "
                "answers with empty contents and no error"
            )
        if role.gpus > GPUS_PER_NODE:
            raise Refusal(f"{what}, {role.name}: {role.gpus} GPUs a pod, a node has {GPUS_PER_NODE}")
        found = [pool for pool in (_pool(world, cluster, name) for name in chosen) if pool is not None]
        if chosen and not found:
            raise Refusal(f"{what}, {role.name}: no node pool {', '.join(chosen)} in the cluster: pods stay Pending")
        for pool in found:
            _tolerates(pool, role, what)
        if role.gpus and found:
            wanted[found[0].outputs["name"]] = wanted.get(found[0].outputs["name"], 0) + role.nodes
    for name, nodes in wanted.items():
        pool = _pool(world, cluster, name)
        size = pool_size(pool) if pool else 0
        free = size - nodes_in_use(world, cluster, name, but=current)
        if nodes > free:
            raise Refusal(
                f"{what} stays pending: {nodes} GPU nodes wanted in node pool {name}, {free} of {size} are free"
            )


def pool_size(pool: Thing) -> int:
    """Nodes of a pool."""
    return number(pool.outputs, "nodeCount", number(pool.outputs, "initialNodeCount"))


def _pool(world: World, cluster: str, name: str) -> Thing | None:
    path = cluster.split("/")
    for pool in world.find(NODE_POOL, where=lambda t: text(t.outputs, "name") == name):
        if short(text(pool.outputs, "cluster")) == path[-1] and pool.id.startswith(f"{cluster}/"):
            return pool
    return None


def _tolerates(pool: Thing, role: Role, what: str) -> None:
    if not text(pool.outputs, "nodeConfig.machineType").startswith(MACHINE_A4X):
        return
    tolerations = items(role.pod, "tolerations")
    for key, value in TAINTS:
        if not any(_matches(toleration, key, value) for toleration in tolerations):
            raise Refusal(
                f"{what}, {role.name}: 0/{pool_size(pool)} nodes are available: untolerated taint "
                f"{{{key}: {value}}} of node pool {text(pool.outputs, 'name')}"
            )


def _matches(toleration: Props, key: str, value: str) -> bool:
    if text(toleration, "effect") not in ("", "NoSchedule"):
        return False
    if text(toleration, "operator") == "Exists":
        return text(toleration, "key") in ("", key)
    return text(toleration, "key") == key and text(toleration, "value") == value


def graph_status() -> Props:
    """The status of a graph whose pods all run."""
    ready: Any = {
        "type": "Ready",
        "status": "True",
        "reason": "all_resources_are_ready",
        "message": "All resources are ready",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {"state": "successful", "conditions": [ready]}


def users_of(world: World, thing: Thing) -> Iterator[str]:
    """The living graphs whose pods need this ConfigMap, Secret, service account, claim or queue."""
    namespace, _, name = thing.id.rpartition("/")
    kind = thing.kind.removeprefix("kubernetes:")
    for graph in graphs(world, thing.scope):
        if thing.kind == QUEUE:
            wanted = mapping(graph.outputs, "metadata.annotations").get(QUEUE_ANNOTATION) or DEFAULT_QUEUE
            if wanted == name:
                yield f"DynamoGraphDeployment {graph.id}"
            continue
        if text(graph.outputs, "metadata.namespace") != namespace:
            continue
        names = {name}
        if thing.kind == COMPUTE_DOMAIN:
            kind = "resource.k8s.io/v1:ResourceClaimTemplate"
            names = {text(thing.outputs, "spec.channel.resourceClaimTemplate.name")}
        needed = [need for role in roles(graph.outputs) for need in needs(graph.outputs, role)]
        if any(need.kind == kind and need.name in names for need in needed):
            yield f"DynamoGraphDeployment {graph.id}"

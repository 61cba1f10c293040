"""A DynamoGraphDeployment as the real operators see it: roles, nodes, and the objects that its pods reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rehearsal.simulator.kubernetes import pods
from rehearsal.simulator.state import CloudResource, CloudState, Key
from rehearsal.simulator.values import Props, dig, items, mapping, number, text

GRAPH = "kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment"
COMPUTE_DOMAIN = "kubernetes:resource.nvidia.com/v1beta1:ComputeDomain"
QUEUE = "kubernetes:scheduling.run.ai/v2:Queue"
RELEASE = "kubernetes:helm.sh/v3:Release"
GROVE = "grove-charts"
"""Grove's chart."""

GPUS_PER_NODE = 4
"""Of an A4X node; a pod with fewer still has the node's NICs to itself."""
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
        """GPU nodes of all replicas together."""
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


def graphs(state: CloudState, cluster: str) -> list[CloudResource]:
    """The living graphs of a cluster."""
    return state.find(GRAPH, scope=cluster)


def users_of_pool(state: CloudState, cluster: str, pool: str) -> list[str]:
    """Names of the graphs that run on a node pool."""
    return [
        f"DynamoGraphDeployment {graph.id}"
        for graph in graphs(state, cluster)
        if any(pool in pods.pools_of(role.pod) for role in roles(graph.outputs))
    ]


def operator(state: CloudState, cluster: str) -> CloudResource | None:
    """The release that runs the Dynamo operator."""
    for release in state.find(RELEASE, scope=cluster):
        runs = dig(release.inputs, "values.dynamo-operator.enabled") is not False
        if runs and text(release.outputs, "status.chart") == "dynamo-platform":
            return release
    return None


def early(version: str) -> bool:
    """Whether a platform version has the value names and CRD chart of 0.x."""
    return version.startswith("0.")


def brings_grove(inputs: Props, version: str) -> bool:
    """Whether a platform's release installs Grove."""
    # Off by default in the chart. From 1.0 on the old name is silently ignored.
    return dig(inputs, "values.grove.enabled" if early(version) else "values.global.grove.install") is True


def runs_grove(state: CloudState, cluster: str) -> bool:
    """Whether Grove's operator runs, from the platform's release or from one of its own."""
    return any(
        text(release.outputs, "status.chart") == GROVE
        or (
            text(release.outputs, "status.chart") == "dynamo-platform"
            and brings_grove(release.inputs, version_of(release))
        )
        for release in state.find(RELEASE, scope=cluster)
    )


def priority_classes(state: CloudState, cluster: str) -> set[str]:
    """The priority classes of a cluster."""
    return {resource.id for resource in state.find("kubernetes:scheduling.k8s.io/v1:PriorityClass", scope=cluster)} | {
        "system-node-critical",
        "system-cluster-critical",
    }


def pool_size(pool: CloudResource) -> int:
    """Nodes of a pool."""
    return number(pool.outputs, "nodeCount", number(pool.outputs, "initialNodeCount"))


def display_name(graph: Props) -> str:
    """A graph's name in messages."""
    return f"DynamoGraphDeployment {text(graph, 'metadata.namespace')}/{text(graph, 'metadata.name')}"


def key_of(graph: Props, cluster: str) -> Key:
    """The identity of a graph in the state."""
    return (GRAPH, cluster, f"{text(graph, 'metadata.namespace')}/{text(graph, 'metadata.name')}")


def queue_of(graph: Props) -> str:
    """The KAI queue that a graph's pods are scheduled from."""
    return str(mapping(graph, "metadata.annotations").get(QUEUE_ANNOTATION) or DEFAULT_QUEUE)


def version_of(release: CloudResource) -> str:
    """The version of a release's chart, without a `v`."""
    return text(release.outputs, "status.version").lstrip("v")


def needs(graph: Props, role: Role) -> list[pods.Needed]:
    """The objects that the pods of a role need to start."""
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


def users_of(state: CloudState, resource: CloudResource) -> Iterator[str]:
    """The living graphs whose pods need this ConfigMap, Secret, service account, claim or queue."""
    namespace, _, name = resource.id.rpartition("/")
    kind = resource.kind.removeprefix("kubernetes:")
    for graph in graphs(state, resource.scope):
        if resource.kind == QUEUE:
            if queue_of(graph.outputs) == name:
                yield f"DynamoGraphDeployment {graph.id}"
            continue
        if text(graph.outputs, "metadata.namespace") != namespace:
            continue
        names = {name}
        if resource.kind == COMPUTE_DOMAIN:
            kind = "resource.k8s.io/v1:ResourceClaimTemplate"
            names = {text(resource.outputs, "spec.channel.resourceClaimTemplate.name")}
        needed = [need for role in roles(graph.outputs) for need in needs(graph.outputs, role)]
        if any(need.kind == kind and need.name in names for need in needed):
            yield f"DynamoGraphDeployment {graph.id}"

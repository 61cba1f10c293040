"""A DynamoGraphDeployment as the real operators see it: roles, nodes, and the objects that its pods reference."""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.simulator.kubernetes import pods
from rehearsal.simulator.state import CloudResource, CloudState, Key
from rehearsal.simulator.values import Props, dig, mapping, number, text
from rehearsal.simulator.workloads import platforms
from rehearsal.simulator.workloads.graphs import GPUS_PER_NODE, GRAPH, Role, roles

__all__ = ["GPUS_PER_NODE", "GRAPH", "Role", "roles"]

COMPUTE_DOMAIN = "kubernetes:resource.nvidia.com/v1beta1:ComputeDomain"
QUEUE = "kubernetes:scheduling.run.ai/v2:Queue"
RELEASE = "kubernetes:helm.sh/v3:Release"
GROVE = "grove-charts"
"""Grove's chart."""

COMPONENT_TYPE = "nvidia.com/dynamo-component-type"
DEFAULT_QUEUE = "dynamo"
QUEUE_ANNOTATION = "nvidia.com/kai-scheduler-queue"


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


def operator(state: CloudState, cluster: str, *, stopped: bool = False) -> CloudResource | None:
    """The release that runs the Dynamo operator; with `stopped` also if its pods are scaled to none."""
    for release in state.find(RELEASE, scope=cluster):
        runs = dig(release.inputs, "values.dynamo-operator.enabled") is not False
        if not runs or text(release.outputs, "status.chart") != platforms.CHART:
            continue
        if stopped or release.id not in state.stopped:
            return release
    return None


def platform(state: CloudState, cluster: str) -> platforms.Platform | None:
    """How the Dynamo operator of a cluster behaves."""
    release = operator(state, cluster)
    return platforms.of_release(release) if release is not None else None


def labels(state: CloudState, cluster: str, role: Role) -> Props:
    """The labels of a role's pods, with the one that the operator adds."""
    running, kind = platform(state, cluster), role.type
    if kind in ("prefill", "decode") and running is not None and not running.component_types:
        kind = "worker"
    return {**mapping(role.metadata, "labels"), COMPONENT_TYPE: kind}


def early(version: str) -> bool:
    """Whether a platform version has the value names and CRD chart of 0.x."""
    return version.startswith("0.")


def runs_grove(state: CloudState, cluster: str) -> bool:
    """Whether Grove's operator runs, from the platform's release or from one of its own."""
    return any(
        text(release.outputs, "status.chart") == GROVE
        or (
            text(release.outputs, "status.chart") == platforms.CHART
            and platforms.installs(version_of(release), mapping(release.inputs, "values"), "grove")
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
        needed = [need for role in roles(graph.outputs) for need in pods.references(role.pod)]
        if any(need.kind == kind and need.name in names for need in needed):
            yield f"DynamoGraphDeployment {graph.id}"

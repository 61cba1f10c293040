"""What keeps the pods of a DynamoGraphDeployment from ever running, subject by subject.

A real API server takes a graph that can never run, and the operator then leaves it `pending` or makes it `failed`:
nobody says no. So does the embedded cloud; what stands in the way is told by whoever waits for the pods (a readiness
check), or by the rehearsal itself where nobody does. Facts are those of Dynamo 0.7 with Grove alpha.3 and KAI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from rehearsal.cloud import bucket_access, kai, nics, nodes, operator, placement, pods, serving
from rehearsal.cloud.serving import Role
from rehearsal.cloud.values import Props, text
from rehearsal.cloud.world import World

Subject: TypeAlias = Callable[[World, str, Props], Iterator[str]]
"""Takes the world, the cluster and the graph's inputs."""

NAME_LIMIT = 45
"""Grove: length of deployment + scaling group + clique, at most."""


def of(world: World, cluster: str, graph: Props) -> Iterator[str]:
    """Everything that keeps pods of a graph from running."""
    for subject in (*REFUSED_BY_OPERATORS, *REFUSED_TO_PODS):
        yield from subject(world, cluster, graph)


def makes_it_fail(world: World, cluster: str, graph: Props) -> Iterator[str]:
    """What the operators refuse, so that the graph's state is `failed`."""
    for subject in REFUSED_BY_OPERATORS:
        yield from subject(world, cluster, graph)


def _operator(world: World, cluster: str, graph: Props) -> Iterator[str]:
    if serving.operator(world, cluster) is None:
        yield f"{serving.spoken(graph)} stays pending: no Dynamo operator runs in the cluster"


def _pod_specs(_world: World, _cluster: str, graph: Props) -> Iterator[str]:
    yield from placement.refused(graph)


def _second_of_its_name(world: World, cluster: str, graph: Props) -> Iterator[str]:
    release = serving.operator(world, cluster)
    early = release is not None and serving.version_of(release).startswith("0.")
    if early and world.times_made(serving.key_of(graph, cluster)) > 1:
        yield (
            f"{serving.spoken(graph)} stays pending for ever: a graph of this name was there before, and Grove alpha.3 "
            "keeps the old generation by name; a graph that is made anew needs a new name"
        )


def _names(_world: World, _cluster: str, graph: Props) -> Iterator[str]:
    for role in serving.roles(graph):
        yield from _name_fits(serving.spoken(graph), text(graph, "metadata.name"), role)


def _name_fits(what: str, name: str, role: Role) -> Iterator[str]:
    service = role.name.lower()
    clique = f"{service}-wkr" if role.multinode else service
    group = service if role.multinode else ""
    length = len(name) + len(group) + len(clique)
    if length > NAME_LIMIT:
        yield (
            f"{what} fails: combined resource name length {length} exceeds {NAME_LIMIT}-character limit required for "
            f"pod naming: PodCliqueSet '{name}', PodCliqueScalingGroup '{group}', PodClique '{clique}'"
        )


def _queue(world: World, cluster: str, graph: Props) -> Iterator[str]:
    release = serving.operator(world, cluster)
    if release is None or not kai.operator_uses(world, cluster, serving.version_of(release), release.inputs):
        return
    queue = serving.queue_of(graph)
    if world.get(serving.QUEUE, queue, cluster) is None:
        yield (
            f"{serving.spoken(graph)} fails: KAI queue {queue} does not exist (annotation {serving.QUEUE_ANNOTATION})"
        )


def _scheduler(world: World, cluster: str, graph: Props) -> Iterator[str]:
    release = serving.operator(world, cluster)
    if release is not None and kai.operator_uses(world, cluster, serving.version_of(release), release.inputs):
        for reason in kai.hindrances(world, cluster, graph):
            yield f"{serving.spoken(graph)} stays pending: {reason}"


def _priority_class(world: World, cluster: str, graph: Props) -> Iterator[str]:
    classes = serving.priority_classes(world, cluster)
    for role in serving.roles(graph):
        priority = text(role.pod, "priorityClassName")
        if priority and priority not in classes:
            yield (
                f"{serving.spoken(graph)}, {role.name}: no PriorityClass with name {priority} was found; has KAI been "
                "installed?"
            )


def _named_objects(world: World, cluster: str, graph: Props) -> Iterator[str]:
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        where = f"{serving.spoken(graph)}, {role.name}"
        yield from pods.missing(world, cluster, namespace, serving.needs(graph, role), where)


def _named(subject: Subject) -> Subject:
    """A subject whose reasons begin with the role, with the graph's name before them."""

    def reasons(world: World, cluster: str, graph: Props) -> Iterator[str]:
        for reason in subject(world, cluster, graph):
            yield f"{serving.spoken(graph)}, {reason}"

    return reasons


REFUSED_BY_OPERATORS: tuple[Subject, ...] = (_names, _queue, _named(_pod_specs))
REFUSED_TO_PODS: tuple[Subject, ...] = (
    _operator,
    _named(operator.hindrances),
    _second_of_its_name,
    _scheduler,
    _priority_class,
    _named_objects,
    nodes.hindrances,
    _named(placement.hindrances),
    _named(bucket_access.hindrances),
    _named(nics.hindrances),
)

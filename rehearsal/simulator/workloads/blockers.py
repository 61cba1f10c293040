"""What prevents the pods of a DynamoGraphDeployment from ever running.

A real API server accepts a graph that can never run, and the operator then leaves it `pending` or makes it `failed`,
without an error. So does the embedded cloud; the reasons are reported by the readiness check that waits for the pods,
or by the rehearsal itself if there is none. Facts are those of Dynamo 0.7 with Grove alpha.3 and KAI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from rehearsal.simulator.kubernetes import nodes, pod_security, pods
from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import Props, mapping, text
from rehearsal.simulator.workloads import (
    bucket_access,
    graph_admission,
    graphs,
    kai,
    nats_login,
    nics,
    operator,
    placement,
    platforms,
    serving,
    traffic,
)
from rehearsal.simulator.workloads.serving import Role

Judge: TypeAlias = Callable[[CloudState, str, Props], Iterator[str]]
"""Takes the state, the cluster and the graph's inputs."""

NAME_LIMIT = 45
"""Grove: maximum length of deployment + scaling group + clique."""


def of(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Everything that prevents pods of a graph from running."""
    for judge in (*REFUSED_BY_OPERATORS, *REFUSED_TO_PODS):
        yield from judge(state, cluster, graph)


def makes_it_fail(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """What the operators reject, so that the graph's state is `failed`."""
    for judge in REFUSED_BY_OPERATORS:
        yield from judge(state, cluster, graph)


def _operator(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    if serving.operator(state, cluster) is None:
        yield f"{serving.display_name(graph)} stays pending: no Dynamo operator runs in the cluster"


def _grove(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    release = serving.operator(state, cluster)
    if release is not None and not serving.runs_grove(state, cluster):
        yield f"{serving.display_name(graph)} stays pending: no Grove runs in the cluster"
    elif release is not None and not platforms.uses(
        serving.version_of(release), mapping(release.inputs, "values"), "grove"
    ):
        # Read: without it the operator makes no PodCliqueSet.
        yield f"{serving.display_name(graph)} stays pending: value global.grove.enabled is off"


def _pod_specs(_state: CloudState, _cluster: str, graph: Props) -> Iterator[str]:
    yield from placement.refused(graph)


def _second_of_its_name(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    release = serving.operator(state, cluster)
    keeps = release is not None and not platforms.of_release(release).reuses_names
    if keeps and state.times_made(serving.key_of(graph, cluster)) > 1:
        yield (
            f"{serving.display_name(graph)} stays pending for ever: a graph of this name was there before, and Grove "
            "alpha.3 keeps the old generation by name; a graph that is recreated needs a new name"
        )


def _names(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    running = serving.platform(state, cluster)
    if running is not None and running.shortens_names:
        return
    for role in serving.roles(graph):
        yield from _name_fits(serving.display_name(graph), text(graph, "metadata.name"), role)


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


def _queue(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    release = serving.operator(state, cluster)
    if release is None or not kai.operator_uses(state, cluster, serving.version_of(release), release.inputs):
        return
    queue = serving.queue_of(graph)
    if state.get(serving.QUEUE, queue, cluster) is None:
        yield (
            f"{serving.display_name(graph)} fails: KAI queue {queue} does not exist "
            f"(annotation {serving.QUEUE_ANNOTATION})"
        )


def _scheduler(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    release = serving.operator(state, cluster)
    if release is not None and kai.operator_uses(state, cluster, serving.version_of(release), release.inputs):
        needed = platforms.of_release(release).kai_from
        for reason in (*kai.too_old(state, cluster, needed), *kai.blockers(state, cluster, graph)):
            yield f"{serving.display_name(graph)} stays pending: {reason}"


def _priority_class(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    classes = serving.priority_classes(state, cluster)
    for role in serving.roles(graph):
        for priority in {text(role.pod, "priorityClassName"), graphs.gang_priority(graph)} - {"", *classes}:
            yield (
                f"{serving.display_name(graph)}, {role.name}: no PriorityClass with name {priority} was found; has KAI "
                "been installed?"
            )


def _named_objects(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        where = f"{serving.display_name(graph)}, {role.name}"
        yield from pods.missing(state, cluster, namespace, pods.references(role.pod), where)


def _pod_security(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    for role in serving.roles(graph):
        why = pod_security.refused(state, cluster, text(graph, "metadata.namespace"), role.pod)
        if why:
            yield f"{role.name}: pods are forbidden: {why}"


def _named(judge: Judge) -> Judge:
    """Prefix the reasons of `judge`, which begin with the role, with the graph's name."""

    def reasons(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
        for reason in judge(state, cluster, graph):
            yield f"{serving.display_name(graph)}, {reason}"

    return reasons


REFUSED_BY_OPERATORS: tuple[Judge, ...] = (_names, _queue, _named(_pod_specs), graph_admission.changed_cliques)
REFUSED_TO_PODS: tuple[Judge, ...] = (
    _operator,
    _grove,
    _named(operator.blockers),
    _named(operator.services),
    _named(nats_login.blockers),
    _second_of_its_name,
    _scheduler,
    _priority_class,
    _named_objects,
    _named(_pod_security),
    nodes.blockers,
    _named(placement.blockers),
    _named(bucket_access.blockers),
    _named(nics.blockers),
    _named(traffic.blockers),
)

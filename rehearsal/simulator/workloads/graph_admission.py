"""What the API server and the operator's webhooks refuse of a DynamoGraphDeployment.

Rows M13, M18, N14 and N19 of what was seen on real operators, state 14 of the recordings; texts and the rule for images
were read in the operator's `internal/webhook/validation` (development line of 1.5). Unknown fields are the schemas'.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Final, cast

from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, items, mapping, text
from rehearsal.simulator.workloads import graphs, platforms, serving, traffic

_OPERATOR: Final = {"app.kubernetes.io/name": "dynamo-operator"}
_RELEASE: Final = re.compile(r"[vV]?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_MOUNTS_LEFT: Final = 1


def at_create(state: CloudState, cluster: str, graph: Props) -> None:
    """Raise `ApiError` for a graph that is refused."""
    _refuse(graph, [*_minimums(graph), *_judged(state, cluster, graph, None)])


def at_update(state: CloudState, resource: CloudResource, graph: Props) -> None:
    """Raise `ApiError` for a change that is refused."""
    before = resource.outputs
    if graphs.version_of(graph) != graphs.version_of(before) and not _takes_other_versions(state, resource.scope):
        # M13: server-side apply, whose fields are those of another version.
        raise ApiError(
            f"failed to prune fields: failed add back owned items: failed to convert pruned object at version "
            f"{graphs.version_of(graph)}"
        )
    judged = _judged(state, resource.scope, graph, before)
    _refuse(graph, [*_minimums(graph), *_fixed_minimums(before, graph), *judged])


def damaged(graph: Props, before: Props) -> Props:
    """What 1.5 makes of a graph that is written in another version than it was made in (M13).

    The workers lose `envFrom` and four of five volume mounts, without a word.
    """
    if graphs.version_of(graph) == graphs.version_of(before):
        return graph
    spoiled = copy.deepcopy(graphs.in_version(graph, graphs.V1BETA1))
    for component in items(spoiled, "spec.components"):
        for container in items(component, "podTemplate.spec.containers"):
            if mapping(container, "resources.limits").get("nvidia.com/gpu"):
                container.pop("envFrom", None)
                container["volumeMounts"] = items(container, "volumeMounts")[:_MOUNTS_LEFT]
    return graphs.in_version(spoiled, graphs.version_of(graph))


def _takes_other_versions(state: CloudState, cluster: str) -> bool:
    running = serving.platform(state, cluster)
    return running is not None and running.storage == graphs.V1BETA1


def _refuse(graph: Props, reasons: list[str]) -> None:
    if reasons:
        name = text(graph, "metadata.name")
        raise ApiError(f'{graphs.KIND}.{graphs.GROUP} "{name}" is invalid: {"; ".join(reasons)}')


def _minimums(graph: Props) -> Iterator[str]:
    """CEL rules of the definition."""
    for index, role in enumerate(graphs.roles(graph)):
        if role.min_available is not None and 0 < role.replicas < role.min_available:
            yield f"spec.components[{index}]: minAvailable must be less than or equal to replicas unless replicas is 0"


def _fixed_minimums(before: Props, graph: Props) -> Iterator[str]:
    news = {role.name: role for role in graphs.roles(graph)}
    for role in graphs.roles(before):
        new = news.get(role.name)
        if role.min_available is not None and new is not None and new.min_available != role.min_available:
            yield f"spec.components {role.name}: minAvailable is immutable after creation"


def _judged(state: CloudState, cluster: str, graph: Props, before: Props | None) -> list[str]:
    """What the webhook says, which fails closed while its operator is away."""
    release = serving.operator(state, cluster, stopped=True)
    if release is None or not platforms.of_release(release).webhooks:
        return []
    what = 'Internal error occurred: failed calling webhook "mdynamographdeployment.kb.io"'
    if release.id in state.stopped:
        raise ApiError(f"{what}: connect: connection refused")
    unreached = traffic.webhook_refused(state, cluster, text(release.outputs, "namespace"), _OPERATOR)
    if unreached:
        raise ApiError(f"{what}: timed out: {unreached}")
    running = platforms.of_release(release)
    found = list(_images(graph, before)) if running.judges_images else []
    if before is not None and running.fixes_components:
        found += _fixed(before, graph)
    return found


def _fixed(before: Props, graph: Props) -> Iterator[str]:
    """What cannot be changed after creation."""
    olds, news = ({role.name: role for role in graphs.roles(one)} for one in (before, graph))
    added, removed = sorted(set(news) - set(olds)), sorted(set(olds) - set(news))
    if added or removed:
        yield (
            "spec.components: Forbidden: component topology is immutable and cannot be modified after creation: "
            f"components added: {added}, components removed: {removed}"
        )
    if text(before, "spec.backendFramework") != text(graph, "spec.backendFramework"):
        yield "spec.backendFramework: is immutable and cannot be changed after creation"
    for name in sorted(set(olds) & set(news)):
        if olds[name].multinode != news[name].multinode:
            yield f"spec.components {name}: multinode cannot be added or removed after creation"


def _images(graph: Props, before: Props | None) -> Iterator[str]:
    """Components of whose image the runtime's release is not known; what was so before may stay so."""
    olds = {role.name: role for role in graphs.roles(before)} if before else {}
    for role in graphs.roles(graph):
        image = text(role.main, "image")
        known = role.runtime_version or _RELEASE.fullmatch(_tag(image))
        old = olds.get(role.name)
        same = old is not None and (text(old.main, "image"), old.runtime_version) == (image, role.runtime_version)
        if not known and not same:
            yield (
                f"spec.components {role.name}: the runtime version cannot be told from the image {image or '(none)'}: "
                "its tag must be MAJOR.MINOR.PATCH, or runtimeVersionOverride set"
            )


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def made_with(graph: Props) -> Props:
    """What Grove never changes in the cliques of a graph (N14): pods of a replica, and replicas that start together."""
    return {role.name: [role.nodes_each, role.min_available] for role in graphs.roles(graph)}


def changed_cliques(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Changes that are admitted, and that Grove then refuses (N14, M8): the graph's state is `failed`."""
    running = serving.platform(state, cluster)
    resource = state.get(*_parts(graph, cluster))
    if running is None or not running.whole_cliques or resource is None:
        return
    for role in graphs.roles(graph):
        made = cast("list[object] | None", resource.fixed.get(role.name))
        if made is not None and made != [role.nodes_each, role.min_available]:
            yield (
                f"{serving.display_name(graph)} fails: sync Grove PodCliqueSet: admission webhook denied the request: "
                f"{role.name}: spec.template.cliques.spec.minAvailable: field is immutable"
            )


def _parts(graph: Props, cluster: str) -> tuple[str, str, str]:
    kind, scope, id_ = serving.key_of(graph, cluster)
    return kind, id_, scope

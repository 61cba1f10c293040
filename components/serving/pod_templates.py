"""Marks the pods of the current graph: a hash of each role's pod template, in an annotation of that role's pods.

After a change the operator still reports the graph as `successful` for up to 3 seconds before it touches a pod (seen on
0.7.0; shorter on 1.5), so neither the status nor a count of ready pods shows whether the change has been rolled out.
The hash of a pod does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pulumi
import pulumi_random as random

from manifests.graph_api import FRONTEND, Component, Graph
from reference.dynamo import DynamoProfile
from reference.naming import TEMPLATE_ANNOTATION, content_hash

_LENGTH = 16


@dataclass(frozen=True)
class Stamped:
    """A graph with the marks on its pods."""

    graph: Graph
    marks: Mapping[str, pulumi.Output[str]]
    """Mark of each role's pod template."""


def stamp(
    parent: pulumi.Resource, name: str, graph: Graph, shared: Mapping[str, Any], profile: DynamoProfile
) -> Stamped:
    """Add each role's mark to the annotations of its pods.

    `shared` is what affects the pods of all roles but is not in `graph`. The number of replicas is not part of a mark:
    scaling keeps the running pods. In a preview only the annotation is unknown; the rest of the graph stays readable.

    Where an exact revert during a rollout would leave pods of both states, a mark never comes again: it has a random
    part that is drawn for every template.
    """
    common = {**shared, "priority": graph.priority_class}
    templates = {role: _template(component) for role, component in graph.components.items()}
    if profile.one_worker_hash:
        workers = {role: template for role, template in templates.items() if role != FRONTEND}
        templates = {role: workers if role in workers else template for role, template in templates.items()}
    marks: dict[str, pulumi.Output[str]] = {}
    for role, template in templates.items():
        mark = pulumi.Output.from_input({"common": common, "template": template}).apply(_hash)
        marks[role] = _drawn(parent, f"{name}-{role}-mark", mark) if profile.reverts_mix else mark
    marked = {role: _marked(component, marks[role]) for role, component in graph.components.items()}
    return Stamped(replace(graph, components=marked), marks)


def _template(component: Component) -> dict[str, Any]:
    return {key: value for key, value in vars(component).items() if key not in ("replicas", "min_available")}


def _drawn(parent: pulumi.Resource, name: str, mark: pulumi.Output[str]) -> pulumi.Output[str]:
    drawn = random.RandomString(
        name,
        length=8,
        upper=False,
        special=False,
        keepers={"template": mark},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return pulumi.Output.concat(mark, "-", drawn.result)


def _marked(component: Component, mark: pulumi.Output[str]) -> Component:
    metadata = component.pod["metadata"]
    annotations = {**metadata["annotations"], TEMPLATE_ANNOTATION: mark}
    return replace(component, pod={**component.pod, "metadata": {**metadata, "annotations": annotations}})


def _hash(content: Mapping[str, Any]) -> str:
    return content_hash(content, _LENGTH)

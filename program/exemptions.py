"""Which admission policies the pods of an environment break: what a platform team must exempt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pulumi

from manifests import graph_api
from reference import chart_pods, pod_policies
from settings import Settings
from settings.model import CreateDraDriver, CreateDynamo, CreateKai

_SNAKE = re.compile(r"_([a-z0-9])")


def collect_policy_exemptions(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """A list with the pods of the charts, which gets an entry for each pod that is registered later.

    An entry has kind, namespace and name of the object that describes the pod, its role in a graph, and the policies
    that it breaks.
    """
    found: list[Mapping[str, Any]] = [
        {"kind": pod.kind, "namespace": namespace, "name": pod.name, "policies": [*pod.policies]}
        for namespace, pod in _of_charts(settings)
    ]

    def observe(args: pulumi.ResourceTransformationArgs) -> None:
        inputs = _in_api_names(args.props)
        for role, pod in _pods(inputs):
            broken = pod_policies.broken(pod)
            if broken:
                metadata = inputs["metadata"]
                where = {"namespace": metadata["namespace"], "name": metadata["name"], **role}
                found.append({"kind": args.type_.rpartition(":")[2], **where, "policies": broken})

    pulumi.runtime.register_stack_transformation(observe)
    return found


def _of_charts(settings: Settings) -> Iterator[tuple[str, chart_pods.ChartPod]]:
    namespaces, dynamo = settings.namespaces, settings.dynamo
    if isinstance(settings.dra_driver, CreateDraDriver):
        yield from ((namespaces.dra_driver, pod) for pod in chart_pods.DRA_DRIVER)
    if isinstance(settings.kai, CreateKai):
        yield from ((namespaces.kai, pod) for pod in chart_pods.KAI)
    if isinstance(dynamo, CreateDynamo):
        nats = settings.profile.installs_nats(dynamo.parts)
        parts = {"operator": True, "grove": dynamo.parts.grove, "nats": nats}
        yield from ((dynamo.namespace, chart_pods.PLATFORM[part]) for part, ours in parts.items() if ours)


def _pods(inputs: Any) -> Iterator[tuple[Mapping[str, str], Mapping[str, Any]]]:
    """Pods that a Kubernetes object describes, each with its role if there are several."""
    spec = inputs.get("spec")
    if not isinstance(spec, Mapping):
        return
    template = cast("Mapping[str, Any]", spec).get("template")
    if template is not None:
        yield {}, template["spec"]
    for role, component in graph_api.components(cast("Mapping[str, Any]", spec)).items():
        yield {"role": role}, component.pod["spec"]


def _in_api_names(value: Any) -> Any:
    """`value` with the SDK's names of fields turned into the API's."""
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value).items()
        return {_SNAKE.sub(lambda match: match[1].upper(), key): _in_api_names(inner) for key, inner in entries}
    return [_in_api_names(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value

"""A graph in the API's terms: one description, and a writer and a reader for each version of the API.

Nothing else knows the versions. In v1alpha1 a service has some fields of its pods itself and the others in
`extraPodSpec`; in v1beta1 a component has a pod template with the container `main`. Written in the other version, a
living graph is refused (1.2) or damaged (1.5): another version is another object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from reference.dynamo import GraphApi

V1ALPHA1: Final[GraphApi] = "nvidia.com/v1alpha1"
V1BETA1: Final[GraphApi] = "nvidia.com/v1beta1"

MAIN: Final = "main"
"""Name of the container that serves."""
FRONTEND: Final = "frontend"
GPU: Final = "nvidia.com/gpu"

_OF_SERVICE: Final = ("cpu", "memory")
"""Resources that a service of v1alpha1 has itself, beside GPUs; the others are its container's."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """The pods of one role."""

    name: str
    """Its name in the graph; the operator puts it into pod names in lower case."""
    role: str
    """`frontend`, `prefill` or `decode`."""
    replicas: int
    nodes: int = 1
    """Pods of one replica; those of a worker are on a node each."""
    min_available: int | None = None
    """Replicas that start together or not at all; None: the release does not say."""
    runtime_version: str | None = None
    """Release of Dynamo in the image; None: the release reads it from the tag, or does not ask."""
    shared_memory: str | None = None
    """Size of `/dev/shm`; None: the operator's own, 8Gi."""
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """Its own, which are not those of its pods; only services of v1alpha1 have any."""
    pod: Mapping[str, Any]
    """Template of its pods: `metadata` and `spec`, with the container `main`."""

    @property
    def main(self) -> Mapping[str, Any]:
        """The container that serves."""
        return next(one for one in self.pod["spec"]["containers"] if one["name"] == MAIN)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All of a DynamoGraphDeployment but its metadata."""

    components: Mapping[str, Component]
    """By role."""
    priority_class: str | None = None
    """Priority class of its gangs; None: the release takes that of the pods."""


def write(graph: Graph, api: GraphApi) -> dict[str, Any]:
    """The spec of a DynamoGraphDeployment."""
    return _WRITERS[api](graph)


def components(spec: Mapping[str, Any]) -> dict[str, Component]:
    """The components of a spec in either version, by role; what is not known yet is left out."""
    listed = spec.get("components")
    if isinstance(listed, list):
        found = map(_read_v1beta1, cast("list[Mapping[str, Any]]", listed))
    else:
        services = part(spec, "services")
        found = (_read_v1alpha1(name, part(services, name)) for name in services)
    return {one.role: one for one in found}


def part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping below `key`; empty if missing or not known yet."""
    found = value.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _write_v1alpha1(graph: Graph) -> dict[str, Any]:
    services = {one.name: _service(one) for one in graph.components.values()}
    return {"backendFramework": "sglang", **_given(priorityClassName=graph.priority_class), "services": services}


def _service(one: Component) -> dict[str, Any]:
    main, spec, metadata = dict(one.main), dict(one.pod["spec"]), one.pod["metadata"]
    del main["name"]
    spec["containers"] = [other for other in spec["containers"] if other["name"] != MAIN]
    if not spec["containers"]:
        del spec["containers"]
    own, containers = _split(main.pop("resources"))
    [secret] = main.pop("envFrom", [None])
    service: dict[str, Any] = {
        **({"componentType": FRONTEND} if one.role == FRONTEND else {"componentType": "worker"}),
        **({} if one.role == FRONTEND else {"subComponentType": one.role}),
        "replicas": one.replicas,
        **_given(minAvailable=one.min_available, runtimeVersionOverride=one.runtime_version),
        **_given(annotations=dict(one.annotations) or None),
        **_given(envs=main.pop("env", None), envFromSecret=secret and secret["secretRef"]["name"]),
        **({} if one.shared_memory is None else {"sharedMemory": {"size": one.shared_memory}}),
        "resources": own,
        **{probe: main.pop(probe) for probe in ("livenessProbe", "readinessProbe") if probe in main},
        "extraPodMetadata": metadata,
        "extraPodSpec": {**spec, "mainContainer": {**main, **({"resources": containers} if containers else {})}},
    }
    return service | _multinode(one)


def _split(resources: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Resources of a container as a service has them, and what stays with the container."""
    service: dict[str, Any] = {}
    container: dict[str, Any] = {}
    for kind, amounts in resources.items():
        if kind == "claims":
            service[kind] = amounts
            continue
        # Only `limits.gpu` becomes nvidia.com/gpu; the operator ignores `requests.gpu`.
        own = {("gpu" if name == GPU else name): amounts[name] for name in amounts if name in (GPU, *_OF_SERVICE)}
        rest = {name: amount for name, amount in amounts.items() if name not in (GPU, *_OF_SERVICE)}
        service |= {kind: own} if own else {}
        container |= {kind: rest} if rest else {}
    return service, container


def _read_v1alpha1(name: str, service: Mapping[str, Any]) -> Component:
    metadata, spec = part(service, "extraPodMetadata"), dict(part(service, "extraPodSpec"))
    main = {**part(spec, "mainContainer"), "name": MAIN}
    spec.pop("mainContainer", None)
    own, more = part(service, "resources"), part(main, "resources")
    resources = {kind: {**part(own, kind), **part(more, kind)} for kind in ("requests", "limits")}
    if "gpu" in resources["limits"]:
        resources["limits"][GPU] = resources["limits"].pop("gpu")
    main["resources"] = {**resources, **{kind: own[kind] for kind in ("claims",) if kind in own}}
    for field_name, inner in (
        ("envs", "env"),
        ("livenessProbe", "livenessProbe"),
        ("readinessProbe", "readinessProbe"),
    ):
        if field_name in service:
            main[inner] = service[field_name]
    if "envFromSecret" in service:
        main["envFrom"] = [{"secretRef": {"name": service["envFromSecret"]}}]
    memory = part(service, "sharedMemory").get("size")
    return Component(
        name=name,
        role=str(service.get("subComponentType") or service.get("componentType") or name.lower()),
        replicas=int(service.get("replicas", 1)),
        nodes=int(part(service, "multinode").get("nodeCount", 1)),
        min_available=service.get("minAvailable"),
        runtime_version=service.get("runtimeVersionOverride"),
        shared_memory=memory,
        annotations=cast("Mapping[str, str]", part(service, "annotations")),
        pod={"metadata": metadata, "spec": {**spec, "containers": [main, *spec.get("containers", [])]}},
    )


def _write_v1beta1(graph: Graph) -> dict[str, Any]:
    listed = [
        {
            "name": one.name,
            "type": one.role,
            "replicas": one.replicas,
            **_given(minAvailable=one.min_available, runtimeVersionOverride=one.runtime_version),
            **_given(sharedMemorySize=one.shared_memory),
            "podTemplate": one.pod,
        }
        | _multinode(one)
        for one in graph.components.values()
    ]
    return {"backendFramework": "sglang", **_given(priorityClassName=graph.priority_class), "components": listed}


def _read_v1beta1(component: Mapping[str, Any]) -> Component:
    return Component(
        name=str(component["name"]),
        role=str(component.get("type")),
        replicas=int(component.get("replicas", 1)),
        nodes=int(part(component, "multinode").get("nodeCount", 1)),
        min_available=component.get("minAvailable"),
        runtime_version=component.get("runtimeVersionOverride"),
        shared_memory=component.get("sharedMemorySize"),
        pod=part(component, "podTemplate"),
    )


def _multinode(one: Component) -> dict[str, Any]:
    # nodeCount is at least 2; a replica on one node has no such block.
    return {"multinode": {"nodeCount": one.nodes}} if one.nodes > 1 else {}


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


_WRITERS: Final[Mapping[GraphApi, Callable[[Graph], dict[str, Any]]]] = {
    V1ALPHA1: _write_v1alpha1,
    V1BETA1: _write_v1beta1,
}

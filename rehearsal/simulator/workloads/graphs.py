"""A DynamoGraphDeployment in either version of its API: one object, and one reading of it.

Nothing else knows the versions. The reading is in the terms of v1beta1, as the operator's own is from 1.2 on: a
component has a pod template whose container `main` serves. Read in the operator's `shared_spec_conversion.go`: what a
service of v1alpha1 has beside its pod belongs to that container.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast

from rehearsal.simulator.values import Props, dig, items, mapping, number, text

GROUP: Final = "nvidia.com"
KIND: Final = "DynamoGraphDeployment"
V1ALPHA1, V1BETA1 = f"{GROUP}/v1alpha1", f"{GROUP}/v1beta1"
TOKENS: Final = tuple(f"kubernetes:{version}:{KIND}" for version in (V1ALPHA1, V1BETA1))
GRAPH: Final = TOKENS[0]
"""The kind of every graph in the state, whichever version it was written in."""

GPUS_PER_NODE: Final = 4
"""Of an A4X node; a pod with fewer still has the node's NICs to itself."""
_MAIN: Final = "main"
_GPU: Final = "nvidia.com/gpu"
_OF_MAIN: Final = ("livenessProbe", "readinessProbe")
"""Fields of a service of v1alpha1 that are its main container's."""


@dataclass(frozen=True)
class Role:
    """One component of a graph, as the operators see it."""

    name: str
    type: str
    """`frontend`, `prefill`, `decode` or `worker`."""
    replicas: int
    nodes_each: int
    multinode: bool
    metadata: Props
    """Labels and annotations of its pods."""
    pod: Props
    """Spec of its pods."""
    annotations: Props
    """Of a service of v1alpha1 itself, not of its pods."""
    min_available: int | None = None
    """Replicas that start together; None: it does not say."""
    runtime_version: str = ""

    @cached_property
    def main(self) -> Props:
        """The container that serves."""
        return _main(self.pod)

    @property
    def gpus(self) -> int:
        """GPUs of one pod."""
        wanted = mapping(self.main, "resources.limits").get(_GPU)
        return int(str(wanted)) if str(wanted).isdigit() else 0

    @property
    def nodes(self) -> int:
        """GPU nodes of all replicas together."""
        return self.replicas * self.nodes_of_replica

    @property
    def nodes_of_replica(self) -> int:
        """GPU nodes of one replica."""
        return self.nodes_each * math.ceil(self.gpus / GPUS_PER_NODE)

    @property
    def template(self) -> Any:
        """What a change of replaces its pods."""
        return self.metadata, self.pod, self.annotations, self.nodes_each, self.runtime_version


def stored(token: str) -> str:
    """The kind in the state of what a type token names."""
    return GRAPH if token in TOKENS else token


def version_of(graph: Props) -> str:
    """The API version that a graph is written in."""
    return text(graph, "apiVersion") or V1ALPHA1


def roles(graph: Props) -> list[Role]:
    """The components of a graph."""
    spec = mapping(graph, "spec")
    listed = items(spec, "components")
    if "components" not in spec:
        listed = [_component(spec, name, service) for name, service in mapping(spec, "services").items()]
    shared = items(spec, "env")
    return [_role(component, shared) for component in listed]


def gang_priority(graph: Props) -> str:
    """The priority class of a graph's gangs."""
    return text(graph, "spec.priorityClassName")


def in_version(graph: Props, version: str) -> Props:
    """A graph as the API server answers in another version of its API."""
    if version_of(graph) == version or not mapping(graph, "spec"):
        return graph
    spec = dict(mapping(graph, "spec"))
    if version == V1BETA1:
        services = mapping(spec, "services")
        spec = {key: value for key, value in spec.items() if key not in ("services", "envs", "pvcs")}
        if items(graph, "spec.envs"):
            spec["env"] = items(graph, "spec.envs")
        spec["components"] = [_component(mapping(graph, "spec"), name, one) for name, one in services.items()]
    else:
        listed = items(spec, "components")
        spec = {key: value for key, value in spec.items() if key not in ("components", "env")}
        if items(graph, "spec.env"):
            spec["envs"] = items(graph, "spec.env")
        spec["services"] = {text(one, "name"): _service(one) for one in listed}
    return {**graph, "apiVersion": version, "spec": spec}


def _main(pod: Props) -> Props:
    nothing: Props = {}
    return next((one for one in items(pod, "containers") if text(one, "name") == _MAIN), nothing)


def _role(component: Props, shared: list[Props]) -> Role:
    pod = dict(mapping(component, "podTemplate.spec"))
    if shared:
        pod["containers"] = [
            {**one, "env": [*shared, *items(one, "env")]} if text(one, "name") == _MAIN else one
            for one in items(pod, "containers")
        ]
    least = component.get("minAvailable")
    return Role(
        name=text(component, "name"),
        type=text(component, "type"),
        replicas=number(component, "replicas", 1),
        nodes_each=number(component, "multinode.nodeCount", 1),
        multinode=bool(mapping(component, "multinode")),
        metadata=mapping(component, "podTemplate.metadata"),
        pod=pod,
        annotations=mapping(component, "annotations"),
        min_available=least if isinstance(least, int) else None,
        runtime_version=text(component, "runtimeVersionOverride"),
    )


_KEPT: Final = ("replicas", "minAvailable", "multinode", "runtimeVersionOverride", "annotations")
"""Fields with the same name in both versions, or that only one has (`annotations`)."""


def _component(spec: Props, name: str, service: Props) -> Props:
    """A service of v1alpha1 as a component."""
    pod = dict(mapping(service, "extraPodSpec"))
    main = dict(cast("Props", pod.pop("mainContainer", None) or {}))
    main["name"] = _MAIN
    main |= {field: service[field] for field in _OF_MAIN if field in service}
    # Only `limits.gpu` has a name of its own.
    own, more = mapping(service, "resources"), mapping(main, "resources")
    resources: Props = {key: {**mapping(own, key), **mapping(more, key)} for key in ("limits", "requests")}
    gpus = resources["limits"].pop("gpu", None)
    if gpus is not None:
        resources["limits"][_GPU] = gpus
    if "claims" in own:
        resources["claims"] = own["claims"]
    main.pop("resources", None)
    if any(resources.values()):
        main["resources"] = {key: value for key, value in resources.items() if value}
    mounts = [
        {"name": text(one, "name"), "mountPath": text(one, "mountPoint")} for one in items(service, "volumeMounts")
    ]
    mounts = [*items(main, "volumeMounts"), *mounts]
    envs = [*items(spec, "envs"), *items(service, "envs"), *items(main, "env")]
    sources = items(main, "envFrom")
    if text(service, "envFromSecret"):
        sources = [*sources, {"secretRef": {"name": text(service, "envFromSecret")}}]
    main |= {key: value for key, value in (("env", envs), ("envFrom", sources), ("volumeMounts", mounts)) if value}
    claims = [
        {"name": text(claim, "name"), "persistentVolumeClaim": {"claimName": text(claim, "name")}}
        for claim in items(spec, "pvcs")
        if claim.get("create") is not True
    ]
    pod["containers"] = [main, *items(pod, "containers")]
    if claims:
        pod["volumes"] = [*items(pod, "volumes"), *claims]
    size = dig(service, "sharedMemory.size")
    return {
        "name": name,
        "type": text(service, "subComponentType") or text(service, "componentType"),
        **{field: service[field] for field in _KEPT if field in service},
        **({"sharedMemorySize": size} if size is not None else {}),
        "podTemplate": {"metadata": mapping(service, "extraPodMetadata"), "spec": pod},
    }


def _service(component: Props) -> Props:
    """A component as a service of v1alpha1."""
    pod = dict(mapping(component, "podTemplate.spec"))
    main = dict(_main(pod))
    pod["containers"] = [one for one in items(pod, "containers") if text(one, "name") != _MAIN]
    if not pod["containers"]:
        del pod["containers"]
    resources = {key: dict(mapping(main, f"resources.{key}")) for key in ("limits", "requests")}
    if _GPU in resources["limits"]:
        resources["limits"]["gpu"] = resources["limits"].pop(_GPU)
    envs, moved = items(main, "env"), [field for field in _OF_MAIN if field in main]
    own: Props = {
        "resources": {
            **{key: value for key, value in resources.items() if value},
            **({"claims": main["resources"]["claims"]} if dig(main, "resources.claims") else {}),
        },
        **({"envs": envs} if envs else {}),
        **{field: main[field] for field in moved},
    }
    main = {key: value for key, value in main.items() if key not in ("name", "resources", "env", *moved)}
    kind, size = text(component, "type"), component.get("sharedMemorySize")
    worker = kind in ("prefill", "decode")
    return {
        "componentType": "worker" if worker else kind,
        **({"subComponentType": kind} if worker else {}),
        **{field: component[field] for field in _KEPT if field in component},
        **({"sharedMemory": {"size": size}} if size is not None else {}),
        **own,
        "extraPodMetadata": mapping(component, "podTemplate.metadata"),
        "extraPodSpec": {**pod, "mainContainer": main},
    }

"""Nodes, pods, Deployments and custom resource definitions, from objects of the Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from preflight.cloud import Definition, Deployment, Namespace, NetworkPolicy, Node, Pod
from reference.capacity import PODS_PER_NODE, quantity

GPU: Final = "nvidia.com/gpu"


def node(item: Mapping[str, Any]) -> Node:
    """A node."""
    spec, status = item["spec"], item["status"]
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    allocatable = status.get("allocatable", {})
    return Node(
        name=item["metadata"]["name"],
        ready=conditions.get("Ready") == "True",
        schedulable=not spec.get("unschedulable", False),
        gpus=int(_amount(allocatable, GPU)),
        taints=frozenset(t["key"] for t in spec.get("taints", []) if t.get("effect") != "PreferNoSchedule"),
        cpu=round(_amount(allocatable, "cpu") * 1000),
        memory=int(_amount(allocatable, "memory")),
        pods=int(_amount(allocatable, "pods")) or PODS_PER_NODE,
    )


def pod(item: Mapping[str, Any]) -> Pod:
    """A pod on a node."""
    spec = item["spec"]
    return Pod(
        namespace=item["metadata"]["namespace"],
        name=item["metadata"]["name"],
        node=spec["nodeName"],
        gpus=int(_asked(spec, GPU)),
        cpu=round(_asked(spec, "cpu") * 1000),
        memory=int(_asked(spec, "memory")),
        labels=item["metadata"].get("labels", {}),
    )


def network_policy(item: Mapping[str, Any]) -> NetworkPolicy:
    """A NetworkPolicy."""
    metadata = item["metadata"]
    return NetworkPolicy(metadata["name"], metadata.get("labels", {}), item["spec"])


def deployment(item: Mapping[str, Any]) -> Deployment:
    """A Deployment."""
    containers = item["spec"]["template"]["spec"]["containers"]
    available = item.get("status", {}).get("availableReplicas", 0) > 0
    return Deployment(item["metadata"]["namespace"], str(containers[0].get("image", "")), available)


def namespace(item: Mapping[str, Any], quotas: Sequence[Any], ranges: Sequence[Any]) -> Namespace:
    """A namespace with its ResourceQuotas and LimitRanges."""
    of_all = [quota for quota in quotas if not {"scopes", "scopeSelector"} & quota["spec"].keys()]
    limits = [one for found in ranges for one in found["spec"].get("limits", []) if one.get("type") == "Container"]
    return Namespace(
        labels=item["metadata"].get("labels", {}),
        quotas={quota["metadata"]["name"]: frozenset(quota["spec"].get("hard", {})) for quota in of_all},
        limits={key: str(value) for one in limits for key, value in one.get("default", {}).items()},
        requests={key: str(value) for one in limits for key, value in one.get("defaultRequest", {}).items()},
    )


def definition(item: Mapping[str, Any]) -> Definition:
    """A custom resource definition."""
    spec = item["spec"]
    service = spec.get("conversion", {}).get("webhook", {}).get("clientConfig", {}).get("service")
    return Definition(
        served=frozenset(version["name"] for version in spec["versions"] if version.get("served")),
        stored=frozenset(item.get("status", {}).get("storedVersions", ())),
        converter=f"{service['name']} in {service['namespace']}" if service else "",
    )


def _asked(spec: Mapping[str, Any], resource: str) -> float:
    """Effective request of a pod for the scheduler: its containers and sidecars, or more while it initializes.

    An init container runs beside the sidecars before it (kubernetes.io, "Sidecar Containers", resource sharing).
    """
    sidecars = initializing = 0.0
    for container in spec.get("initContainers", []):
        asked = _of(container, resource)
        if container.get("restartPolicy") == "Always":
            sidecars += asked
            asked = 0.0
        initializing = max(initializing, sidecars + asked)
    running = sidecars + sum(_of(container, resource) for container in spec.get("containers", []))
    return max(running, initializing)


def _of(container: Mapping[str, Any], resource: str) -> float:
    resources = container.get("resources", {})
    return _amount({**resources.get("limits", {}), **resources.get("requests", {})}, resource)


def _amount(resources: Mapping[str, Any], resource: str) -> float:
    return quantity(str(resources.get(resource, "0")))

"""Kubernetes objects: through which provider, where, labelled how, and which pods are privileged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from policy.images import RELEASE
from policy.rule import UNKNOWN, Finding, Resource, Rule, Run, Settings, at, is_mapping, items, shown, strings

_NAMESPACE: Final = "kubernetes:core/v1:Namespace"
_CLUSTER_WIDE: Final = frozenset(
    {
        "APIService", "CSIDriver", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "DeviceClass",
        "GKENetworkParamSet", "IngressClass", "MutatingWebhookConfiguration", "Namespace", "Network",
        "PersistentVolume", "PriorityClass", "ResourceSlice", "RuntimeClass", "StorageClass",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
        # of KAI
        "Config", "ConfigPatch", "Queue", "SchedulingShard", "Topology",
    }
)  # fmt: skip
"""Kinds without a namespace."""


def _is_object(resource: Resource) -> bool:
    return resource.type.startswith("kubernetes:")


def kind_of(resource: Resource) -> str:
    """The kind of an object; that of a patch without `Patch`."""
    kind = at(resource.inputs, "kind")
    return kind if isinstance(kind, str) else resource.type.rpartition(":")[2].removesuffix("Patch")


def _own_provider(resource: Resource, _settings: Settings, run: Run) -> Iterator[Finding]:
    if not _is_object(resource) or resource.provider is None:
        return
    provider = resource.provider
    if provider.name.startswith("default"):
        yield Finding(
            "it uses the default provider, and so whichever cluster the caller's kubeconfig points at",
            "Pass the cluster's provider in the resource options",
        )
        return
    cluster = at(provider.inputs, "clusterIdentifier")
    if cluster is None:
        yield Finding(
            f"provider {provider.name} has no clusterIdentifier",
            "Set it to the cluster's id, so that another kubeconfig of the same cluster replaces nothing",
        )
    elif cluster is not UNKNOWN:
        others = set(run.remember("cluster-provider", resource.urn, cluster).values()) - {cluster}
        if others:
            yield Finding(f"it is in cluster {cluster}, others are in {', '.join(sorted(others))}", "One per stack")


def _known_namespace(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    if resource.type == _NAMESPACE:
        run.remember("known-namespace", resource.urn, at(resource.inputs, "metadata.name"))
    kind = kind_of(resource)
    if not _is_object(resource) or kind in _CLUSTER_WIDE or kind in settings["clusterWide"]:
        return
    path = "namespace" if resource.type == RELEASE else "metadata.namespace"
    namespace = at(resource.inputs, path)
    if namespace is UNKNOWN or namespace in run.seen.get("known-namespace", {}).values():
        return
    if namespace is None:
        yield Finding(
            f"{path} is not set, so the caller's kubeconfig decides",
            "Name one; a kind that has no namespaces belongs into this rule's `clusterWide`",
        )
    elif not any(fnmatchcase(f"{namespace}/{kind}", pattern) for pattern in settings["shared"]):
        yield Finding(
            f"{path} = {namespace}, which the program has not created before",
            f"Take it from the Namespace's output, or list {namespace}/{kind} in this rule's `shared`",
        )


def _labelled(resource: Resource, settings: Settings, _run: Run) -> Iterator[Finding]:
    # Helm labels what it installs, and a patch changes an object of others.
    if not _is_object(resource) or resource.type == RELEASE or resource.type.endswith("Patch"):
        return
    labels = at(resource.inputs, "metadata.labels")
    if labels is UNKNOWN:
        return
    missing = [label for label in settings["labels"] if label not in (labels or {})]
    if missing:
        yield Finding(f"metadata.labels lacks {', '.join(missing)}", "Use naming.kubernetes_labels")


def _internal(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    if kind_of(resource) != "Service" or at(resource.inputs, "spec.type") != "LoadBalancer":
        return
    annotations = at(resource.inputs, "metadata.annotations")
    mode = annotations.get("networking.gke.io/load-balancer-type") if is_mapping(annotations) else None
    if annotations is not UNKNOWN and mode not in ("Internal", UNKNOWN):
        yield Finding(
            shown(resource, "spec.type"),
            'Annotate it with networking.gke.io/load-balancer-type: "Internal": the endpoint has no login of its own',
        )


@dataclass(frozen=True)
class Pod:
    """A pod template."""

    role: str
    """Kind and name of what starts it; of a graph, kind and service."""
    path: str
    spec: Mapping[str, Any]

    def containers(self) -> Iterator[Mapping[str, Any]]:
        """All containers, among them that of Dynamo's own format."""
        main = at(self.spec, "mainContainer")
        listed = (
            c for part in ("initContainers", "containers", "ephemeralContainers") for c in items(at(self.spec, part))
        )
        yield from (c for c in (main, *listed) if is_mapping(c))


def pods(resource: Resource) -> Iterator[Pod]:
    """The pod templates of an object."""
    kind, name = kind_of(resource), at(resource.inputs, "metadata.name")
    for path in ("spec.template.spec", "spec.jobTemplate.spec.template.spec", "spec"):
        spec = at(resource.inputs, path)
        if is_mapping(spec) and "containers" in spec:
            yield Pod(f"{kind}/{name}", path, spec)
            return
    services = at(resource.inputs, "spec.services")
    for service, content in services.items() if is_mapping(services) else ():
        spec = at(content, "extraPodSpec")
        if is_mapping(spec):
            yield Pod(f"{kind}/{service}", f"spec.services.{service}.extraPodSpec", spec)


def _powers(pod: Pod) -> Iterator[str]:
    """What a pod may do on its node that others may not."""
    yield from (f"{key}: true" for key in ("hostNetwork", "hostPID", "hostIPC") if at(pod.spec, key) is True)
    for volume in items(at(pod.spec, "volumes")):
        if at(volume, "hostPath") is not None:
            yield f"hostPath {at(volume, 'hostPath.path')}"
    for container in pod.containers():
        if at(container, "securityContext.privileged") is True:
            yield f"privileged container {at(container, 'name') or 'mainContainer'}"
        for capability in items(at(container, "securityContext.capabilities.add")):
            yield f"capability {capability}"


def _privileged(resource: Resource, settings: Settings, _run: Run) -> Iterator[Finding]:
    for pod in pods(resource) if _is_object(resource) else ():
        powers = list(_powers(pod))
        if powers and not any(fnmatchcase(pod.role, pattern) for pattern in settings["roles"]):
            yield Finding(
                f"{pod.path} of {pod.role} has {', '.join(powers)}",
                "Take it out, or list the role in this rule's `roles`",
            )


RULES: Final = (
    Rule(
        "cluster-provider",
        "Kubernetes objects are made through the cluster's own provider.",
        "mandatory",
        _own_provider,
    ),
    Rule(
        "known-namespace",
        "Kubernetes objects are in namespaces that the program created, or in shared ones.",
        "mandatory",
        _known_namespace,
        {
            "shared": strings(
                "NAMESPACE/KIND that may be in a namespace of others, as patterns",
                "default/ConfigMap",
                "default/Release",
                "kube-system/DaemonSet",
            ),
            "clusterWide": strings("further kinds that have no namespaces"),
        },
    ),
    Rule(
        "labelled",
        "Kubernetes objects have labels that say who manages them.",
        "mandatory",
        _labelled,
        {
            "labels": strings(
                "keys of the labels",
                "app.kubernetes.io/managed-by",
                "app.kubernetes.io/part-of",
                "dynamo-a4x/environment",
            )
        },
    ),
    Rule("internal-services", "No Service is reachable from the internet.", "mandatory", _internal),
    Rule(
        "privileged-pods",
        "Only pods that need the node's devices are privileged.",
        "mandatory",
        _privileged,
        {
            "roles": strings(
                "KIND/NAME that may be, of a graph KIND/SERVICE, as patterns",
                "DynamoGraphDeployment/Prefill",
                "DynamoGraphDeployment/Decode",
                "Job/fabric-test",
                "DaemonSet/nccl-rdma-installer",
            )
        },
    ),
)

"""Kubernetes objects: through which provider, where, labelled how, and which pods are privileged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.images import is_chart
from policy.rule import (
    UNKNOWN,
    Finding,
    Resource,
    Rule,
    Run,
    Settings,
    at,
    is_list,
    is_mapping,
    items,
    mappings,
    matches,
    shown,
    strings,
    text,
)

_NAMESPACE: Final = "kubernetes:core/v1:Namespace"
_CLUSTER_WIDE: Final = {
    "core": ("Namespace", "Node", "PersistentVolume"),
    "admissionregistration.k8s.io": (
        "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
    ),
    "apiextensions.k8s.io": ("CustomResourceDefinition",),
    "apiregistration.k8s.io": ("APIService",),
    "certificates.k8s.io": ("CertificateSigningRequest",),
    "flowcontrol.apiserver.k8s.io": ("FlowSchema", "PriorityLevelConfiguration"),
    "networking.k8s.io": ("IngressClass",),
    "node.k8s.io": ("RuntimeClass",),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding"),
    "resource.k8s.io": ("DeviceClass", "ResourceSlice"),
    "scheduling.k8s.io": ("PriorityClass",),
    "storage.k8s.io": ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"),
    "networking.gke.io": ("GKENetworkParamSet", "Network"),
    "gateway.networking.k8s.io": ("GatewayClass",),
    # of KAI
    "kai.scheduler": ("Config", "SchedulingShard", "Topology"),
    "scheduling.run.ai": ("Queue",),
}  # fmt: skip
"""Kinds without a namespace, by their group."""
_INTERNAL: Final = ("networking.gke.io/load-balancer-type", "cloud.google.com/load-balancer-type")
_INTERNAL_CLASS: Final = "networking.gke.io/l4-regional-internal"
_POD: Final = ("containers", "initContainers", "ephemeralContainers")
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")


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


def _is_cluster_wide(resource: Resource, further: Any) -> bool:
    kind, group = kind_of(resource), resource.type.split(":")[1].rpartition("/")[0]
    return kind in _CLUSTER_WIDE.get(group, ()) or kind in further or f"{group}/{kind}" in further


def _known_namespace(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    name = at(resource.inputs, "metadata.name")
    if resource.type == _NAMESPACE and isinstance(name, str):
        run.remember("known-namespace", resource.urn, name)
    if not _is_object(resource) or _is_cluster_wide(resource, settings["clusterWide"]):
        return
    kind, path = kind_of(resource), "namespace" if is_chart(resource) else "metadata.namespace"
    namespace = at(resource.inputs, path)
    if namespace is UNKNOWN or namespace in run.seen.get("known-namespace", {}).values():
        return
    if namespace is None:
        yield Finding(
            f"{path} is not set, so the caller's kubeconfig decides",
            "Name one; a kind that has no namespaces belongs into this rule's `clusterWide`",
        )
    elif not any(matches(f"{namespace}/{kind}", pattern) for pattern in settings["shared"]):
        yield Finding(
            f"{path} = {namespace}, which the program has not created before",
            f"Take it from the Namespace's output, or list {namespace}/{kind} in this rule's `shared`",
        )


def _labelled(resource: Resource, settings: Settings, _run: Run) -> Iterator[Finding]:
    # Helm labels what it installs, and a patch changes an object of others.
    if not _is_object(resource) or is_chart(resource) or resource.type.endswith("Patch"):
        return
    labels = at(resource.inputs, "metadata.labels")
    if labels is UNKNOWN:
        return
    missing = [label for label in settings["labels"] if label not in (labels or {})]
    if missing:
        yield Finding(f"metadata.labels lacks {', '.join(missing)}", "Use naming.kubernetes_labels")


_INTERNAL_FIX: Final = (
    'Annotate it with networking.gke.io/load-balancer-type: "Internal": the endpoint has no authentication of its own'
)


def _internal(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    kind = kind_of(resource) if _is_object(resource) else ""
    if kind == "Service" and _is_open(at(resource.inputs, "spec"), at(resource.inputs, "metadata.annotations")):
        yield Finding(shown(resource, "spec.type"), _INTERNAL_FIX)
    elif is_chart(resource):
        for path, content in mappings(at(resource.inputs, "values"), ("values",)):
            if _is_open(content, at(content, "annotations")):
                yield Finding(f'{".".join(path)}.type = "LoadBalancer"', _INTERNAL_FIX)
    elif kind == "Ingress" and resource.type.startswith("kubernetes:networking.k8s.io/"):
        yield from _internal_ingress(resource)
    elif kind == "Gateway":
        yield from _internal_gateway(resource)
    elif kind.startswith("Dynamo"):
        for path, content in mappings(at(resource.inputs, "spec"), ("spec",)):
            if path[-1] == "ingress" and at(content, "enabled") is True:
                fix = "Leave it out: the endpoint has no authentication of its own"
                yield Finding(f"{'.'.join(path)}.enabled = true", fix)


def _internal_ingress(resource: Resource) -> Iterator[Finding]:
    """Without a class GKE makes a load balancer on the internet; a class of others has a Service, which is judged."""
    # A key with dots.
    annotations = at(resource.inputs, "metadata.annotations")
    annotated = annotations.get("kubernetes.io/ingress.class") if is_mapping(annotations) else None
    chosen = annotated or at(resource.inputs, "spec.ingressClassName")
    if annotations is not UNKNOWN and chosen in (None, "gce"):
        yield Finding(f"ingress class = {text(chosen)}", "Annotate it with kubernetes.io/ingress.class: gce-internal")


def _internal_gateway(resource: Resource) -> Iterator[Finding]:
    name = at(resource.inputs, "spec.gatewayClassName")
    if isinstance(name, str) and name.startswith("gke-l7-") and "internal" not in name and "rilb" not in name:
        yield Finding(shown(resource, "spec.gatewayClassName"), "Use gke-l7-rilb, which is internal")


def _is_open(service: Any, annotations: Any) -> bool:
    """Whether a service is one that GKE gives a public address."""
    if at(service, "type") != "LoadBalancer" or annotations is UNKNOWN:
        return False
    modes = [annotations.get(key) for key in _INTERNAL] if is_mapping(annotations) else []
    return not {"Internal", "internal", UNKNOWN} & {*modes} and at(service, "loadBalancerClass") not in (
        _INTERNAL_CLASS,
        UNKNOWN,
    )


@dataclass(frozen=True)
class Pod:
    """A pod template."""

    role: str | None
    """Kind and name of what starts it, or of the part of it; None if the name is not known."""
    path: str
    spec: Mapping[str, Any]

    def containers(self) -> Iterator[Mapping[str, Any]]:
        """All containers, among them that of Dynamo's own format."""
        listed = (c for part in _POD for c in items(at(self.spec, part)))
        yield from (c for c in (at(self.spec, "mainContainer"), *listed) if is_mapping(c))


def pods(resource: Resource) -> Iterator[Pod]:
    """The pod templates of an object, found by what they look like: every kind has them somewhere else."""
    metadata = at(resource.inputs, "metadata")
    name = at(metadata, "name") or at(metadata, "generateName")
    for path, content in mappings(resource.inputs):
        looks = (
            any(is_list(content.get(key)) for key in _POD)
            or is_mapping(content.get("mainContainer"))
            or any(content.get(key) is True for key in _HOST)
        )
        if looks:
            part = _part(resource.inputs, path) or name
            yield Pod(None if part is UNKNOWN else f"{kind_of(resource)}/{part}", ".".join(path), content)


def _part(value: Any, path: Sequence[str]) -> Any:
    """The name of the innermost part with one: a service of a graph, a clique, a replicated job."""
    found = None
    for above, step in zip(("", *path), path, strict=False):
        value = value[int(step)] if is_list(value) else value[step]
        if above == "services":
            found = step
        elif step.isdigit():
            found = at(value, "name") or found
    return found


def _powers(pod: Pod) -> Iterator[str]:
    """What a pod may do on its node that others may not."""
    yield from (f"{key}: true" for key in _HOST if at(pod.spec, key) is True)
    for volume in items(at(pod.spec, "volumes")):
        if at(volume, "hostPath") not in (None, UNKNOWN):
            yield f"hostPath {at(volume, 'hostPath.path')}"
    for container in pod.containers():
        if at(container, "securityContext.privileged") is True:
            yield f"privileged container {at(container, 'name') or 'mainContainer'}"
        for capability in items(at(container, "securityContext.capabilities.add")):
            yield f"capability {capability}"
        for port in items(at(container, "ports")):
            if at(port, "hostPort") not in (None, 0, UNKNOWN):
                yield f"hostPort {text(at(port, 'hostPort'))}"


def _privileged(resource: Resource, settings: Settings, _run: Run) -> Iterator[Finding]:
    if not _is_object(resource) or is_chart(resource):
        return
    if kind_of(resource) == "PersistentVolume" and at(resource.inputs, "spec.hostPath") not in (None, UNKNOWN):
        yield Finding(
            f"spec.hostPath = {text(at(resource.inputs, 'spec.hostPath.path'))}", "Use a volume of its own disk"
        )
    for pod in pods(resource):
        powers = list(_powers(pod))
        if powers and pod.role and not any(matches(pod.role, pattern) for pattern in settings["roles"]):
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
            "clusterWide": strings("further KIND or GROUP/KIND that have no namespaces"),
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
    Rule("internal-services", "Nothing in the cluster is reachable from the internet.", "mandatory", _internal),
    Rule(
        "privileged-pods",
        "Only pods that need the node's devices are privileged.",
        "mandatory",
        _privileged,
        {
            "roles": strings(
                "patterns of workloads that may be privileged: KIND/NAME, or KIND/PART for a part (a graph's service)",
                "DynamoGraphDeployment/Prefill",
                "DynamoGraphDeployment/Decode",
                "Job/fabric-test",
                "DaemonSet/nccl-rdma-installer",
            )
        },
    ),
)

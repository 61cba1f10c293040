"""The DynamoGraphDeployment: what the recipe's chart renders, as data.

`docs/explanation/differences.md` lists every difference from the recipe, with the reason. Outputs of other resources
(the name of a bucket or node pool) are only passed on, never read, so this module needs no Pulumi and its result can be
compared with the recipe field by field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from manifests import certificates, gcsfuse, gpu_pod, graph_api, launch, restricted
from manifests.gpu_pod import Value
from manifests.graph_api import Component, Graph
from reference import machines, nats, pod_security
from reference.dynamo import IMAGE_LOOKUP_OFF, DynamoProfile, Gang
from reference.footprint import FRONTEND
from reference.kai import PRIORITY_CLASS
from reference.machines import A4X, Toleration
from reference.naming import ROLE_LABEL, STACK_LABEL
from reference.registry import HF_SECRET
from serving_rules.layout import WORKER_ROLES, Layout, WorkerRole

NodeKind = Literal["a4x", "system"]
"""Nodes for pods without a GPU: the A4X pool of their stack, or the x86 system nodes."""

SERVICES: Final[Mapping[str, str]] = {"frontend": "Frontend", "prefill": "Prefill", "decode": "Decode"}
"""Name of each role in the graph; the operator puts it into pod names in lower case."""

STARTUP_SECONDS: Final = 7200
"""How long a worker may load before it is restarted: 2 hours, the operator's default for SGLang."""

_STARTUP_PERIOD: Final = 30

_SOURCES: Final = "/sgl-workspace/dynamo/components/backends/sglang"
"""Folder of Dynamo's sources in the images that have one."""


@dataclass(frozen=True)
class ExtraVolume:
    """A volume of the user's own."""

    name: str
    mount_path: str
    source: Mapping[str, Any]
    """The volume source, with the API's field names."""
    read_only: bool
    roles: Sequence[str]
    """`frontend`, `prefill`, `decode`."""


@dataclass(frozen=True)
class Security:
    """How much the pods of a stack may do."""

    privileged_workers: bool = True
    """Whether workers are privileged (see `gpu_pod.security_context`)."""
    offline_workers: bool = False
    """Whether workers never ask Hugging Face's hub."""
    restricted_frontends: bool = False
    """Whether frontends satisfy the Pod Security Standard `restricted`."""
    bind_to_pod_address: bool = False
    """Whether Dynamo's system port (9090) listens on the pod's address in the cluster alone, not on the RDMA NICs."""


@dataclass(frozen=True)
class Placement:
    """What a stack's pods reference, and where they may run."""

    stack: str
    image: Value
    frontend_image: Value
    frontend_replicas: int
    frontend_nodes: NodeKind
    node_pool: Value
    bucket: Value
    service_account: Value
    pull_secret: Value | None
    """Pull secret of the images; None where none is needed."""
    claim_template: Value
    config_maps: Mapping[WorkerRole, Value]
    rdma_claim_template: Value | None = None
    """Template of the claims on the RDMA NICs with DRANET; None with multi-networking, which uses an annotation."""
    kai: bool = True
    """Whether KAI schedules the pods; its chart defines their priority class."""
    tolerations: Sequence[Toleration] = field(default_factory=A4X.tolerations)
    """Of all pods: for the taints of the stack's node pool."""
    frontend_tolerations: Sequence[Toleration] = ()
    """Of frontends beside these: for the taints of system nodes, if they run there."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels that others want on the pods, beside the program's own."""
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """The same of annotations."""
    priority_class: str | None = None
    """Priority class of the pods in place of KAI's."""
    frontend_environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables of the frontends."""
    certificates: Value | None = None
    """ConfigMap with certificates that the frontends trust; None: their image's own."""
    worker_resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, "Mapping[str, str]"])
    """`requests` and `limits` of the workers beside their GPUs."""
    sidecar: Mapping[str, str] = field(default_factory=lambda: gcsfuse.ANNOTATIONS)
    """Annotations that add the sidecar which reads the bucket, with its resources."""
    volumes: Sequence[ExtraVolume] = ()
    """Volumes that others want in the pods."""
    security: Security = Security()
    nats_secret: Value | None = None
    """Secret with the login of NATS; None: it asks for none."""
    gang: Gang = "serving"
    """Which replicas start together, where the release can say so."""


def describe(layout: Layout, placement: Placement, profile: DynamoProfile) -> Graph:
    """The graph that serves `layout` at `placement` with a Dynamo release."""
    made: dict[str, Component] = {
        "frontend": _frontend(placement, profile),
        **{role: _worker(role, layout, placement, profile) for role in WORKER_ROLES},
    }
    off = {IMAGE_LOOKUP_OFF: "true"}
    on_pods = profile.image_lookup_switch == "pod"
    for role, component in made.items():
        pod = component.pod
        metadata = {
            "labels": {**placement.labels, **pod["metadata"]["labels"]},
            "annotations": {
                **placement.annotations,
                **pod["metadata"]["annotations"],
                **(off if on_pods else {}),
            },
        }
        volumes = [volume for volume in placement.volumes if role in volume.roles]
        made[role] = replace(
            component,
            annotations={} if on_pods else off,
            runtime_version=profile.version if profile.runtime_version else None,
            pod={"metadata": metadata, "spec": _with_volumes(pod["spec"], volumes)},
        )
    priority = _priority(placement).get("priorityClassName") if profile.min_available else None
    return Graph(components=made, priority_class=priority)


def node_selector(nodes: NodeKind, node_pool: Value) -> dict[str, Value]:
    """Node selector of a pod without a GPU, whose stack is on `node_pool`."""
    return {machines.NODE_POOL_KEY: node_pool} if nodes == "a4x" else {machines.ARCH_KEY: "amd64"}


def gang_replicas(role: str, replicas: int, gang: Gang) -> int:
    """Replicas of a role that start together; frontends need no GPU, so one of them is enough."""
    return replicas if role == "decode" or (role == "prefill" and gang == "whole") else 1


def _labels(role: str, placement: Placement) -> dict[str, str]:
    return {STACK_LABEL: placement.stack, ROLE_LABEL: role}


def _pod(
    placement: Placement, profile: DynamoProfile, selector: dict[str, Value], more: Sequence[Toleration] = ()
) -> dict[str, Any]:
    """Common to every pod of the stack: service account, pull secret, tolerations, node selector, priority."""
    return {
        "serviceAccountName": placement.service_account,
        # The bucket is read with the identity of the metadata server.
        "automountServiceAccountToken": bool(profile.pod_rules),
        **gpu_pod.pull_secrets(placement.pull_secret),
        **_priority(placement),
        "tolerations": [dict(toleration) for toleration in (*placement.tolerations, *more)],
        "nodeSelector": selector,
    }


def _priority(placement: Placement) -> dict[str, str]:
    if placement.priority_class is not None:
        return {"priorityClassName": placement.priority_class}
    return {"priorityClassName": PRIORITY_CLASS} if placement.kai else {}


def _with_volumes(pod: Mapping[str, Any], volumes: Sequence[ExtraVolume]) -> dict[str, Any]:
    """A pod with further volumes, and their mounts in its main container."""
    [main] = pod["containers"]
    mounts = [{"name": volume.name, "mountPath": volume.mount_path, "readOnly": volume.read_only} for volume in volumes]
    return {
        **pod,
        "volumes": [*pod["volumes"], *({"name": volume.name, **volume.source} for volume in volumes)],
        "containers": [{**main, "volumeMounts": [*main["volumeMounts"], *mounts]}],
    }


def _frontend(placement: Placement, profile: DynamoProfile) -> Component:
    size = {**FRONTEND.requests(), "ephemeral-storage": "30Gi"}
    trusted, without_root = placement.certificates is not None, placement.security.restricted_frontends
    plain = {**(pod_security.ENVIRONMENT if without_root else {}), **placement.frontend_environment}
    variables = [*_listed(plain), *_nats_login(placement)]
    pod: dict[str, Any] = {
        **_pod(
            placement,
            profile,
            node_selector(placement.frontend_nodes, placement.node_pool),
            placement.frontend_tolerations,
        ),
        **({"securityContext": restricted.pod()} if without_root else {}),
        "affinity": _apart(_labels("frontend", placement)),
        "volumes": [
            {"name": "local-ssd", "emptyDir": {}},
            gcsfuse.cached_volume(placement.bucket, chunk_megabytes=50),
            *([certificates.volume(placement.certificates)] if trusted else []),
        ],
        "containers": [
            {
                "name": graph_api.MAIN,
                "image": placement.frontend_image,
                **({"env": variables} if variables else {}),
                # The frontend loads the tokenizer by the model's id.
                **({"envFrom": [{"secretRef": {"name": HF_SECRET}}]} if profile.frontend_asks_hub else {}),
                **({"securityContext": restricted.container()} if without_root else {}),
                "volumeMounts": [
                    {"name": "local-ssd", "mountPath": "/gcs-cache"},
                    {"name": gcsfuse.VOLUME, "mountPath": gcsfuse.MODEL_ROOT, "readOnly": True},
                    *([certificates.mount()] if trusted else []),
                ],
                "resources": {"requests": size, "limits": size},
            }
        ],
    }
    cache = {"gke-gcsfuse/file-cache-capacity": "500Gi", "gke-gcsfuse/cache-path": "/gcs-cache"}
    metadata = {"labels": _labels("frontend", placement), "annotations": {**placement.sidecar, **cache}}
    return Component(
        name=SERVICES["frontend"],
        role="frontend",
        replicas=placement.frontend_replicas,
        pod={"metadata": metadata, "spec": pod},
    )


def _worker(role: WorkerRole, layout: Layout, placement: Placement, profile: DynamoProfile) -> Component:
    workers, privileged = layout.workers(role), placement.security.privileged_workers
    nics = placement.rdma_claim_template
    claims = gpu_pod.claims(placement.claim_template, nics)
    own = placement.worker_resources
    requests = own.get("requests")
    pod = {
        **_pod(placement, profile, {machines.NODE_POOL_KEY: placement.node_pool}),
        "affinity": gpu_pod.affinity(),
        "resourceClaims": gpu_pod.resource_claims(claims),
        "volumes": [
            gcsfuse.cached_volume(placement.bucket, chunk_megabytes=10),
            *gpu_pod.volumes(),
            {
                "name": "serving-configuration",
                "configMap": {
                    "name": placement.config_maps[role],
                    "items": [{"key": launch.ARGUMENTS_KEY, "path": launch.ARGUMENTS_FILE}],
                },
            },
        ],
        "containers": [
            {
                "name": graph_api.MAIN,
                "image": placement.image,
                **({} if profile.sglang_image else {"workingDir": _SOURCES}),
                "command": list(launch.COMMAND),
                "args": [launch.script(privileged=privileged, extends_path=profile.sglang_image)],
                "env": [*_environment(role, layout, placement.security, profile), *_nats_login(placement)],
                "stdin": True,
                "tty": True,
                "securityContext": gpu_pod.security_context(privileged=privileged, root=not profile.sglang_image),
                "startupProbe": _startup(),
                "livenessProbe": _liveness(role),
                "readinessProbe": _probe("/health", period=60, failures=60),
                "volumeMounts": [
                    {"name": gcsfuse.VOLUME, "mountPath": gcsfuse.MODEL_ROOT, "readOnly": True},
                    *gpu_pod.volume_mounts(),
                    {"name": "serving-configuration", "mountPath": launch.ARGUMENTS_FOLDER},
                ],
                "resources": {
                    **({"requests": dict(requests)} if requests else {}),
                    "limits": {graph_api.GPU: str(A4X.gpus), **own.get("limits", {})},
                    "claims": [{"name": claim} for claim in claims],
                },
            }
        ],
    }
    metadata = {
        "labels": _labels(role, placement),
        "annotations": {**placement.sidecar, **gpu_pod.nic_annotations(nics)},
    }
    return Component(
        name=SERVICES[role],
        role=role,
        replicas=workers.replicas,
        nodes=workers.nodes_per_replica,
        min_available=gang_replicas(role, workers.replicas, placement.gang) if profile.min_available else None,
        shared_memory=gpu_pod.WORKER_SHARED_MEMORY,
        pod={"metadata": metadata, "spec": pod},
    )


def _environment(role: WorkerRole, layout: Layout, security: Security, profile: DynamoProfile) -> list[dict[str, Any]]:
    variables: dict[str, str] = {
        **profile.worker_environment,
        "SERVER_ARGS_FILE": f"{launch.ARGUMENTS_FOLDER}/{launch.ARGUMENTS_FILE}",
        "MODEL_PATH": gcsfuse.model_path(layout.model),
        **layout.environment(role),
        **(pod_security.OFFLINE if security.offline_workers else {}),
    }
    if not security.bind_to_pod_address:
        return _listed(variables)
    variables.pop(pod_security.SYSTEM_HOST, None)
    return [
        *_listed(variables),
        {"name": pod_security.SYSTEM_HOST, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]


def _listed(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def _nats_login(placement: Placement) -> list[dict[str, Any]]:
    return [] if placement.nats_secret is None else nats.client_variables(placement.nats_secret)


def _liveness(role: WorkerRole) -> dict[str, Any]:
    if role == "decode":
        return _probe("/live", period=60, failures=60)
    # A prefill worker is never restarted for being slow: a long prompt blocks its HTTP answer.
    return {
        "exec": {"command": ["/bin/sh", "-c", "exit 0"]},
        "periodSeconds": 60,
        "timeoutSeconds": 30,
        "failureThreshold": 60,
    }


def _startup() -> dict[str, Any]:
    """Gates the two other probes; polls from the first minute on, so that a fast load is noticed at once."""
    failures = STARTUP_SECONDS // _STARTUP_PERIOD
    return {**_probe("/live", period=_STARTUP_PERIOD, failures=failures), "initialDelaySeconds": 60}


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "system"},
        "periodSeconds": period,
        "timeoutSeconds": 30,
        "failureThreshold": failures,
    }


def _apart(labels: dict[str, str]) -> dict[str, Any]:
    """Pods with these labels on different nodes, as far as there are enough.

    Otherwise KAI puts all nine frontends on one node, beside a worker, and all are lost with that node. Topology spread
    constraints would be more exact, but Grove (alpha.8 and later) rejects a graph that has any.
    """
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}

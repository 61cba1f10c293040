"""The custom kinds of the field, as schemas of our own: what their fields are, and which chart brings them.

Written from the field's documentation and kept to the fields that a deployment program can need; a conformance
test holds every path against the real CRDs where those are at hand. `additionalProperties` is false throughout,
so a misspelt field is refused instead of pruned in silence.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, cast

from rehearsal.cloud.values import Props

PODS_URI = "https://kubernetes.io/api/_pods.json"
"""Where the pod definitions live that Dynamo's custom resource takes over from Kubernetes."""
_OBJECT_META = "/api/_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_CORE = "io.k8s.api.core.v1."

DGD = ("nvidia.com/v1alpha1", "DynamoGraphDeployment")
COMPUTE_DOMAIN = ("resource.nvidia.com/v1beta1", "ComputeDomain")
QUEUE = ("scheduling.run.ai/v2", "Queue")
SHARD = ("kai.scheduler/v1", "SchedulingShard")
KAI_CONFIG = ("kai.scheduler/v1", "Config")
TOPOLOGY = ("kai.scheduler/v1alpha1", "Topology")
KUEUE_TOPOLOGY = ("kueue.x-k8s.io/v1alpha1", "Topology")
DEVICE_NETWORK = ("networking.gke.io/v1", "Network")
PARAM_SET = ("networking.gke.io/v1", "GKENetworkParamSet")

DYNAMO_CRDS = (
    ("nvidia.com/v1alpha1", "DynamoGraphDeployment"),
    ("nvidia.com/v1alpha1", "DynamoGraphDeploymentRequest"),
    ("nvidia.com/v1alpha1", "DynamoComponentDeployment"),
    ("nvidia.com/v1alpha1", "DynamoModel"),
)
"""What the chart dynamo-crds brings on 0.7; the operator needs all four (without the second it ends after two
minutes)."""
GROVE_CRDS = (
    ("grove.io/v1alpha1", "PodCliqueSet"),
    ("grove.io/v1alpha1", "PodClique"),
    ("grove.io/v1alpha1", "PodCliqueScalingGroup"),
    ("scheduler.grove.io/v1alpha1", "PodGang"),
)
KAI_CRDS = (
    QUEUE,
    ("scheduling.run.ai/v2alpha2", "PodGroup"),
    ("scheduling.run.ai/v1alpha2", "BindRequest"),
    KAI_CONFIG,
    SHARD,
    TOPOLOGY,
)
DRA_CRDS = (COMPUTE_DOMAIN, ("resource.nvidia.com/v1beta1", "ComputeDomainClique"))


@dataclass(frozen=True)
class CustomKind:
    """One custom kind: where its objects live, what they may hold, and whether GKE brings it itself."""

    api_version: str
    kind: str
    namespaced: bool
    schema: Props
    builtin: bool = False


# Fields of pods that Kubernetes 1.34 or 1.35 has and a release's DynamoGraphDeployment does not.
_POD_FIELDS_MISSING: dict[str, dict[str, tuple[str, ...]]] = {
    "0": {
        "PodSpec": ("hostnameOverride", "workloadRef"),
        "Container": ("restartPolicyRules",),
        "EphemeralContainer": ("restartPolicyRules",),
        "EnvVarSource": ("fileKeyRef",),
        "VolumeProjection": ("podCertificate",),
        "PersistentVolumeClaimTemplate": ("metadata",),
    },
    "1": {
        "PodSpec": ("workloadRef",),
        "PersistentVolumeClaimTemplate": ("metadata",),
        "PodCertificateProjection": ("userAnnotations",),
    },
}


def kinds(dynamo: str) -> dict[tuple[str, str], CustomKind]:
    """Every custom kind by (apiVersion, kind), as of one Dynamo release."""
    text, count = {"type": "string"}, {"type": "integer"}
    amount = {"type": "number"}
    quota = _object({"limit": amount, "overQuotaWeight": amount, "quota": amount})
    found = [
        CustomKind(*DGD, True, _envelope(DGD, _graph(dynamo))),
        CustomKind(
            *COMPUTE_DOMAIN,
            True,
            _envelope(
                COMPUTE_DOMAIN,
                _object(
                    {
                        "numNodes": count,
                        "channel": _object(
                            {
                                "resourceClaimTemplate": _object({"name": text}, "name"),
                                "allocationMode": {"type": "string", "enum": ["All", "Single"]},
                            },
                            "resourceClaimTemplate",
                        ),
                    },
                    "numNodes",
                    "channel",
                ),
            ),
        ),
        CustomKind(
            *QUEUE,
            False,
            _envelope(
                QUEUE,
                _object(
                    {
                        "displayName": text,
                        "parentQueue": text,
                        "priority": count,
                        "preemptMinRuntime": text,
                        "reclaimMinRuntime": text,
                        "resources": _object({"cpu": quota, "gpu": quota, "memory": quota}),
                    }
                ),
            ),
        ),
        CustomKind(
            *SHARD,
            False,
            _envelope(
                SHARD,
                _object(
                    {
                        "partitionLabelValue": text,
                        "placementStrategy": _object({"cpu": text, "gpu": text}),
                        "args": _map_of(text),
                        "goMemLimitRatio": {"type": "number", "minimum": 0, "maximum": 1},
                    }
                ),
            ),
        ),
        CustomKind(*KAI_CONFIG, False, _envelope(KAI_CONFIG, _object({"namespace": text}), bare=True)),
        CustomKind(
            *DEVICE_NETWORK,
            False,
            _envelope(
                DEVICE_NETWORK,
                _object(
                    {
                        "type": {"type": "string", "enum": ["L2", "L3", "Device"]},
                        "provider": {"type": "string", "enum": ["GKE"]},
                        "gateway4": text,
                        "parametersRef": _object(
                            {"group": text, "kind": text, "name": text, "namespace": text},
                            "group",
                            "kind",
                            "name",
                        ),
                    },
                    "type",
                ),
            ),
            builtin=True,
        ),
        CustomKind(
            *PARAM_SET,
            False,
            _envelope(
                PARAM_SET,
                _object(
                    {
                        "vpc": text,
                        "vpcSubnet": text,
                        "deviceMode": {"type": "string", "enum": ["DPDK-VFIO", "NetDevice", "RDMA"]},
                        "podIPv4Ranges": _object(
                            {"rangeNames": {"type": "array", "items": text, "minItems": 1}}, "rangeNames"
                        ),
                    },
                    "vpc",
                    "vpcSubnet",
                ),
            ),
            builtin=True,
        ),
    ]
    return {(kind.api_version, kind.kind): kind for kind in found}


def pod_definitions(definitions: Props, dynamo: str) -> Props:
    """Kubernetes' pod definitions as a Dynamo release's custom resource has them, with `mainContainer`."""
    missing = _POD_FIELDS_MISSING[dynamo.split(".", maxsplit=1)[0]]
    kept: Props = {}
    waiting = [_CORE + name for name in ("PodSpec", "Container", "EnvVar", "Probe")]
    while waiting:
        name = waiting.pop()
        if name in kept:
            continue
        body = copy.deepcopy(cast("Props", definitions[name]))
        for field in missing.get(name.removeprefix(_CORE), ()):
            cast("Props", body["properties"]).pop(field, None)
        kept[name] = body
        waiting.extend(_references(body))
    main = copy.deepcopy(cast("Props", kept[_CORE + "Container"]))
    main["required"] = []
    pod = copy.deepcopy(cast("Props", kept[_CORE + "PodSpec"]))
    pod["required"] = []
    cast("Props", pod["properties"])["mainContainer"] = main
    kept["ExtraPodSpec"] = pod
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": PODS_URI, "$defs": kept}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        props = cast("Props", value)
        own = [str(props["$ref"]).removeprefix("#/$defs/")] if "$ref" in props else []
        return own + [name for item in props.values() for name in _references(item)]
    if isinstance(value, list):
        return [name for item in cast("list[Any]", value) for name in _references(item)]
    return []


def _object(properties: Props, *required: str) -> Props:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _map_of(values: Props) -> Props:
    return {"type": "object", "additionalProperties": values}


def _envelope(name: tuple[str, str], spec: Props, *, bare: bool = False) -> Props:
    """A kind's schema around that of its spec; a `bare` one may do without a spec."""
    body = _object(
        {
            "apiVersion": {"type": "string", "enum": [name[0]]},
            "kind": {"type": "string", "enum": [name[1]]},
            "metadata": {"$ref": _OBJECT_META},
            "spec": spec,
        },
        "apiVersion",
        "kind",
        "metadata",
        *(() if bare else ("spec",)),
    )
    slug = f"{name[1].lower()}-{name[0].replace('/', '-')}"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://kubernetes.io/api/{slug}",
        **body,
    }


def _pod(name: str) -> Props:
    return {"$ref": f"{PODS_URI}#/$defs/{name}"}


def _graph(dynamo: str) -> Props:
    """The spec of a DynamoGraphDeployment, v1alpha1."""
    text, flag = {"type": "string"}, {"type": "boolean"}
    envs: Props = {"type": "array", "items": _pod(_CORE + "EnvVar")}
    amounts = _object({"cpu": text, "memory": text, "gpu": text, "custom": _map_of(text)})
    service: Props = {
        "annotations": _map_of(text),
        "labels": _map_of(text),
        "serviceName": text,
        "componentType": text,
        "subComponentType": text,
        "dynamoNamespace": text,
        "globalDynamoNamespace": flag,
        # v1alpha1 counts groups of pods where `multinode` is set.
        "replicas": {"type": "integer", "minimum": 0},
        "multinode": _object({"nodeCount": {"type": "integer", "minimum": 2}}, "nodeCount"),
        "resources": _object(
            {
                "limits": amounts,
                "requests": amounts,
                "claims": {"type": "array", "items": _object({"name": text, "request": text}, "name")},
            }
        ),
        "sharedMemory": _object({"disabled": flag, "size": _pod_quantity()}),
        "envs": envs,
        "envFromSecret": text,
        "livenessProbe": _pod(_CORE + "Probe"),
        "readinessProbe": _pod(_CORE + "Probe"),
        "extraPodMetadata": _object({"annotations": _map_of(text), "labels": _map_of(text)}),
        "extraPodSpec": _pod("ExtraPodSpec"),
        "modelRef": _object({"name": text, "revision": text}, "name"),
        "volumeMounts": {
            "type": "array",
            "items": _object({"name": text, "mountPoint": text, "useAsCompilationCache": flag}, "name"),
        },
    }
    if not dynamo.startswith("0."):
        service["scalingAdapter"] = _object({"enabled": flag})
    claim = _object(
        {
            "name": text,
            "create": flag,
            "size": _pod_quantity(),
            "storageClass": text,
            "volumeAccessMode": text,
        },
        "name",
    )
    return _object(
        {
            "backendFramework": {"type": "string", "enum": ["sglang", "vllm", "trtllm"]},
            "envs": envs,
            "pvcs": {"type": "array", "items": claim, "maxItems": 100},
            "services": {**_map_of(_object(service)), "maxProperties": 25},
        }
    )


def _pod_quantity() -> Props:
    return {"oneOf": [{"type": "string"}, {"type": "number"}]}

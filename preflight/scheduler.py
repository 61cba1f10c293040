"""KAI in a cluster, from objects of the Kubernetes API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from preflight.cloud import CloudError, Kai
from reference import images, kai
from validation.problems import RuleError

Ask = Callable[..., list[Any]]
"""Gets a list by its path, with selectors as keywords."""

OPERATOR: Final = "kai-operator"
_WEBHOOKS: Final = ("mutatingwebhookconfigurations/mutating-kai-admission",)


def kai_in(ask: Ask) -> Kai:
    """The KAI in a cluster, or what an uninstalled one has left."""
    shards = _or_none(ask, "/apis/kai.scheduler/v1/schedulingshards")
    deployments = ask("/apis/apps/v1/deployments", fieldSelector=f"metadata.name={OPERATOR}")
    config = next(iter(_or_none(ask, "/apis/kai.scheduler/v1/configs") or ()), None)
    namespace = deployments[0]["metadata"]["namespace"] if deployments else ""
    version = _version(deployments)
    wanted = _runtime_class(version, config or {}) if deployments else ""
    line = _line(version)
    return Kai(
        served=shards is not None,
        namespace=namespace,
        version=version,
        labels=_labels(ask, namespace),
        configured=config is not None,
        ready=_ready(config or {}),
        shards={shard["metadata"]["name"]: _grace(shard) for shard in shards or ()},
        webhooks=[webhook for webhook in _WEBHOOKS if _there(ask, webhook)],
        missing_class=wanted if wanted and not _there(ask, f"runtimeclasses/{wanted}") else "",
        waits_for_cluster_policy=line is not None
        and line.needs_cluster_policy
        and _or_none(ask, "/apis/nvidia.com/v1/clusterpolicies") is None,
    )


def _or_none(ask: Ask, path: str) -> list[Any] | None:
    """A list of custom objects; None if the cluster does not have the kind."""
    try:
        return ask(path)
    except CloudError as error:
        if error.trouble == "missing":
            return None
        raise


_GROUPS: Final[Mapping[str, str]] = {
    "mutatingwebhookconfigurations": "admissionregistration.k8s.io/v1",
    "runtimeclasses": "node.k8s.io/v1",
}


def _there(ask: Ask, what: str) -> bool:
    kind, _, name = what.partition("/")
    return bool(ask(f"/apis/{_GROUPS[kind]}/{kind}", fieldSelector=f"metadata.name={name}"))


def _labels(ask: Ask, namespace: str) -> Mapping[str, str]:
    if not namespace:
        return {}
    found = ask("/api/v1/namespaces", fieldSelector=f"metadata.name={namespace}")
    return found[0]["metadata"].get("labels", {}) if found else {}


def _version(deployments: Sequence[Any]) -> str:
    if not deployments:
        return ""
    return images.tag(str(deployments[0]["spec"]["template"]["spec"]["containers"][0].get("image", "")))


def _line(version: str) -> kai.Line | None:
    """What is known of a release; None where the image's tag is none."""
    try:
        return kai.line(kai.parse(version.partition("-")[0]))
    except RuleError:
        return None


def _runtime_class(version: str, config: Mapping[str, Any]) -> str:
    """The RuntimeClass of all GPU pods, or empty."""
    line = _line(version)
    if line is None or not line.runtime_class:
        return ""
    found = config.get("spec", {}).get("admission", {}).get("gpuPodRuntimeClassName", line.runtime_class)
    return "" if found in {"", '""'} else str(found)


def _ready(config: Mapping[str, Any]) -> bool:
    conditions = config.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _grace(shard: Mapping[str, Any]) -> str:
    spec = shard.get("spec", {})
    if spec.get("actions", {}).get("stalegangeviction", {}).get("enabled") is False:
        return "-1s"
    return str(spec.get("args", {}).get(kai.GRACE_ARGUMENT, ""))

"""What a pod needs before it can start: the objects that it references, and its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rehearsal.simulator.state import ApiError, CloudState
from rehearsal.simulator.values import Props, items, many, mapping, text

POOL_LABEL = "cloud.google.com/gke-nodepool"


@dataclass(frozen=True)
class Needed:
    """An object that a pod references: its kind (without the package), its name, and optionally a key in it."""

    kind: str
    name: str
    key: str = ""


def of_template(namespace: str, name: str, metadata: Props, spec: Props) -> Props:
    """The pod that a controller would create."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "name": name, "namespace": namespace},
        "spec": spec,
    }


def references(pod: Props) -> Iterator[Needed]:
    """Every ConfigMap, Secret, claim template, claim and service account that a pod spec requires."""
    if text(pod, "serviceAccountName"):
        yield Needed("core/v1:ServiceAccount", text(pod, "serviceAccountName"))
    for secret in items(pod, "imagePullSecrets"):
        yield Needed("core/v1:Secret", text(secret, "name"))
    for claim in items(pod, "resourceClaims"):
        if text(claim, "resourceClaimTemplateName"):
            yield Needed("resource.k8s.io/v1:ResourceClaimTemplate", text(claim, "resourceClaimTemplateName"))
        if text(claim, "resourceClaimName"):
            yield Needed("resource.k8s.io/v1:ResourceClaim", text(claim, "resourceClaimName"))
    yield from _of_volumes(pod)
    for container in (*items(pod, "initContainers"), *items(pod, "containers")):
        yield from env_references(items(container, "env"))
        for source in items(container, "envFrom"):
            yield from _of_source(mapping(source, "configMapRef"), mapping(source, "secretRef"))


def env_references(envs: Iterable[Props]) -> list[Needed]:
    """The objects that environment variables get their values from."""
    found: list[Needed] = []
    for env in envs:
        for field, kind in (("secretKeyRef", "core/v1:Secret"), ("configMapKeyRef", "core/v1:ConfigMap")):
            ref = mapping(env, f"valueFrom.{field}")
            if ref and ref.get("optional") is not True:
                found.append(Needed(kind, text(ref, "name"), text(ref, "key")))
    return found


def _of_volumes(pod: Props) -> Iterator[Needed]:
    for volume in items(pod, "volumes"):
        yield from _of_source(mapping(volume, "configMap"), mapping(volume, "secret"))
        if text(volume, "persistentVolumeClaim.claimName"):
            yield Needed("core/v1:PersistentVolumeClaim", text(volume, "persistentVolumeClaim.claimName"))
        for source in items(volume, "projected.sources"):
            yield from _of_source(mapping(source, "configMap"), mapping(source, "secret"))


def _of_source(config_map: Props, secret: Props) -> Iterator[Needed]:
    if config_map and config_map.get("optional") is not True:
        yield Needed("core/v1:ConfigMap", text(config_map, "name"))
    if secret and secret.get("optional") is not True:
        yield Needed("core/v1:Secret", text(secret, "secretName") or text(secret, "name"))


def require(state: CloudState, cluster: str, namespace: str, wanted: Iterable[Needed], where: str) -> None:
    """Raise `ApiError` if one of the wanted objects, or the key in it, is not in the namespace."""
    for reason in missing(state, cluster, namespace, wanted, where):
        raise ApiError(reason)


def missing(state: CloudState, cluster: str, namespace: str, wanted: Iterable[Needed], where: str) -> Iterator[str]:
    """Each wanted object, or key in it, that is not in the namespace."""
    for need in wanted:
        if not need.name or (need.kind == "core/v1:ServiceAccount" and need.name == "default"):
            continue
        resource = state.get(f"kubernetes:{need.kind}", f"{namespace}/{need.name}", cluster)
        if resource is None:
            kind = need.kind.split(":")[1]
            yield f'{where}: pods cannot start: {kind} "{need.name}" not found in namespace {namespace}'
            continue
        keys = {**mapping(resource.outputs, "data"), **mapping(resource.inputs, "stringData")}
        if need.key and need.key not in keys:
            kind = need.kind.split(":")[1]
            yield f"{where}: pods cannot start: no key {need.key} in {kind} {namespace}/{need.name}"


def pools_of(pod: Props) -> list[str]:
    """The node pools that a pod is bound to, by selector or by required affinity."""
    chosen = mapping(pod, "nodeSelector").get(POOL_LABEL)
    found = [chosen] if isinstance(chosen, str) else []
    path = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    for term in items(pod, path):
        for rule in items(term, "matchExpressions"):
            if text(rule, "key") == POOL_LABEL and text(rule, "operator") == "In":
                found.extend(value for value in many(rule, "values") if isinstance(value, str))
    return found

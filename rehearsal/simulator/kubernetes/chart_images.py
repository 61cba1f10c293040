"""Images of the pods that the real charts make, as their templates put them together from values.

Read in the charts' templates and default values: dynamo-platform 0.7.0 (dynamo at efec27f9c), near 1.0.2 (fc2d01d11),
near 1.2.1 (788d3ccd) and near 1.5.1 (2a6da14c, and values of a fork of mid-September 2026) with nats 1.3.2, bitnami
etcd 12.0.18 and grove v0.1.0-alpha.3, alpha.6, alpha.8, fcc3b3bb (about alpha.13); kai-scheduler v0.16.8 and v0.17.0;
nvidia-dra-driver-gpu 25.12.0. All but 0.7.0's own and etcd were also rendered by Helm and compared.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

from rehearsal.simulator.state import ApiError, CloudState
from rehearsal.simulator.values import Props, dig, mapping, text
from rehearsal.simulator.workloads import serving

_HOOK = ("bitnamisecure/git:latest", "alpine/k8s:1.34.1")
"""In the template of 0.7's hook for the MPI ssh key, without a value."""
_KAI = (
    *("admission", "binder", "crd-upgrader", "nodescaleadjuster", "numa-placement-exporter", "operator"),
    *("podgroupcontroller", "podgrouper", "queuecontroller", "resourcereservation", "scalingpod", "scheduler"),
)
_GROVE = {
    "0.7": ("nvidia", "v0.1.0-alpha.3"),
    "1.0": ("ai-dynamo", "v0.1.0-alpha.6"),
    "1.2": ("ai-dynamo", "v0.1.0-alpha.8"),
    "1.5": ("ai-dynamo", "v0.1.0-alpha.13"),
}
"""Folder below ghcr.io, and release, of the Grove in the charts of each line of Dynamo."""
_ETCD_ORIGINAL = ("docker.io", "bitnamilegacy/")
"""Of the etcd chart's own list only the registry and the legacy folder pass (its common.errors.insecureImages)."""


def of_release(chart: str, version: str, values: Props) -> list[str]:
    """Images of the release's pods, hooks and operands; empty for a chart that is not known."""
    if chart == "kai-scheduler":
        registry = text(values, "global.registry") or "ghcr.io/kai-scheduler/kai-scheduler"
        return [f"{registry}/{name}:v{version}" for name in _KAI]
    if chart == "nvidia-dra-driver-gpu":
        defaults = {"repository": "nvcr.io/nvidia/k8s-dra-driver-gpu"}
        return [_joined(_merged(defaults, mapping(values, "image")), f"v{version}")]
    return list(_platform(version, values)) if chart == "dynamo-platform" else []


def refuse_unrecognized(version: str, values: Props) -> None:
    """Bitnami's etcd chart fails to render with images of another registry."""
    off = dig(values, "etcd.enabled") is False
    if not version.startswith("0.") or off or dig(values, "etcd.global.security.allowInsecureImages") is True:
        return
    image = _etcd(values)
    registry, folder = _ETCD_ORIGINAL
    if text(image, "registry") != registry or not text(image, "repository").startswith(folder):
        raise ApiError(
            "execution error at (dynamo-platform/charts/etcd/templates/NOTES.txt): Original containers have been "
            f"substituted for unrecognized ones. Unrecognized images: {text(image, 'registry')}/{_joined(image)}"
        )


def _platform(version: str, values: Props) -> Iterator[str]:
    line = ".".join(version.split(".")[:2])
    early, switch_moved, without_nats = line == "0.7", line in ("1.2", "1.5"), line == "1.5"
    folder, tag = _GROVE[line]
    grove = f"ghcr.io/{folder}/grove"
    manager = {"repository": "nvcr.io/nvidia/ai-dynamo/kubernetes-operator"}
    proxy = {"repository": "gcr.io/kubebuilder/kube-rbac-proxy", "tag": "v0.15.0"}
    below = "dynamo-operator.controllerManager"
    # Also the init container that applies the CRDs from 1.0 on.
    yield _joined(_merged(manager, mapping(values, f"{below}.manager.image")), version)
    if not switch_moved:
        # From 1.2 on the operator guards its metrics itself.
        yield _joined(_merged(proxy, mapping(values, f"{below}.kubeRbacProxy.image")))
    nats = dig(values, "global.nats.install" if switch_moved else "nats.enabled")
    for part, repository, own in (
        ("container", "nats", "2.10.21-alpine"),
        ("reloader", "natsio/nats-server-config-reloader", "0.16.0"),
    ):
        if nats is False or (nats is None and without_nats):
            continue
        image = _merged({"repository": repository, "tag": own}, mapping(values, f"nats.{part}.image"))
        registry = text(image, "registry") or text(values, "nats.global.image.registry")
        yield f"{registry}/{_joined(image)}" if registry else _joined(image)
    enabled = "grove.enabled" if early else "global.grove.install"
    if dig(values, enabled) is True:
        operator = {"repository": f"{grove}/grove-operator", "tag": tag}
        yield _joined(_merged(operator, mapping(values, "grove.image")))
        if without_nats:
            # Dynamo's own values switch the init container on that applies Grove's CRDs.
            installer = {"repository": f"{grove}/grove-install-crds", "tag": tag}
            yield _joined(_merged(installer, mapping(values, "grove.crdInstaller.image")))
        variables: Any = dig(values, "grove.deployment.env") or [{"value": f"{grove}/grove-initc"}]
        # The operator appends its own version.
        yield from (f"{variable['value']}:{tag}" for variable in variables)
    if early:
        etcd = _etcd(values)
        if dig(values, "etcd.enabled") is not False:
            yield f"{text(etcd, 'registry')}/{_joined(etcd)}"
        if dig(values, "dynamo-operator.dynamo.mpiRun.sshKeygen.enabled") is not False:
            yield from _HOOK


def _etcd(values: Props) -> Props:
    defaults = {"registry": "docker.io", "repository": "bitnamilegacy/etcd", "tag": "3.5.18-debian-12-r5"}
    return _merged(defaults, mapping(values, "etcd.image"))


def _joined(image: Props, tag: str = "") -> str:
    return f"{text(image, 'repository')}:{text(image, 'tag') or tag}"


def _merged(defaults: Props, values: Props) -> Props:
    return {**copy.deepcopy(defaults), **{key: value for key, value in values.items() if value is not None}}


def pulled(state: CloudState) -> dict[str, list[str]]:
    """Every image that pods of a cloud's clusters run, with the ids of the releases and objects that name it."""
    found: dict[str, list[str]] = {}
    for resource in state.find(where=lambda resource: resource.kind.startswith("kubernetes:")):
        if resource.kind == serving.RELEASE:
            chart, version = text(resource.outputs, "status.chart"), text(resource.outputs, "status.version")
            names = of_release(chart, version, mapping(resource.inputs, "values"))
        else:
            names = list(_named(resource.outputs))
        for name in names:
            found.setdefault(name, []).append(f"{resource.kind} {resource.id}")
    return found


def _named(value: object) -> Iterator[str]:
    """Images of the containers in an object."""
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, object]", value).items():
            if key == "image" and isinstance(inner, str):
                yield inner
            else:
                yield from _named(inner)
    elif isinstance(value, (list, tuple)):
        for inner in cast("list[object]", value):
            yield from _named(inner)

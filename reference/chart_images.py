"""Images of the Helm charts that the program installs, and the values that move each to a mirror.

Read in the charts at the tags of the releases, and for Dynamo 0.7.0 and 1.0.1 in their published values: dynamo at
efec27f9c, fc2d01d11 (near 1.0.2), 788d3ccd (near 1.2.1) and 2a6da14c with the values of a fork of mid-September 2026
(near 1.5.1), nats-io/k8s nats-1.3.2, bitnami etcd 12.0.18, grove v0.1.0-alpha.3, alpha.6, alpha.8 and fcc3b3bb (about
alpha.13), KAI-Scheduler v0.16.8 and v0.17.0, k8s-dra-driver-gpu v25.12.0. All but 0.7.0's own and etcd were rendered by
Helm with these values: no image of hooks, operands and containers stayed behind, and no value that nothing reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from reference import dra_driver, images, kai, nats
from reference.dynamo import DynamoProfile
from reference.mirrors import ImageMirrors
from reference.platform_parts import OWN, PlatformParts

Form = Literal["repository", "reference", "folder", "parts", "variable", "fixed"]
"""How the value at `path` names an image: its repository without a tag; all of it; the folder of several images; a
mapping with `registry` and `repository`; a list of environment variables whose only entry has the repository; or not
at all, because the chart has no value for it."""

INIT_CONTAINER: Final = "GROVE_INIT_CONTAINER_IMAGE"
"""Variable of Grove's operator; it appends its own version as the tag."""

_KAI_NAMES: Final = (
    *("operator", "scheduler", "binder", "admission", "podgrouper", "podgroupcontroller", "queuecontroller"),
    *("nodescaleadjuster", "scalingpod", "resourcereservation", "numa-placement-exporter", "crd-upgrader"),
)
"""KAI's operator starts most of them; `crd-upgrader` runs in all hooks."""


@dataclass(frozen=True)
class ChartImage:
    """One image of a chart."""

    image: str
    """As the chart names it without a mirror."""
    path: str
    """Path of the value that names it."""
    form: Form = "repository"
    runs: bool = True
    """Whether a pod of this program's installation runs it."""


def of_platform(profile: DynamoProfile, parts: PlatformParts = OWN) -> tuple[ChartImage, ...]:
    """Images of `dynamo-platform` as the program installs it: with Grove, NATS and etcd where the release uses
    them, unless they are somebody else's; without KAI.
    """
    manager, operator = "dynamo-operator.controllerManager", "nvcr.io/nvidia/ai-dynamo/kubernetes-operator"
    found = [
        ChartImage(f"{operator}:{profile.version}", f"{manager}.manager.image.repository"),
        ChartImage(f"{profile.grove}/grove-operator:{profile.grove_version}", "grove.image.repository"),
        ChartImage(f"{profile.grove}/grove-initc:{profile.grove_version}", "grove.deployment.env", "variable"),
    ]
    if profile.metrics_proxy:
        proxy = "gcr.io/kubebuilder/kube-rbac-proxy:v0.15.0"
        found.append(ChartImage(proxy, f"{manager}.kubeRbacProxy.image.repository"))
    if profile.installs_grove_crds:
        installer = f"{profile.grove}/grove-install-crds:{profile.grove_version}"
        found.append(ChartImage(installer, "grove.crdInstaller.image.repository"))
    if profile.needs_nats:
        found += [
            ChartImage(f"nats:{nats.TAG}", "nats.container.image.repository"),
            ChartImage("natsio/nats-server-config-reloader:0.16.0", "nats.reloader.image.repository"),
            ChartImage("natsio/nats-box:0.14.5", "nats.natsBox.container.image.repository", runs=False),
        ]
    if profile.values_style == "subcharts":
        found += [
            ChartImage("docker.io/bitnamilegacy/etcd:3.5.18-debian-12-r5", "etcd.image", "parts"),
            ChartImage("python:3.12-slim", "dynamo-operator.dynamo.internalImages.debugger", "reference", runs=False),
        ]
    hooks = (ChartImage(image, "", "fixed") for image in profile.ssh_key_images)
    return (*(image for image in found if image.path.partition(".")[0] not in parts.adopted), *hooks)


def of_kai(version: str) -> tuple[ChartImage, ...]:
    """Images of KAI's chart, hooks and operands."""
    return tuple(
        ChartImage(f"{kai.IMAGES}/{name}:{kai.tag(version)}", "global.registry", "folder") for name in _KAI_NAMES
    )


def of_dra_driver(version: str) -> tuple[ChartImage, ...]:
    """Images of the DRA driver's chart; the daemons of ComputeDomains run the same one."""
    return (ChartImage(f"{dra_driver.IMAGE}:v{version}", "image.repository"),)


def moved(values: Mapping[str, Any], found: Iterable[ChartImage], mirrors: ImageMirrors) -> dict[str, Any]:
    """Helm values with which every image that has a mirror comes from there; the others stay the chart's own."""
    result = dict(values)
    for image in found:
        target = mirrors.of(image.image)
        if target == image.image or image.form == "fixed":
            continue
        repository = images.repository(target)
        match image.form:
            case "repository":
                _put(result, image.path, repository)
            case "reference":
                _put(result, image.path, target)
            case "folder":
                _put(result, image.path, repository.rpartition("/")[0])
            case "variable":
                # Helm replaces lists as a whole.
                _put(result, image.path, [{"name": INIT_CONTAINER, "value": repository}])
            case "parts":
                registry, _, path = repository.partition("/")
                _put(result, f"{image.path}.registry", registry)
                _put(result, f"{image.path}.repository", path)
                # Bitnami's charts refuse images of other registries: "Unrecognized images" (bitnami/charts 30850).
                chart = image.path.partition(".")[0]
                _put(result, f"{chart}.global.security.allowInsecureImages", True)
    return result


def _put(values: dict[str, Any], path: str, value: object) -> None:
    """Set a value by its path, in copies of the mappings on the way."""
    first, _, rest = path.partition(".")
    if not rest:
        values[first] = value
        return
    inner = dict(cast("Mapping[str, Any]", values.get(first) or {}))
    _put(inner, rest, value)
    values[first] = inner

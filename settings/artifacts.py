"""Images and charts that an environment needs from elsewhere, from its settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reference import chart_images, charts, dra_driver, gib, images, kai
from reference.dynamo import CHARTS
from reference.machines import A4X
from reference.registry import NVCR, PYTHON_IMAGE
from settings.model import CreateCluster, CreateDraDriver, CreateDynamo, CreateKai, Settings

AMD64: Final = "amd64"
"""Architecture of system nodes."""
_GPU: Final = (A4X.architecture,)


@dataclass(frozen=True)
class Image:
    """An image for one purpose."""

    source: str
    """As its publisher or the config names it."""
    target: str
    """As pods name it: in the mirror, if its registry has one."""
    purpose: str
    architectures: tuple[str, ...]
    """Of the nodes that it runs on."""
    key: str = ""
    """Key of the config that names another one; empty if there is none."""


@dataclass(frozen=True)
class Chart:
    """A Helm chart."""

    name: str
    version: str
    source: str
    """At its publisher, as Helm writes it."""
    target: str
    """Where it is fetched from."""


def images_of(settings: Settings) -> list[Image]:
    """Every image that pods of the environment run; one that two parts run is in the list twice."""
    mirrors = settings.mirrors
    return [
        Image(source, mirrors.of(source), purpose, architectures, key)
        for source, purpose, architectures, key in _sources(settings)
    ]


def used_mirrors(settings: Settings) -> list[str]:
    """The mirrors that images of the environment come from."""
    return sorted({place for image in images_of(settings) if (place := settings.mirrors.place_of(image.target))})


def image_patterns(settings: Settings) -> list[str]:
    """What the images of the environment are called, as Binary Authorization compares names: everything in its mirrors,
    and every version of each image that is not mirrored.
    """
    found: set[str] = set()
    for image in images_of(settings):
        place = settings.mirrors.place_of(image.target)
        name = image.target.partition("@")[0]
        bare = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        found.add(f"{place}/**" if place else f"{bare}*")
    return sorted(found)


_Source = tuple[str, str, tuple[str, ...], str]


def _sources(settings: Settings) -> Iterator[_Source]:
    # With tolerations, system pods run on whichever nodes there are.
    system = (AMD64, *_GPU) if settings.system_on_a4x else (AMD64,)
    yield from _of_stacks(settings, system)
    profile = settings.profile
    if isinstance(settings.cluster, CreateCluster):
        version = settings.node_software.gib_version or profile.gib_version
        yield f"{gib.IMAGE}:{version}", "NCCL gIB installer", _GPU, ""
        yield gib.PAUSE, "NCCL gIB installer", _GPU, ""
    if isinstance(settings.dra_driver, CreateDraDriver):
        for image in chart_images.of_dra_driver(settings.dra_driver.version):
            yield image.image, f"chart {dra_driver.CHART}", (AMD64, *_GPU), ""
    if isinstance(settings.kai, CreateKai):
        for image in chart_images.of_kai(settings.kai.version):
            yield image.image, f"chart {kai.CHART}", system, ""
    if isinstance(settings.dynamo, CreateDynamo):
        for image in chart_images.of_platform(profile, settings.dynamo.parts):
            # The program replaces a hook whose images would be mirrored.
            if image.runs and not (image.form == "fixed" and settings.mirrors.covers(image.image)):
                # Grove's init container runs in the pods of the stacks.
                places = (AMD64, *_GPU) if image.form == "variable" else system
                yield image.image, f"chart {profile.platform_chart}", places, ""


def _of_stacks(settings: Settings, system: tuple[str, ...]) -> Iterator[_Source]:
    for stack in settings.stacks:
        if stack.wait:
            yield PYTHON_IMAGE, f"readiness check of stack {stack.name}", system, ""
        if not settings.namespaces.create:
            yield PYTHON_IMAGE, f"teardown barrier of stack {stack.name}", system, ""
    if settings.stacks and settings.model_bucket.download:
        yield PYTHON_IMAGE, "model download", system, ""
    own = settings.profile.image
    for i, stack in enumerate(settings.stacks):
        yield stack.image or own, f"workers of stack {stack.name}", _GPU, f"stacks[{i}].image"
        beside = (AMD64,) if stack.frontend.placement == "system" else _GPU
        key = f"stacks[{i}].frontend.image"
        yield stack.frontend.image or own, f"frontends of stack {stack.name}", beside, key


def charts_of(settings: Settings) -> list[Chart]:
    """Every chart that the environment installs."""
    mirror = settings.dynamo.chart_source
    found: list[Chart] = []

    def add(publisher: str, name: str, version: str) -> None:
        source = charts.address(publisher, name, version)
        found.append(Chart(name, version, source, charts.address(mirror or publisher, name, version)))

    if isinstance(settings.dra_driver, CreateDraDriver):
        add(dra_driver.CHARTS, dra_driver.CHART, settings.dra_driver.version)
    if isinstance(settings.kai, CreateKai):
        add(kai.REGISTRY, kai.CHART, kai.tag(settings.kai.version))
    if isinstance(settings.dynamo, CreateDynamo):
        profile = settings.profile
        crds_chart = profile.crds_chart if settings.dynamo.parts.crds else None
        for name in filter(None, (crds_chart, profile.platform_chart)):
            add(CHARTS, name, profile.version)
    return found


def needs_ngc_key(settings: Settings) -> bool:
    """Whether anything is fetched with the NGC key: not if no image comes from nvcr.io itself and charts need no login.

    Without a map of mirrors the key is needed as ever, also if all stacks have images of their own.
    """
    if settings.dynamo.chart_login or not settings.images.mirrors:
        return True
    return any(images.split(image.target)[0] == NVCR for image in images_of(settings))

"""Rules of mirrors: hosts and paths, and images that have none."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Final

from reference import chart_images, gib, images, kai, mirrors
from reference.dynamo import PROFILES
from reference.mirrors import ARTIFACT_REGISTRY, ImageMirrors
from reference.registry import PYTHON_IMAGE
from settings import artifacts
from settings.model import Settings
from validation.problems import HIDDEN, Problem, RuleError

_KEY: Final = "images.mirrors"
_TYPO: Final = 0.75
_SHOWN: Final = 60


def check(settings: Settings) -> Iterator[Problem]:
    """Problems with the map of mirrors, or with what it leaves out."""
    places = settings.images.mirrors
    if places is not None and not places:
        yield Problem(
            _KEY, places, "an empty map mirrors nothing", "remove the key, or map a host: {nvcr.io: HOST/PATH}"
        )
    known = sorted({*_hosts(), *(images.split(image)[0] for image in _named(settings))})
    found = [problem for host, place in (places or {}).items() for problem in _entry(host, place, known)]
    yield from found
    if found:
        return
    yield from _chains(settings.mirrors)
    if settings.dynamo.version in PROFILES:
        yield from _unmapped(settings)


def _key(registry: str) -> str:
    """As `pulumi config set --path` takes it: the name of a registry has dots."""
    shown = HIDDEN if "@" in registry else registry[:_SHOWN]
    return f"{_KEY}[{json.dumps(shown)}]"


def _entry(registry: str, place: str, known: Sequence[str]) -> Iterator[Problem]:
    key = _key(registry)
    try:
        mirrors.check_place(place, registry, key)
        mirrors.check_registry(registry, place, key)
    except RuleError as error:
        yield Problem(error.key, error.value, error.rule, error.fix)
        return
    host = registry.partition("/")[0]
    close = difflib.get_close_matches(host, known, n=1, cutoff=_TYPO)
    if host not in known and close:
        rule = "no image of this program comes from this registry"
        yield Problem(key, place, rule, f"did you mean {close[0]}? images come from {', '.join(known)}")


def _named(settings: Settings) -> Iterator[str]:
    """Images that the config names."""
    for stack in settings.stacks:
        yield from filter(None, (stack.image, stack.frontend.image))


def _chains(places: ImageMirrors) -> Iterator[Problem]:
    """A mirror in a registry that has a mirror elsewhere: an image would get stuck on the way."""
    for registry, place in places.places.items():
        beyond = places.moved(f"{place}/")
        if beyond is not None and beyond.partition("/")[0] != place.partition("/")[0]:
            host = place.partition("/")[0]
            yield Problem(
                _key(registry),
                place,
                f"an image is looked up once, and {host} has a mirror itself: {beyond.rstrip('/')}",
                f"name the place in {beyond.partition('/')[0]} that holds the images of {registry}",
            )


def _unmapped(settings: Settings) -> Iterator[Problem]:
    if not settings.images.only_mirrors:
        return
    outside: dict[str, str] = {}
    for image in artifacts.images_of(settings):
        if not settings.mirrors.covers(image.source):
            outside.setdefault(images.split(image.source)[0], image.source)
    if outside:
        listed = ", ".join(f"{host} ({image})" for host, image in sorted(outside.items()))
        yield Problem(
            _KEY,
            settings.images.mirrors,
            f"with images.onlyMirrors every image comes from a mirror, and these registries have none: {listed}",
            f"map {', '.join(sorted(outside))}, or remove images.onlyMirrors; python -m artifacts lists all images",
        )


def chart_login(settings: Settings) -> Iterator[Problem]:
    """The NGC key goes to NVIDIA only."""
    source = settings.dynamo.chart_source
    host = (source or "").partition("://")[2].partition("/")[0]
    if settings.dynamo.chart_login and ARTIFACT_REGISTRY.fullmatch(host):
        yield Problem(
            "dynamo.chartLogin",
            True,
            f"Artifact Registry takes Google credentials, and the NGC key would be sent to {host}",
            "remove the key, and let the machine that runs Pulumi log in: gcloud auth configure-docker " + host,
        )


def warnings(settings: Settings) -> Iterator[str]:
    """Mirrors that no image uses, neither of this environment nor of others."""
    used = {images.split(image.source)[0] for image in artifacts.images_of(settings)} | set(_hosts())
    idle = [registry for registry in settings.mirrors.places if registry.partition("/")[0] not in used]
    if idle:
        yield f"{_KEY}: no image comes from {', '.join(idle)}."


def _hosts() -> list[str]:
    """Registries of all images that the program can install by itself."""
    found = [PYTHON_IMAGE, gib.IMAGE, gib.PAUSE]
    for profile in PROFILES.values():
        found += [profile.runtime_image, *(image.image for image in chart_images.of_platform(profile))]
    found += [image.image for image in chart_images.of_kai(kai.DEFAULT_VERSION)]
    return sorted({images.split(image)[0] for image in found})

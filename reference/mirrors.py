"""Mirrors of image registries: under which name an image is pulled.

A mirror holds the images of one registry below a path, under their own names. An image is looked up once: what a mirror
names is never looked up again. Digests and tags stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from reference import images
from reference.prerequisites import Prerequisite
from validation.problems import HIDDEN, RuleError

DOCKER_HUB: Final = images.DOCKER_HUB
HUB_CACHE: Final = "mirror.gcr.io"
"""Google's cache of Docker Hub: it holds the same images under the same names, so that a mirror of Docker Hub has
them too."""
ARTIFACT_REGISTRY: Final = re.compile(r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev")
"""Hosts of Artifact Registry, with the location of their repositories."""
GOOGLE: Final = re.compile(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)")
"""Registries that take the caller's Google credentials."""
READER: Final = "roles/artifactregistry.reader"
_HUB_NAMES: Final = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com")
_AR_PARTS: Final = 3
"""Host, project and repository."""


@dataclass(frozen=True)
class ImageMirrors:
    """The mirror of each registry; without any, every image stays as it is."""

    places: Mapping[str, str] = field(default_factory=dict[str, str])
    """Registries, or folders in them, to their mirrors; of several that fit, the longest counts."""

    def of(self, image: str) -> str:
        """The name under which `image` is pulled. One that a mirror holds already, or of no mirrored registry, stays
        as it was written.
        """
        host, path = images.split(image)
        return image if self.holds(image) else self.moved(f"{host}/{path}") or image

    def moved(self, name: str) -> str | None:
        """A name below a registry in its mirror; None if the registry has none."""
        for key in sorted(self.places, key=len, reverse=True):
            if name.startswith(f"{key}/"):
                return self.places[key] + name.removeprefix(key)
        if name.startswith(f"{HUB_CACHE}/"):
            return self.moved(DOCKER_HUB + name.removeprefix(HUB_CACHE))
        return None

    def holds(self, image: str) -> bool:
        """Whether an image's name is already that of a mirror."""
        return any(image.startswith(f"{place}/") for place in self.places.values())

    def covers(self, image: str) -> bool:
        """Whether an image comes from a mirror."""
        return self.holds(self.of(image))

    def place_of(self, image: str) -> str | None:
        """The mirror that holds an image, which is named as pods name it."""
        return max((place for place in self.places.values() if image.startswith(f"{place}/")), key=len, default=None)


def check_registry(registry: str, place: str, key: str) -> None:
    """Raise `RuleError`, with `place` as the value, unless names of images can begin with `registry`."""
    if registry.partition("/")[0] in _HUB_NAMES:
        raise RuleError(key, place, "in names of images Docker Hub is docker.io", f"write {DOCKER_HUB} as the key")
    if not images.PLACE.fullmatch(registry):
        raise RuleError(
            key,
            place,
            "a mirror stands under the host of a registry, or a folder in it, as names of images begin",
            "write the key like nvcr.io, docker.io or us-docker.pkg.dev/gce-ai-infra",
        )


def check_place(place: str, registry: str, key: str) -> None:
    """Raise `RuleError` unless `place` is a path below which the images of `registry` can be pulled."""
    fix = "write HOST/PATH, such as us-docker.pkg.dev/my-project/mirror"
    if "@" in place and "@sha256:" not in place:
        raise RuleError(key, HIDDEN, "a mirror is a host and a path; a password would be in plaintext", fix)
    if "://" in place:
        raise RuleError(key, place, "names of images have no scheme", f"write {place.partition('://')[2].rstrip('/')}")
    if place.endswith("/"):
        raise RuleError(key, place, "the image's name follows after a slash of its own", f"write {place.rstrip('/')}")
    if not images.PLACE.fullmatch(place):
        rule = "a mirror is a registry's host and a path in lower case, without tag and digest"
        raise RuleError(key, place, rule, fix)
    if place == registry:
        raise RuleError(key, place, "this is the registry itself, so nothing is mirrored", "remove the line, or " + fix)
    parts = place.split("/")
    if ARTIFACT_REGISTRY.fullmatch(parts[0]) and len(parts) < _AR_PARTS:
        rule = "Artifact Registry holds images below a project and a repository"
        raise RuleError(key, place, rule, f"write {parts[0]}/PROJECT/REPOSITORY")


@dataclass(frozen=True)
class Repository:
    """A repository of Artifact Registry."""

    project: str
    location: str
    name: str

    def reading(self, account: str) -> str:
        """The command that lets a service account pull."""
        return (
            f"gcloud artifacts repositories add-iam-policy-binding {self.name} --location={self.location} "
            f"--project={self.project} --member='serviceAccount:{account}' --role={READER}"
        )


def repository(place: str) -> Repository | None:
    """The repository of Artifact Registry that a mirror is in; None for another registry."""
    host, *path = place.split("/")
    found = ARTIFACT_REGISTRY.fullmatch(host)
    if found is None or len(path) < _AR_PARTS - 1:
        return None
    if "." in path[0]:
        # A project of a domain: example.com:project is written example.com/project.
        domain, project, *path = path
        return Repository(f"{domain}:{project}", found["location"], path[0]) if path else None
    return Repository(path[0], found["location"], path[1])


def check_name(place: str) -> str:
    """The preflight check of a mirror."""
    return f"mirror {place}"


def prerequisites(mirrors: ImageMirrors, used: Iterable[str], account: str) -> Iterator[Prerequisite]:
    """What a platform team gives for the mirrors that are `used`: the images, and the right of the nodes' account."""
    for place in used:
        registries = ", ".join(sorted(key for key, its in mirrors.places.items() if its == place))
        yield Prerequisite(
            "images.mirrors",
            f"the images of {registries} in {place}: copies, or a remote repository of that registry",
            "python -m artifacts --stack STACK",
            check_name(place),
            "company registry; the list is this program's own",
        )
        found = repository(place)
        if found is not None:
            yield Prerequisite(
                "images.mirrors",
                f"{READER} on {place} for the account of the nodes: pull secrets do not reach every pod",
                found.reading(account),
                check_name(place),
                "Artifact Registry: access control; the charts of KAI, Grove and the DRA driver",
            )

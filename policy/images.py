"""Container images and Helm charts: which version, from where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from policy.rule import (
    UNKNOWN,
    Finding,
    Resource,
    Rule,
    Run,
    Settings,
    at,
    filled,
    is_mapping,
    leaves,
    mappings,
    matches,
    strings,
)

RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_CHARTS: Final = (RELEASE, "kubernetes:helm.sh/v4:Chart")
_EXACT: Final = re.compile(r"v?\d+\.\d+\.\d+([-+][\w.+-]+)?")
_VERSIONED: Final = re.compile(r"-v?\d+\.\d+\.\d+([-+][\w.+-]+)?\.tgz$")
_OWN: Final = "*-docker.pkg.dev/{project}"


@dataclass(frozen=True)
class Image:
    """A reference to a container image."""

    path: str
    """Where it stands in the inputs."""
    repository: str | None
    """With the registry; Docker Hub's where none is written. None if it is not known, or the chart's own."""
    tag: Any
    """May be UNKNOWN."""
    digest: str | None
    chart_chooses: bool = False
    """Whether the chart, which has a version of its own, chooses the tag."""

    def __str__(self) -> str:
        return f"{self.path} = {self.repository or '(of the chart)'}{f':{self.tag}' if self.tag else ''}"


def images(resource: Resource) -> Iterator[Image]:
    """Every image that a Kubernetes object or a chart's values name."""
    if is_chart(resource):
        yield from _of_values(at(resource.inputs, "values"))
    elif resource.type.startswith("kubernetes:"):
        for path, value in leaves(at(resource.inputs, "spec"), ("spec",)):
            # The second is a volume's.
            if (path[-1] == "image" or path[-2:] == ("image", "reference")) and isinstance(value, str) and value:
                yield _parsed(value, ".".join(path))


def is_chart(resource: Resource) -> bool:
    """Whether a resource installs a Helm chart."""
    return resource.type in _CHARTS


def _of_values(values: Any) -> Iterator[Image]:
    """The forms that charts use: `image`, `sidecarImage` as text or parts, `imageRepository` with `imageTag`."""
    everywhere = at(values, "global.imageRegistry") or at(values, "global.registry")
    for path, content in mappings(values, ("values",)):
        for key, value in content.items():
            where = ".".join((*path, str(key)))
            if _ends(key, "image") and isinstance(value, str) and (key == "image" or _is_reference(value)) and value:
                yield _parsed(value, where)
            elif _ends(key, "image") and is_mapping(value):
                yield _of_parts(value, where, everywhere)
            elif _ends(key, "imageRepository") and isinstance(value, str) and value:
                tag = content.get(f"{key.removesuffix('Repository')}Tag")
                yield _of_parts({"repository": value, "tag": tag}, where, everywhere)


def _is_reference(value: str) -> bool:
    """Whether a text under a key such as `sidecarImage` names an image, and not a picture or a word."""
    return "/" in value and "://" not in value and not value.startswith(("/", "."))


def _ends(key: str, word: str) -> bool:
    return key == word or key.endswith(word[0].upper() + word[1:])


def _of_parts(parts: Mapping[str, Any], path: str, everywhere: Any) -> Image:
    folder, name, tag = parts.get("repository"), parts.get("name"), parts.get("tag") or None
    registry = parts.get("registry") or everywhere
    written = "/".join(part for part in (folder, name) if isinstance(part, str) and part)
    digest = parts.get("digest") if isinstance(parts.get("digest"), str) else None
    if isinstance(tag, str):
        tag, _, in_tag = tag.partition("@")
        digest = digest or in_tag or None
    if UNKNOWN in (folder, name, registry) or not written:
        return Image(path, None, tag, digest, chart_chooses=not tag)
    if registry and (parts.get("registry") or not _has_host(written)):
        written = f"{registry}/{written}"
    parsed = _parsed(written, path)
    tag, digest = tag or parsed.tag, digest or parsed.digest
    return Image(path, parsed.repository, tag, digest, chart_chooses=not tag)


def _has_host(repository: str) -> bool:
    first, slash, _ = repository.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def _parsed(reference: str, path: str) -> Image:
    name, _, digest = reference.partition("@")
    head, _, tail = name.rpartition("/")
    last, _, tag = tail.partition(":")
    repository = f"{head}/{last}" if head else last
    return Image(path, repository if _has_host(repository) else f"docker.io/{repository}", tag or None, digest or None)


def _pinned(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    for image in images(resource):
        if not (image.digest or image.chart_chooses) and image.tag in (None, "latest"):
            yield Finding(str(image), "Name a version by tag or digest: pods that start later would run something else")


def _by_digest(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    for image in images(resource):
        if image.digest is None and image.repository is not None and image.tag is not UNKNOWN:
            yield Finding(str(image), "Add @sha256:...: a tag can be moved")


def _allowed(source: str, patterns: Any, run: Run) -> bool:
    """Whether a repository is, or lies below, one of the patterns."""
    return any(matches(source, pattern, below=True) for pattern in filled(patterns, run))


def _image_registry(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    fix = "Mirror it to a registry of the company (images.mirrors), or list its registry in this rule's `registries`"
    for image in images(resource):
        if image.repository is not None and not _allowed(image.repository, settings["registries"], run):
            yield Finding(f"{image.path} = {image.repository}", fix)
    for key in ("imageRegistry", "registry") if is_chart(resource) else ():
        registry = at(resource.inputs, f"values.global.{key}")
        if isinstance(registry, str) and registry and not _may_hold(registry, settings["registries"], run):
            yield Finding(f"values.global.{key} = {registry}", fix)


def _may_hold(registry: str, patterns: Any, run: Run) -> bool:
    """Whether what is allowed can lie in a registry, of which values name only the beginning."""
    parts = registry.rstrip("/").split("/")
    return any(all(map(fnmatchcase, parts, one.split("/"))) for one in filled(patterns, run))


def _chart(resource: Resource) -> str | None:
    """Where a release's chart comes from, without the scheme; None if it is not known, or a local archive.

    A bare name is looked up in the repositories of the caller's own Helm; it is returned as it is.
    """
    chart, repository = at(resource.inputs, "chart"), at(resource.inputs, "repositoryOpts.repo")
    if not isinstance(chart, str) or repository is UNKNOWN:
        return None
    if not repository and "://" not in chart and chart.endswith(".tgz"):
        return None
    return re.sub(r"^\w+://", "", f"{repository.rstrip('/')}/{chart}" if repository else chart)


def _chart_pinned(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    if not is_chart(resource):
        return
    version, chart = at(resource.inputs, "version"), at(resource.inputs, "chart")
    if UNKNOWN not in (version, chart) and not (_EXACT.fullmatch(str(version)) or _VERSIONED.search(str(chart))):
        yield Finding(f"chart = {chart}, version = {version}", "Name one version, such as 1.2.3")


def _chart_source(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    source = _chart(resource) if is_chart(resource) else None
    if source is not None and not _allowed(source, settings["sources"], run):
        yield Finding(
            f"chart = {source}",
            "Mirror the chart (dynamo.chartSource), or list its source in this rule's `sources`",
        )


RULES: Final = (
    Rule("image-pinned", "Images have a tag other than latest, or a digest.", "mandatory", _pinned),
    Rule(
        "image-registry",
        "Images come from allowed registries.",
        "mandatory",
        _image_registry,
        {
            "registries": strings(
                "registries or folders in them, as patterns; {project} is gcp:project",
                "nvcr.io/nvidia",
                "gke.gcr.io",
                "mirror.gcr.io/library",
                "us-docker.pkg.dev/gce-ai-infra",
                _OWN,
                "gcr.io/{project}",
            )
        },
    ),
    Rule("chart-pinned", "Helm charts have one version.", "mandatory", _chart_pinned),
    Rule(
        "chart-source",
        "Helm charts come from allowed sources.",
        "mandatory",
        _chart_source,
        {
            "sources": strings(
                "registries or repositories, as patterns; {project} is gcp:project",
                "helm.ngc.nvidia.com/nvidia",
                "ghcr.io/kai-scheduler",
                "ghcr.io/nvidia",
                _OWN,
            )
        },
    ),
    Rule("image-digest", "Images are named by digest.", "advisory", _by_digest),
)

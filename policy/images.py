"""Container images and Helm charts: which version, from where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from policy.rule import UNKNOWN, Finding, Resource, Rule, Run, Settings, at, is_list, is_mapping, leaves, strings

RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_EXACT: Final = re.compile(r"v?\d+\.\d+\.\d+([-+][\w.+-]+)?")
_VERSIONED: Final = re.compile(r"-v?\d+\.\d+\.\d+([-+][\w.+-]+)?\.tgz$")
_OWN: Final = "*-docker.pkg.dev/{project}"


@dataclass(frozen=True)
class Image:
    """A reference to a container image."""

    path: str
    """Where it stands in the inputs."""
    repository: str
    """With the registry; Docker Hub's where none is written."""
    tag: str | None
    digest: str | None
    chart_chooses: bool = False
    """Whether the chart, which has a version of its own, chooses the tag."""


def images(resource: Resource) -> Iterator[Image]:
    """Every image that a Kubernetes object or a chart's values name."""
    if resource.type == RELEASE:
        yield from _of_values(at(resource.inputs, "values"), ("values",))
    elif resource.type.startswith("kubernetes:"):
        for path, value in leaves(at(resource.inputs, "spec"), ("spec",)):
            if path[-1] == "image" and isinstance(value, str) and value:
                yield _parsed(value, ".".join(path))


def _of_values(values: Any, path: tuple[str, ...]) -> Iterator[Image]:
    if is_list(values):
        for index, inner in enumerate(values):
            yield from _of_values(inner, (*path, str(index)))
    if not is_mapping(values):
        return
    for key, value in values.items():
        here = (*path, str(key))
        if key == "image" and isinstance(value, str) and value:
            yield _parsed(value, ".".join(here))
        elif key == "image" and is_mapping(value) and isinstance(value.get("repository"), str):
            registry, tag, digest = (value.get(name) for name in ("registry", "tag", "digest"))
            written = f"{registry}/{value['repository']}" if isinstance(registry, str) else str(value["repository"])
            parsed = _parsed(written, ".".join(here))
            yield Image(parsed.path, parsed.repository, _text(tag), _text(digest), chart_chooses=not tag)
        else:
            yield from _of_values(value, here)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _parsed(reference: str, path: str) -> Image:
    name, _, digest = reference.partition("@")
    head, _, tail = name.rpartition("/")
    last, _, tag = tail.partition(":")
    repository = f"{head}/{last}" if head else last
    first = repository.partition("/")[0]
    if "/" not in repository or not ("." in first or ":" in first or first == "localhost"):
        repository = f"docker.io/{repository}"
    return Image(path, repository, tag or None, digest or None)


def _pinned(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    for image in images(resource):
        if not (image.digest or image.chart_chooses) and image.tag in (None, "latest"):
            yield Finding(
                f"{image.path} = {image.repository}{f':{image.tag}' if image.tag else ''}",
                "Name a version by tag or digest: pods that start later would run something else",
            )


def _by_digest(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    for image in images(resource):
        if image.digest is None:
            tag = f":{image.tag}" if image.tag else ""
            yield Finding(f"{image.path} = {image.repository}{tag}", "Add @sha256:...: a tag can be moved")


def _allowed(source: str, patterns: Any, run: Run) -> bool:
    """Whether a repository is, or lies below, one of the patterns."""
    project = run.config("gcp:project") or ""
    wanted = [str(pattern).replace("{project}", project).rstrip("/") for pattern in patterns]
    return any(fnmatchcase(source, one) or fnmatchcase(source, f"{one}/*") for one in wanted)


def _image_registry(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    for image in images(resource):
        if not _allowed(image.repository, settings["registries"], run):
            yield Finding(
                f"{image.path} = {image.repository}",
                "Mirror it to a registry of the company, or list its registry in this rule's `registries`",
            )


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
    if resource.type != RELEASE:
        return
    version, chart = at(resource.inputs, "version"), at(resource.inputs, "chart")
    if UNKNOWN not in (version, chart) and not (_EXACT.fullmatch(str(version)) or _VERSIONED.search(str(chart))):
        yield Finding(f"chart = {chart}, version = {version}", "Name one version, such as 1.2.3")


def _chart_source(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    source = _chart(resource) if resource.type == RELEASE else None
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

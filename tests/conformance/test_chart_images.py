"""The table of the charts' images, and the platform's values, against the charts themselves, rendered by Helm.

Needs `helm` on PATH and the publishers' hosts, or a folder or registry with the charts in DYNAMO_A4X_CHARTS; without,
the tests skip and say so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from components.platform import dra_driver as dra_component
from reference import chart_images, charts, dra_driver, images, kai
from reference.chart_images import ChartImage
from reference.dynamo import CHARTS, PROFILES
from reference.mirrors import ImageMirrors
from reference.platform_parts import PlatformParts

SOURCE = "DYNAMO_A4X_CHARTS"
MIRROR = "mirror.example/"
MIRRORS = ImageMirrors({host: f"{MIRROR}{host}" for host in ("nvcr.io", "ghcr.io", "docker.io", "gcr.io")})
_VARIABLES = (chart_images.INIT_CONTAINER, "IMAGE_NAME")
_PARTS = frozenset({"repository", "name", "tag"})

if shutil.which("helm") is None:
    pytest.skip("no helm on PATH: no chart is rendered, and no value of the platform tried", allow_module_level=True)

RELEASES: list[tuple[str, str, str, tuple[ChartImage, ...], Mapping[str, Any]]] = [
    *((kai.REGISTRY, kai.CHART, kai.tag(version), chart_images.of_kai(version), kai.values([])) for version in kai.RUN),
    (
        dra_driver.CHARTS,
        dra_driver.CHART,
        dra_driver.DEFAULT_VERSION,
        chart_images.of_dra_driver(dra_driver.DEFAULT_VERSION),
        dra_component.values([], []),
    ),
    *(
        (
            CHARTS,
            profile.platform_chart,
            version,
            chart_images.of_platform(profile),
            profile.platform_values(None, [], ssh_secret="own" if profile.ssh_key_images else None),
        )
        for version, profile in PROFILES.items()
    ),
]


def test_each_rendered_chart_has_exactly_the_images_of_the_table_all_in_the_mirror(tmp_path: Path) -> None:
    unreached: list[str] = []
    for publisher, chart, version, table, values in RELEASES:
        archive = _fetched(publisher, chart, version, tmp_path)
        if isinstance(archive, str):
            unreached.append(archive)
            continue
        chosen = tmp_path / "values.yaml"
        chosen.write_text(yaml.safe_dump(chart_images.moved(values, table, MIRRORS)), encoding="utf-8")
        # Like a cluster of GKE with KAI, for charts that look before they render.
        cluster = ["--kube-version", "1.34.0", "--api-versions", "resource.k8s.io/v1/DeviceClass"]
        done = _helm("template", "x", str(archive), "--namespace", "n", "--values", str(chosen), *cluster)
        assert done.returncode == 0, (chart, version, done.stderr)
        found = {images.repository(image) for image in _images(done.stdout)}
        installed = [image for image in table if image.runs and image.form != "fixed"]
        assert {image for image in found if not image.startswith(MIRROR)} == set(), (chart, version)
        assert found == {images.repository(MIRRORS.of(image.image)) for image in installed}, (chart, version)
    if unreached:
        pytest.skip(
            f"{len(unreached)} of {len(RELEASES)} charts not rendered; {SOURCE} may name a mirror: {unreached[0]}"
        )


def test_each_value_of_the_platform_is_one_that_a_template_reads(tmp_path: Path) -> None:
    """Another value renders something else, or not at all."""
    unreached: list[str] = []
    for version, profile in PROFILES.items():
        archive = _fetched(CHARTS, profile.platform_chart, version, tmp_path)
        if isinstance(archive, str):
            unreached.append(archive)
            continue
        shapes: list[dict[str, Any]] = [
            {"storage_class": "fast", "pod_metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}},
            {"kai": False, "parts": PlatformParts(grove=False, crds=False, nats="nats://n:4222")},
        ]
        for shape in shapes:
            values = profile.platform_values("secret", [{"key": "k", "operator": "Exists"}], **shape)
            rendered = _platform(archive, values, tmp_path)
            assert rendered, (version, shape)
            unread = {
                ".".join(path)
                for path, value in _leaves(values)
                if _platform(archive, _with(values, path, _another(value)), tmp_path) == rendered
            }
            # What is installed is enabled.
            assert unread <= {"global.grove.enabled"}, (version, shape)
    if unreached:
        pytest.skip(f"{len(unreached)} of {len(PROFILES)} charts not tried; {SOURCE} may name a mirror: {unreached[0]}")


def _platform(archive: Path, values: Mapping[str, Any], folder: Path) -> str:
    """What the chart renders, without hashes of the text itself; nothing, if it fails."""
    chosen = folder / "tried.yaml"
    chosen.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
    done = _helm("template", "x", str(archive), "--namespace", "n", "--values", str(chosen), "--kube-version", "1.34.0")
    return re.sub(r"checksum/\S+: .*", "", done.stdout) if done.returncode == 0 else ""


def _leaves(values: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(values, Mapping) and values:
        for key, inner in cast("Mapping[str, object]", values).items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, values


def _with(values: Mapping[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    first, *rest = path
    return {**values, first: _with(values[first], tuple(rest), value) if rest else value}


def _another(value: object) -> object:
    match value:
        case bool():
            return not value
        case str():
            return f"{value}-x"
        case _:
            return [{"name": "another", "key": "another", "operator": "Exists"}]


def _fetched(publisher: str, chart: str, version: str, target: Path) -> Path | str:
    """The chart's archive, or why there is none."""
    address = charts.address(os.environ.get(SOURCE) or publisher, chart, version)
    if Path(address).is_file():
        return Path(address)
    done = _helm("pull", address, "--destination", str(target), *(["--version", version] if "oci" in address else []))
    if done.returncode != 0:
        return f"{address}: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}"
    return next(target.glob(f"{chart}-*{version.lstrip('v')}*.tgz"))


def _helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - no input of others
        ["helm", *arguments],  # noqa: S607 - the user's own
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _images(rendered: str) -> set[str]:
    """Images of containers, of operands in configurations, and in variables that operators build pods from."""
    documents: list[Any] = list(yaml.safe_load_all(rendered))
    # KAI's configuration is an object in a ConfigMap, which a hook applies.
    for document in [one for one in documents if one and one["kind"] == "ConfigMap"]:
        for text in (document.get("data") or {}).values():
            try:
                documents += [one for one in yaml.safe_load_all(str(text)) if isinstance(one, dict)]
            except yaml.YAMLError:
                continue
    return set(_walk(documents))


def _walk(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _walk(inner)
    elif isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        if fields.get("name") in _VARIABLES and isinstance(fields.get("value"), str):
            yield fields["value"]
        for key, inner in fields.items():
            if key.lower().endswith("image") and isinstance(inner, str) and inner:
                yield inner
            elif isinstance(inner, Mapping) and set(inner) >= _PARTS:
                yield f"{inner['repository']}/{inner['name']}:{inner['tag']}"
            else:
                yield from _walk(inner)

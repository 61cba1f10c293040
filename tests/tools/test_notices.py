"""THIRD_PARTY.md names everything that the program installs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.simulator.kubernetes.helm import chart_of
from tests.recorder import run_program
from tools import notices
from tools.requirement_files import ROOT, pins, sources

PAGE = notices.DOCUMENT.read_text(encoding="utf-8")


def _images(value: Any) -> Iterator[str]:
    """Images of containers, without tag or digest."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "image" and isinstance(inner, str):
                path, _, name = inner.partition("@")[0].rpartition("/")
                yield f"{path}/{name.partition(':')[0]}"
            yield from _images(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _images(inner)


def test_the_page_is_what_its_tool_writes() -> None:
    assert notices.document() == PAGE, "run: make generated"


def test_every_locked_package_has_a_row_with_a_licence() -> None:
    listed = {(work.name, work.version): work.licence for work in notices.rows(PAGE)}
    for source in sources():
        for pin in pins(source.with_suffix(".txt").read_text(encoding="utf-8")):
            if "win32" not in pin.marker:
                assert listed.get((pin.name, pin.version)), f"{source.name}: {pin.name}"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_chart_and_image_of_an_environment_has_a_row(stack: str) -> None:
    named = " ".join(work.name.replace("`", "") for work in notices.rows(PAGE))
    resources = run_program(stack).resources
    charts = {chart_of(r.inputs)[0] for r in resources if r.type == "kubernetes:helm.sh/v3:Release"}
    images = {image for resource in resources for image in _images(resource.inputs)}
    assert len(charts) >= 3
    assert len(images) >= 2
    assert [name for name in (*charts, *images) if name.removesuffix(":") not in named] == []


def test_what_no_licence_text_was_seen_of_says_so() -> None:
    images = PAGE[PAGE.index("## Images") :]
    assert all(notices.UNVERIFIED in line for line in images.splitlines() if line.startswith(("| `", "| deepseek")))


def test_a_package_that_is_installed_nowhere_is_named_with_the_fix(tmp_path: Path) -> None:
    for stem in ("requirements", "requirements-preflight", "requirements-dev"):
        (tmp_path / f"{stem}.in").touch()
        (tmp_path / f"{stem}.txt").write_text("nobody-has-this==1.0\n", encoding="utf-8")
    with pytest.raises(notices.MissingError, match=r"nobody-has-this==1\.0 .* install .*requirements\.txt"):
        list(notices.packages(tmp_path))
    kept = "| nobody-has-this | 1.0 | MIT | https://example.com |"
    (_, works), *_ = notices.packages(tmp_path, kept)
    assert [work.licence for work in works] == ["MIT"]


def test_a_folder_with_requirements_of_its_own_has_a_table_of_its_own(tmp_path: Path) -> None:
    for stem in ("requirements", "requirements-preflight", "requirements-dev", "policy/requirements"):
        (tmp_path / stem).parent.mkdir(exist_ok=True)
        (tmp_path / f"{stem}.in").touch()
        (tmp_path / f"{stem}.txt").write_text("pydantic==1.0\n", encoding="utf-8")
    found = dict(notices.packages(tmp_path))
    assert [len(works) for works in found.values()] == [1, 0, 0, 1]
    assert list(found)[-1] == "Python packages of `policy/`"


def test_the_engine_is_the_one_of_its_module() -> None:
    assert f"| {notices.engine_version()} |" in PAGE
    assert (ROOT / "THIRD_PARTY.md").exists()

"""What is installed: exact, with hashes, the same release of Pulumi everywhere, and kept up to date by one tool."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from tests import guards
from tests.recorder import ROOT
from tools.requirement_files import included, pins, sources

SOURCES = sources()
LOCKS = [source.with_suffix(".txt") for source in SOURCES]
RENOVATE = json.loads((ROOT / ".github" / "renovate.json").read_text(encoding="utf-8"))
GO_MODULES = sorted([*ROOT.glob("[!.]*/go.mod"), *ROOT.glob("[!.]*/[!.]*/go.mod")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_requirements_are_exact(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    assert "==" in text
    assert guards.loose_requirements(source.name, text) == []


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_what_is_installed_is_what_the_source_asks_for_with_hashes(source: Path) -> None:
    assert guards.stale_lock(source) == []


def test_every_requirement_file_has_a_source() -> None:
    assert len(SOURCES) >= 3
    assert {*ROOT.glob("requirements*.txt"), *ROOT.glob("[!.]*/requirements*.txt")} == set(LOCKS)


def test_files_that_share_an_environment_agree() -> None:
    versions: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for lock in ROOT.glob("requirements*.txt"):
        for pin in pins(lock.read_text(encoding="utf-8")):
            versions[pin.name, pin.marker].add(pin.version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_environment_of_the_makefile_has_the_other_files_inside() -> None:
    makefile = re.sub(r"\\\n\s*", "", (ROOT / "Makefile").read_text(encoding="utf-8"))
    installed = ["requirements-dev.txt", "policy/requirements.txt"]
    assert re.findall(r"install .*?-r (\S+);", makefile) == [name for name in installed for _ in ("uv", "pip")]
    assert re.findall(r"--require-hashes -r (\S+);", makefile) == [name for name in installed for _ in ("uv", "pip")]
    taken = included((ROOT / "requirements-dev.in").read_text(encoding="utf-8"))
    assert {*taken, "requirements-dev.in"} == {source.name for source in ROOT.glob("requirements*.in")}


def test_the_sdk_and_the_engine_are_the_same_release() -> None:
    assert guards.split_releases(ROOT) == []


# --- Renovate ---------------------------------------------------------------------------------------------------------


def _rule(group: str) -> dict[str, object]:
    [rule] = [rule for rule in RENOVATE["packageRules"] if rule.get("groupName") == group]
    return rule


def _matches(patterns: object, name: str) -> bool:
    """Renovate's patterns: `/regex/`, or a glob."""
    assert isinstance(patterns, list)
    return any(
        re.search(pattern[1:-1].replace("\\/", "/"), name) is not None
        if pattern.startswith("/")
        else fnmatch.fnmatchcase(name, pattern)
        for pattern in patterns
    )


def test_sdk_and_engine_come_in_one_pull_request() -> None:
    rule = _rule("Pulumi SDK and engine")
    assert rule["enabled"] is True
    modules = {
        module
        for file in GO_MODULES
        for module in re.findall(r"(github\.com/pulumi/pulumi/\S+) v3", file.read_text(encoding="utf-8"))
    }
    assert {"github.com/pulumi/pulumi/pkg/v3", "github.com/pulumi/pulumi/sdk/v3"} <= modules
    assert [name for name in ("pulumi", *modules) if not _matches(rule["matchPackageNames"], name)] == []
    assert not _matches(rule["matchPackageNames"], "pulumi-gcp")


def test_renovate_reads_every_locked_file_and_can_repeat_its_command() -> None:
    for lock in LOCKS:
        assert _matches(RENOVATE["pip-compile"]["managerFilePatterns"], name_of(lock))
        head = lock.read_text(encoding="utf-8").splitlines()[1]
        assert head == (
            "#    uv pip compile --universal --generate-hashes --python-version=3.11 "
            f"--output-file={lock.name} {lock.stem}.in"
        )
    assert set(RENOVATE["enabledManagers"]) == {"pip-compile", "gomod", "github-actions"}


# --- negative controls ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ["pulumi>=3", "pulumi", "pulumi~=3.1", "pulumi==3.*", "git+https://x/y"])
def test_a_loose_requirement_is_found(entry: str) -> None:
    assert len(guards.loose_requirements("r.in", f"# why\nPyYAML==6.0.3  # x\n{entry}\n")) == 1


@pytest.mark.parametrize(
    ("file", "right", "wrong", "found"),
    [
        ("requirements.in", "pydantic==2.14.3", "pydantic==2.14.2", "pydantic==2.14.2 is missing"),
        ("requirements.in", "pydantic==2.14.3", "", "pydantic==2.14.3 is not from requirements.in"),
        ("requirements.in", "pydantic==2.14.3", "pydantic==2.14.3\nlefthand==1.0", "lefthand==1.0 is missing"),
        ("requirements-dev.txt", "ruff==", "ruff-gone==", "missing; it stands in requirements-dev.in"),
        ("requirements-dev.txt", "--hash=sha256:", "--hash=md5:", "has no hash"),
        ("requirements-dev.txt", "# via pydantic\n", "# via pydantic\n--index-url https://x/simple\n", "an index"),
        ("requirements-dev.txt", "# via pydantic\n", "# via pydantic\n--extra-index-url x\n", "an index"),
    ],
)
def test_a_lock_that_does_not_belong_to_its_source_is_found(
    file: str, right: str, wrong: str, found: str, tmp_path: Path
) -> None:
    for path in (*ROOT.glob("requirements*.in"), *ROOT.glob("requirements*.txt")):
        shutil.copy(path, tmp_path)
    assert guards.stale_lock(tmp_path / "requirements-dev.in") == []
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert right in text
    (tmp_path / file).write_text(text.replace(right, wrong), encoding="utf-8")
    assert any(found in problem for problem in guards.stale_lock(tmp_path / "requirements-dev.in"))


def test_a_source_without_a_lock_is_found(tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("PyYAML==6.0.3\n", encoding="utf-8")
    assert guards.stale_lock(tmp_path / "requirements.in") == [
        "requirements.in: there is no requirements.txt; run make lock"
    ]


@pytest.mark.parametrize("file", ["requirements.in", "rehearsal/engine_build/go.mod"])
def test_an_sdk_that_is_updated_without_its_engine_is_found(file: str, tmp_path: Path) -> None:
    for name in ("requirements.in", "rehearsal/engine_build/go.mod"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert guards.split_releases(tmp_path) == []
    text = (tmp_path / file).read_text(encoding="utf-8")
    (tmp_path / file).write_text(re.sub(r"3\.259\.0", "3.260.0", text, count=1), encoding="utf-8")
    assert any(f"{file} has Pulumi 3.260.0" in line for line in guards.split_releases(tmp_path))

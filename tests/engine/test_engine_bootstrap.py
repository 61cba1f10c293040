"""Where the engine comes from: PATH, the cache, the release, its own module; and what is said when there is none."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from rehearsal import engine
from rehearsal.engine import EngineError

PINNED = engine.VERSION


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache and an empty PATH."""
    monkeypatch.setenv("DYNAMO_A4X_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "cache"


def binary(path: Path, version: str) -> Path:
    """A stand-in for the engine's binary that knows its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho v{version}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def archive(folder: Path) -> Path:
    """A release archive that holds such a binary."""
    content = f"#!/bin/sh\necho v{PINNED}\n".encode()
    target = folder / engine.release_name("Linux", "x86_64")
    with tarfile.open(target, "w:gz") as tar:
        member = tarfile.TarInfo("pulumi/pulumi")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return target


def test_the_version_is_the_pinned_one_of_the_sdk() -> None:
    requirements = (engine._BUILD_FOLDER.parent.parent / "requirements.txt").read_text(encoding="utf-8")
    assert f"pulumi=={PINNED} " in requirements
    modules = (engine._BUILD_FOLDER / "go.mod").read_text(encoding="utf-8")
    assert f"github.com/pulumi/pulumi/pkg/v3 v{PINNED}" in modules


def test_an_engine_on_the_path_comes_first_whatever_its_minor_version(tmp_path: Path) -> None:
    binary(engine.cached(), PINNED)
    binary(tmp_path / "bin" / "pulumi", "3.300.0")
    found = engine.find()
    assert found is not None
    assert (found.version, found.origin) == ("3.300.0", "on PATH")


@pytest.mark.parametrize("version", ["2.25.0", "3.0.0", "4.0.0", "dev"])
def test_an_engine_that_the_automation_api_would_refuse_is_passed_over(tmp_path: Path, version: str) -> None:
    binary(tmp_path / "bin" / "pulumi", version)
    assert engine.find() is None
    binary(engine.cached(), PINNED)
    found = engine.find()
    assert found is not None
    assert found.origin == "from the cache"


def test_a_binary_that_does_not_run_is_no_engine(tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "pulumi"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    assert engine.find() is None


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [("Linux", "x86_64", "linux-x64"), ("Linux", "aarch64", "linux-arm64"), ("Darwin", "arm64", "darwin-arm64")],
)
def test_the_release_is_named_after_the_machine(system: str, machine: str, name: str) -> None:
    assert engine.release_name(system, machine) == f"pulumi-v{PINNED}-{name}.tar.gz"


def test_a_machine_without_a_release_is_named() -> None:
    with pytest.raises(EngineError, match="plan9/mips"):
        engine.release_name("plan9", "mips")


def test_a_release_with_a_wrong_sum_is_refused_and_one_with_the_right_sum_taken(tmp_path: Path) -> None:
    path = archive(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    engine.verify(path, f"{digest}  {path.name}\n")
    engine.verify(path, "0000  another-file\n")
    engine.verify(path, None)
    with pytest.raises(EngineError, match="has the SHA-256"):
        engine.verify(path, f"{'0' * 64}  {path.name}\n")


def test_a_downloaded_release_lands_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = archive(tmp_path).read_bytes()

    def fetch(url: str, target: Path) -> None:
        assert url == f"{engine.RELEASES}/{engine.release_name()}"
        target.write_bytes(source)

    monkeypatch.setattr(engine, "_fetch", fetch)
    monkeypatch.setattr(engine, "_checksums", lambda: None)
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    found = engine.ensure(lambda _: None)
    assert (found.path, found.origin) == (engine.cached(), "downloaded release")
    assert [path.name for path in engine.cached().parent.iterdir()] == ["pulumi"]


def test_a_release_that_fails_its_sum_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = archive(tmp_path).read_bytes()
    monkeypatch.setattr(engine, "_fetch", lambda _, target: target.write_bytes(source))
    monkeypatch.setattr(engine, "_checksums", lambda: f"{'0' * 64}  {engine.release_name()}\n")
    engine.cached().parent.mkdir(parents=True)
    reason = engine.download(engine.cached(), lambda _: None)
    assert "has the SHA-256" in (reason or "")
    assert not list(engine.cached().parent.iterdir())


def offline(*_: object) -> None:
    raise OSError("no route to host")


def test_without_a_release_it_is_built_and_a_failed_build_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "_fetch", offline)
    go = tmp_path / "bin" / "go"
    go.write_text('#!/bin/sh\necho "line one"\necho "no module"\nexit 1\n', encoding="utf-8")
    go.chmod(0o755)
    said: list[str] = []
    with pytest.raises(EngineError, match=r"go build: no module\); install Pulumi") as caught:
        engine.ensure(said.append)
    assert "\n" not in str(caught.value)
    assert any("cannot be downloaded (no route to host)" in line for line in said)
    assert not list(engine.cached().parent.iterdir())


def test_a_build_takes_the_name_only_when_it_is_complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "_fetch", offline)
    go = tmp_path / "bin" / "go"
    # The argument after -o is where the binary goes.
    script = f"""#!/bin/sh
case "$*" in *-mod=readonly*) ;; *) echo "would change go.mod"; exit 1;; esac
while [ "$1" != "-o" ]; do shift; done
printf '#!/bin/sh\\necho v{PINNED}\\n' > "$2"
/bin/chmod 755 "$2"
"""
    go.write_text(script, encoding="utf-8")
    go.chmod(0o755)
    found = engine.ensure(lambda _: None)
    assert (found.version, found.origin) == (PINNED, "built from its Go module")
    assert [path.name for path in engine.cached().parent.iterdir()] == ["pulumi"]


def test_without_go_the_fix_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_fetch", offline)
    with pytest.raises(EngineError, match=r"there is no Go to build it\. Install Pulumi"):
        engine.ensure(lambda _: None)

"""Finds the Pulumi engine, or gets one: from PATH, from the project's cache, as a release, or built from source.

The rehearsal needs only the engine's binary: no language host and no provider plugin. A download or build is put into
the cache under its version, complete or not at all.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VERSION = importlib.metadata.version("pulumi")
"""Version of the installed SDK, which requirements.txt pins, and of the engine."""
RELEASES = "https://get.pulumi.com/releases/sdk"
CHECKSUMS = "https://github.com/pulumi/pulumi/releases/download"
_MODULE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_BUILD_FOLDER = Path(__file__).parent / "engine_build"
_CONNECT_SECONDS = 5.0
_HEARTBEAT_SECONDS = 15.0

Say = Callable[[str], None]


class EngineError(Exception):
    """No engine is available; the text has the reason and the fix."""


@dataclass(frozen=True)
class Engine:
    """An engine that is available."""

    path: Path
    version: str
    origin: str
    """Origin, for the user: `on PATH`, `from the cache`, ..."""

    def __str__(self) -> str:
        return f"Pulumi v{self.version}, {self.origin} ({self.path})"


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The project's cache: `$DYNAMO_A4X_CACHE`, else `dynamo-a4x` in the user's cache folder."""
    environment = os.environ if environment is None else environment
    own = environment.get("DYNAMO_A4X_CACHE")
    if own:
        return Path(own)
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dynamo-a4x"


def cached() -> Path:
    """Path of the engine in the cache."""
    return cache_folder() / "engine" / f"v{VERSION}" / "pulumi"


def find() -> Engine | None:
    """An existing engine: on PATH, else in the cache. Starts no download and no build."""
    on_path = shutil.which("pulumi")
    if on_path is not None:
        version = version_of(Path(on_path))
        if version is not None and _usable(version):
            return Engine(Path(on_path), version, "on PATH")
    path = cached()
    if path.is_file():
        version = version_of(path)
        if version is not None:
            return Engine(path, version, "from the cache")
    return None


def ensure(say: Say) -> Engine:
    """An engine, downloaded or built if necessary; `say` gets progress lines. Raises `EngineError`."""
    found = find()
    if found is not None:
        return found
    target = cached()
    target.parent.mkdir(parents=True, exist_ok=True)
    reason = download(target, say)
    if reason is None:
        return _checked(target, "downloaded release")
    say(f"the engine release cannot be downloaded ({reason}); building it from its Go module")
    build(target, say)
    return _checked(target, "built from its Go module")


def version_of(path: Path) -> str | None:
    """The version that a binary reports, without `v`; None if it does not run."""
    try:
        file = path.stat()
    except OSError:
        return None
    return _reported(path, file.st_mtime_ns, file.st_size)


@cache
def _reported(path: Path, _changed: int, _size: int) -> str | None:
    """Asked once for a file as it is: a quarter of a second each."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        result = subprocess.run(
            [str(path), "version"], capture_output=True, text=True, timeout=60, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip().removeprefix("v") or None


def download(target: Path, say: Say) -> str | None:
    """Download the official release to `target`; returns the reason of a failure, or None."""
    try:
        archive_name = release_name()
    except EngineError as error:
        return str(error)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = Path(folder) / archive_name
        say(f"downloading {RELEASES}/{archive_name}")
        try:
            _fetch(f"{RELEASES}/{archive_name}", archive)
            verify(archive, _checksums())
            unpacked = _unpack(archive, Path(folder))
        except (OSError, tarfile.TarError, EngineError) as error:
            return _short(error)
        unpacked.chmod(0o755)
        unpacked.replace(target)
    return None


def release_name(system: str | None = None, machine: str | None = None) -> str:
    """File name of the release for a machine (default: this one). Raises `EngineError` for others."""
    system, machine = (system or platform.system()).lower(), (machine or platform.machine()).lower()
    processor = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(machine)
    if system not in ("linux", "darwin") or processor is None:
        raise EngineError(f"there is no release for {system}/{machine}")
    return f"pulumi-v{VERSION}-{system}-{processor}.tar.gz"


def verify(archive: Path, checksums: str | None) -> None:
    """Compare an archive with the published SHA-256 sums, if they are available.

    Raises `EngineError` for a wrong sum; an archive that is not in the list is accepted, because TLS has authenticated
    its origin.
    """
    if checksums is None:
        return
    for line in checksums.splitlines():
        parts = line.split()
        if len(parts) == 2 and parts[1].lstrip("*") == archive.name:
            found = hashlib.sha256(archive.read_bytes()).hexdigest()
            if found != parts[0].lower():
                raise EngineError(f"{archive.name} has the SHA-256 {found}, published is {parts[0]}")
            return


def build(target: Path, say: Say) -> None:
    """Build the engine from the module that go.mod pins; go.mod and go.sum are never changed."""
    if shutil.which("go") is None:
        raise EngineError(
            f"no Pulumi engine: none on PATH, none at {target}, the release cannot be downloaded, and there is no Go "
            f"to build it. Install Pulumi {VERSION} (https://www.pulumi.com/docs/install/) or Go 1.25+"
        )
    # Moved to its name only when complete; an interrupted build leaves nothing behind.
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "pulumi"
        link = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
        command = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", link, "-o", str(made), _MODULE]
        log = Path(folder) / "log"
        started = time.monotonic()
        with log.open("wb") as output:
            environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
            process = subprocess.Popen(
                command, cwd=_BUILD_FOLDER, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
            try:
                _wait(process, say, started)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode != 0:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1] if lines else "no output"
            raise EngineError(f"the engine could not be built (go build: {reason}); install Pulumi {VERSION} instead")
        made.replace(target)


def _wait(process: subprocess.Popen[bytes], say: Say, started: float) -> None:
    say("building the engine, once; this takes about 4 minutes on 2 cores")
    while True:
        try:
            process.wait(timeout=_HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            say(f"building the engine: {time.monotonic() - started:.0f} s")
        else:
            return


def _checked(path: Path, origin: str) -> Engine:
    version = version_of(path)
    if version is None:
        path.unlink(missing_ok=True)
        raise EngineError(f"the engine at {path} does not run on this machine; install Pulumi {VERSION} instead")
    return Engine(path, version, origin)


def _usable(version: str) -> bool:
    """Whether the Automation API accepts this version: the same major release, not older than 3.1."""
    try:
        major, minor = (int(part) for part in version.split(".")[:2])
    except ValueError:
        return False
    return major == int(VERSION.split(".", maxsplit=1)[0]) and (major, minor) >= (3, 1)


def _fetch(url: str, target: Path) -> None:
    with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS) as response, target.open("wb") as file:  # noqa: S310 - https, fixed hosts
        shutil.copyfileobj(response, file)


def _checksums() -> str | None:
    url = f"{CHECKSUMS}/v{VERSION}/pulumi-{VERSION}-checksums.txt"
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS) as response:  # noqa: S310 - https, fixed host
            return response.read().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.isfile() and Path(member.name).name == "pulumi":
                member.name = "unpacked"
                tar.extract(member, folder, filter="data")
                return folder / "unpacked"
    raise EngineError(f"{archive.name} holds no pulumi binary")


def _short(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error)

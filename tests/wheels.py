"""The released wheels of Dynamo and of SGLang, fetched once into the project's cache (`DYNAMO_A4X_CACHE`)."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from rehearsal.engine import cache_folder
from serving_rules import arguments
from tools import sglang_arguments

# The wheels alone, and what their frontend and mocker import: 1.6.1 also wants a simulator that is on no public index.
NEEDS: Final = (
    "aiohttp==3.14.5",
    "kubernetes==32.0.1",
    "msgspec==0.22.0",
    "prometheus-client==0.26.0",
    "pydantic<=2.13",
    "pyzmq==27.3.0",
    "transformers==5.24.0",
    "uvloop==0.23.0",
)
INSTALL_SECONDS: Final = 600
NO_NETWORK: Final = re.compile(r"Retrying|timed out|from versions: none")
"""What pip says when it cannot reach an index, or has none."""


def of_dynamo(release: str) -> str:
    """The value of PYTHONPATH with which a release of Dynamo runs; the test is skipped where it cannot be fetched."""
    wheels = (f"ai-dynamo=={release}", f"ai-dynamo-runtime=={release}")
    found = (_installed(f"dynamo-{release}", *wheels, whole=False), _installed("dynamo-needs", *NEEDS, whole=True))
    return os.pathsep.join(map(str, found))


@cache
def _installed(name: str, *packages: str, whole: bool) -> Path:
    """The folder that holds `packages`, there whole or not at all; `whole` with what they depend on."""
    folder = cache_folder() / name / f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--only-binary", ":all:", "--target", str(partial), *([] if whole else ["--no-deps"]), *packages]
        try:
            ran = subprocess.run(  # noqa: S603 - pip, with names from above
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            shutil.rmtree(partial, ignore_errors=True)
            pytest.skip(f"pip did not fetch {', '.join(packages)} within {INSTALL_SECONDS} s")
        if ran.returncode:
            shutil.rmtree(partial, ignore_errors=True)
            pytest.skip(f"pip cannot fetch {', '.join(packages)}: {ran.stderr.strip()[-400:]}")
        partial.rename(folder)
    return folder


def of_sglang(release: str, files: re.Pattern[str]) -> Path:
    """The folder with those of a release's `files` that its wheel has: the one that its catalog was made from.

    The test is skipped where the wheel cannot be fetched.
    """
    found = _of_sglang(release, files)
    if isinstance(found, str):
        pytest.skip(f"no network, so no SGLang {release}: {found}")
    return found


@cache
def _of_sglang(release: str, files: re.Pattern[str]) -> Path | str:
    """The folder, or what pip said."""
    folder = cache_folder() / f"sglang-{release}-{hashlib.sha256(files.pattern.encode()).hexdigest()[:8]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "sglang.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            try:
                wheel = sglang_arguments.download(f"sglang=={release}", Path(temporary))
            except subprocess.CalledProcessError as error:
                if NO_NETWORK.search(error.stderr):
                    return error.stderr.strip()[-300:]
                raise AssertionError(error.stderr) from error
            header = json.loads((arguments.CATALOG / f"sglang-{release}.json").read_text(encoding="utf-8"))["header"]
            found = {"wheel": wheel.name, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
            assert found == header, "not the wheel that the catalog was made from"
            extracted = Path(temporary) / "files"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(extracted, [name for name in archive.namelist() if files.fullmatch(name)])
            extracted.rename(folder)
    return folder

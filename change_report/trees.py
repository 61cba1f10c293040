"""The two checkouts that are compared: the base from Git, the change as it lies in the working directory."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PIN: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
_HASH: Final = re.compile(r"--hash=(\S+)")
_SECONDS: Final = 120


class TreeError(Exception):
    """A checkout cannot be had. The text has the reason and the fix."""


@dataclass(frozen=True)
class Tree:
    """A checkout of the project."""

    root: Path
    commit: str
    """For the reader: an abbreviated commit, with a note if files differ from it."""

    @property
    def stacks(self) -> list[str]:
        """Names of its environments, from the stack files."""
        return sorted(
            path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in self.root.glob("Pulumi.*.yaml")
        )

    @property
    def packages(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        """Pinned packages by requirements file: version, and a digest of the hashes."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for path in sorted((*self.root.glob("requirements*.txt"), *self.root.glob("*/requirements*.txt"))):
            content = path.read_text(encoding="utf-8", errors="replace")
            pins = list(_PIN.finditer(content))
            ends = [*(pin.start() for pin in pins[1:]), len(content)]
            found[str(path.relative_to(self.root))] = {
                pin[1].lower(): {"version": pin[2], "hashes": _digest(content[pin.end() : end])}
                for pin, end in zip(pins, ends, strict=True)
            }
        return found


def _digest(lines: str) -> str:
    """A short digest of the hashes below a pin; empty if there are none."""
    hashes = sorted(_HASH.findall(lines))
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:12] if hashes else ""


def head(root: Path) -> Tree:
    """The project as it lies in `root`, with what is not committed."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD", fix="run it in a Git checkout of the project")
    if not (root / "Pulumi.yaml").is_file():
        raise TreeError(f"{root} has no Pulumi.yaml; run it in a checkout of the project")
    changed = _git(root, "status", "--porcelain", "--untracked-files=normal", fix="")
    return Tree(root, f"{commit} with changes that are not committed" if changed else commit)


def base(root: Path, ref: str, target: Path) -> Tree:
    """The commit at which the checkout in `root` left `ref`, unpacked into `target`.

    Raises:
        TreeError: no such commit, or no common one (a shallow clone lacks both).
    """
    fix = f"fetch it with its history: git fetch origin {ref}, git fetch --unshallow (actions/checkout: fetch-depth: 0)"
    if ref.startswith("-") or not ref:
        raise TreeError(f"the base {ref!r} is not the name of a commit or branch; name one, such as main")
    commit = _git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}", fix=fix)
    left = _git(root, "merge-base", commit, "HEAD", fix=fix)
    archive = _run(root, "archive", "--format=tar", left, fix=fix)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(target, filter="data")
    except tarfile.TarError as error:
        raise TreeError(f"commit {left[:12]} holds a file that cannot be unpacked ({error})") from None
    if not (target / "Pulumi.yaml").is_file():
        raise TreeError(f"commit {left[:12]} has no Pulumi.yaml; choose a later base than {ref}")
    return Tree(target, left[:12])


def _git(root: Path, *arguments: str, fix: str) -> str:
    return _run(root, *arguments, fix=fix).decode("utf-8", "replace").strip()


def _run(root: Path, *arguments: str, fix: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - no shell; a ref cannot be an option, see `base`
            ["git", *arguments],  # noqa: S607 - the user's own Git
            cwd=root,
            capture_output=True,
            check=True,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise TreeError("there is no git on PATH; install it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TreeError(f"git {arguments[0]}: {said[0] if said else 'no such commit'}; {fix}") from None
    except subprocess.TimeoutExpired:
        raise TreeError(f"git {arguments[0]} did not end within {_SECONDS} s") from None
    return done.stdout

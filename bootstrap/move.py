"""Move a stack's state to another backend: from this machine into the state bucket.

    python -m bootstrap.move --stack team                 # the bootstrap stack, into the bucket that it has made
    python -m bootstrap.move --stack prod --folder . --to gs://BUCKET --secrets-provider gcpkms://...

`pulumi stack migrate` does the work. It clears pending operations, and killed partway it leaves an empty stack and a
rewritten stack file behind, with which it refuses to start again. So this command checks before it, compares the two
states after it, and can be repeated until both are equal. It never changes the source, which stays complete.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

LOCAL: Final = "file://~"
"""The backend of `pulumi login --local`."""

Run = Callable[[Sequence[str], str], str]
"""Runs `pulumi` with arguments on a backend, and returns its output."""


class MoveError(Exception):
    """The state was not moved. The text says why, and what to do."""


@dataclass(frozen=True)
class Move:
    """What is moved, and where to."""

    folder: Path
    """The folder with Pulumi.yaml and the stack file."""
    stack: str
    source: str
    """URL of the backend that has the state."""
    target: str
    """URL of the backend that gets it."""
    secrets_provider: str
    """Of the stack in the new backend."""

    @property
    def stack_file(self) -> Path:
        """The stack's config, which also says how its secrets are encrypted."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    @property
    def kept_file(self) -> Path:
        """The stack file as it was; exists only during a move."""
        return self.stack_file.with_name(f"{self.stack_file.name}.before-move")


@dataclass(frozen=True)
class State:
    """What a backend has of a stack."""

    resources: list[Any]
    pending: int
    """Operations that began and have no result."""
    secrets_provider: str | None


def move(plan: Move, run: Run) -> Iterator[str]:
    """Move the state; yields a line for each step. Safe to repeat after an interruption at any point.

    Raises:
        MoveError: there is nothing to move, the target has another state, or `pulumi` fails.
    """
    if not plan.stack_file.is_file():
        raise MoveError(f"there is no {plan.stack_file.name} in {plan.folder}; name its folder with --folder")
    before = _exported(plan, plan.source, run)
    _check_source(plan, before)
    yield f"{plan.source}: {len(before.resources)} resources"
    if not _cleared(plan, before, run):
        yield f"{plan.target}: has the same state already"
    else:
        if plan.kept_file.is_file():
            _copy(plan.kept_file, plan.stack_file)
            yield f"{plan.stack_file.name}: as it was before the interrupted move"
        _copy(plan.stack_file, plan.kept_file)
        run(
            ["stack", "migrate", plan.source, plan.stack, "--secrets-provider", plan.secrets_provider, "--yes"],
            plan.target,
        )
        yield f"{plan.target}: state and secrets copied"
    after = _exported(plan, plan.target, run)
    _check_copy(plan, before, after)
    plan.kept_file.unlink(missing_ok=True)
    yield "both states are equal, resource by resource, and the new one has the new secrets provider"


def _exported(plan: Move, backend: str, run: Run) -> State:
    """The stack's state. Secrets are decrypted, for the comparison, and never leave this process."""
    text = run(["stack", "export", "--show-secrets", "--stack", plan.stack], backend)
    try:
        deployment = cast("dict[str, Any]", json.loads(text)["deployment"] or {})
    except (KeyError, TypeError, json.JSONDecodeError):
        raise MoveError("`pulumi stack export` printed no state; does `pulumi` run without a wrapper?") from None
    provider = cast("dict[str, Any]", deployment.get("secrets_providers") or {})
    url = cast("dict[str, str]", provider.get("state") or {}).get("url")
    pending = cast("list[Any]", deployment.get("pending_operations") or [])
    return State(deployment.get("resources") or [], len(pending), url or provider.get("type"))


def _check_source(plan: Move, before: State) -> None:
    if not before.resources:
        raise MoveError(
            f"stack {plan.stack!r} in {plan.source} has no resources, so there is nothing to move; run "
            "`pulumi up` first, or name the backend that has them with --from"
        )
    if before.pending:
        raise MoveError(
            f"stack {plan.stack!r} has {before.pending} pending operations, which a move would lose: an `up` was "
            "killed, and what it was making may exist. Find out first: python -m recovery.pending_creates"
        )


def _cleared(plan: Move, before: State, run: Run) -> bool:
    """Whether the target is free for the state; what an interrupted move left there is removed."""
    listed: Any = json.loads(run(["stack", "ls", "--json"], plan.target))
    if plan.stack not in {str(found["name"]).rpartition("/")[2] for found in cast("list[dict[str, Any]]", listed)}:
        return True
    if plan.kept_file.is_file():
        # A killed move leaves its lock behind as well.
        run(["cancel", plan.stack, "--yes"], plan.target)
    present = _exported(plan, plan.target, run)
    if present.resources:
        if present.resources != before.resources:
            raise MoveError(
                f"{plan.target} has another state of stack {plan.stack!r} ({len(present.resources)} resources), "
                "perhaps because it was changed there after a move; nothing was changed. Go on with it: pulumi login "
                f"{plan.target}. Only if you are sure that it is worthless, remove it with `pulumi stack rm`"
            )
        return False
    # Without --force, `rm` refuses a stack with resources.
    run(["stack", "rm", plan.stack, "--yes", "--preserve-config"], plan.target)
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file, complete or not at all."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.copy2(source, partial)
    partial.replace(target)


def _check_copy(plan: Move, before: State, after: State) -> None:
    if after.resources != before.resources:
        raise MoveError(
            f"the state in {plan.target} differs from that in {plan.source}, which is unchanged: somebody may have "
            "changed the stack meanwhile. Run this command again"
        )
    if after.secrets_provider != plan.secrets_provider:
        raise MoveError(
            f"the secrets in {plan.target} are encrypted by {after.secrets_provider}; change that: PULUMI_BACKEND_URL="
            f"{plan.target} pulumi stack change-secrets-provider --stack {plan.stack} {plan.secrets_provider}"
        )


def outputs(folder: Path, stack: str, source: str, run: Run) -> tuple[str, str]:
    """Backend and secrets provider that a bootstrap stack has made.

    Raises:
        MoveError: it has none.
    """
    try:
        made: Any = json.loads(run(["stack", "output", "--json", "--stack", stack], source))
        return str(made["variables"]["PULUMI_BACKEND_URL"]), str(made["secretsProvider"])
    except (KeyError, TypeError, json.JSONDecodeError):
        raise MoveError(
            f"stack {stack!r} of {folder} has no outputs `variables` and `secretsProvider`: finish `pulumi up` of the "
            "bootstrap program first, or give --to and --secrets-provider"
        ) from None


def pulumi(folder: Path) -> Run:
    """The `pulumi` on PATH, in `folder`."""

    def run(arguments: Sequence[str], backend: str) -> str:
        command = shutil.which("pulumi")
        if command is None:
            raise MoveError("there is no `pulumi` on PATH; install the Pulumi CLI")
        try:
            done = subprocess.run(  # noqa: S603 - the user's own CLI, with arguments of this module
                [command, "--non-interactive", *arguments],
                cwd=folder,
                env={**os.environ, "PULUMI_BACKEND_URL": backend},
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise MoveError(f"`pulumi` cannot be started ({error.strerror or error}); install the Pulumi CLI") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip() or "failed without a message"
            raise MoveError(f"pulumi {' '.join(arguments[:2])} on {backend}: {said}{_hint(said)}")
        return done.stdout

    return run


SCHEMES: Final = ("file", "gs", "s3", "azblob", "http", "https")
"""Of Pulumi's backends (pulumi.com/docs/iac/concepts/state-and-backends)."""


def _check_place(folder: Path, backends: Mapping[str, str]) -> None:
    """Raises `MoveError`. `pulumi` itself tells nothing of a folder, and little of a URL."""
    if not (folder / "Pulumi.yaml").is_file():
        raise MoveError(f"--folder = {folder}: a project's folder has a Pulumi.yaml; name the one of the stack")
    for option, url in backends.items():
        scheme, separator, place = url.partition("://")
        if scheme not in SCHEMES or not separator or not place:
            raise MoveError(
                f"{option} = {url!r}: the URL of a backend begins with one of {', '.join(SCHEMES)}, followed by :// "
                "and a place; write gs://BUCKET, or file://~ for this machine"
            )


_HINTS: Final = {
    "unknown command": "update the Pulumi CLI to the version in requirements.txt or newer",
    "passphrase": "set PULUMI_CONFIG_PASSPHRASE (or PULUMI_CONFIG_PASSPHRASE_FILE) of the old state",
    "cloudkms": "get roles/cloudkms.cryptoKeyEncrypterDecrypter on the key",
    "PermissionDenied": "get roles/cloudkms.cryptoKeyEncrypterDecrypter on the key and roles/storage.objectUser on the "
    "bucket",
    "default credentials": "gcloud auth application-default login",
}
"""Part of a message of `pulumi` -> fix."""


def _hint(said: str) -> str:
    return next((f"\nfix: {fix}" for part, fix in _HINTS.items() if part in said), "")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m bootstrap.move`."""
    parser = argparse.ArgumentParser(prog="python -m bootstrap.move", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stack", required=True, help="the Pulumi stack")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="its project (default: bootstrap/)")
    parser.add_argument("--from", dest="source", default=LOCAL, help=f"URL of its backend now (default: {LOCAL})")
    parser.add_argument("--to", dest="target", help="URL of the new backend (default: from the bootstrap's outputs)")
    parser.add_argument("--secrets-provider", help="of the stack there (default: from the bootstrap's outputs)")
    options = parser.parse_args(argv)
    folder: Path = options.folder.resolve()
    stack, source, run = str(options.stack), str(options.source), pulumi(folder)
    try:
        target, provider = options.target, options.secrets_provider
        _check_place(folder, {"--from": source, **({} if target is None else {"--to": str(target)})})
        if not (target and provider):
            made = outputs(folder, stack, source, run)
            target, provider = target or made[0], provider or made[1]
        for line in move(Move(folder, stack, source, target, provider), run):
            print(line, flush=True)
    except MoveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the old state is complete. Run the same command again", file=sys.stderr)
        return 130
    here = Path(os.path.relpath(folder))
    print(f"next:  pulumi login {target} && pulumi -C {here} stack select {stack}")
    print(f"       commit {here / f'Pulumi.{stack}.yaml'}")
    print(
        f"then:  remove the old copy: PULUMI_BACKEND_URL={source} pulumi -C {here} stack rm {stack} --force "
        "--preserve-config"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

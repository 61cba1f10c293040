"""Forget what was inside a cluster that is gone or out of reach, so that `pulumi destroy` ends.

A destroy asks the cluster to delete every object in it, and hangs or fails when nobody answers. The Kubernetes
provider's own switch (`PULUMI_K8S_DELETE_UNREACHABLE`) does not help: a Helm release is not covered by it
(pulumi-kubernetes issue 2675). The engine's `retainOnDelete` does: it takes a resource out of the state without a
call to its provider. This command sets it, in the state, on everything that lives in the cluster; the destroy that
follows deletes the rest: pools, cluster, networks, bucket, grants.

It changes the state and nothing else, keeps the old state in a file, and says how to put it back.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Run = Callable[[Sequence[str], str | None], str]
"""Runs `pulumi` with arguments and an input, and returns what it prints."""

_PACKAGE = "kubernetes:"


class ForgetError(Exception):
    """The state cannot be read or written. The text says why, in one line."""


def forget(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A copy of an exported `state` in which objects inside the cluster are retained on delete, and their URNs.

    Providers stay as they are (deleting one is no call to the cluster), and so does every resource of another
    package. `protect` is lifted from what is forgotten: there is nothing left to protect.
    """
    changed = copy.deepcopy(state)
    urns: list[str] = []
    for resource in changed.get("deployment", {}).get("resources", []):
        if str(resource.get("type", "")).startswith(_PACKAGE):
            resource["retainOnDelete"] = True
            resource.pop("protect", None)
            urns.append(str(resource["urn"]))
    return changed, urns


def forget_cluster(stack: str, backup: Path, run: Run) -> list[str]:
    """Do it to `stack`; the state as it was is written to `backup` first.

    Raises:
        ForgetError: `backup` exists, an operation of the stack was interrupted, or `pulumi` says no.
    """
    if backup.exists():
        raise ForgetError(f"{backup} exists; name another file for the old state with --backup")
    text = run(["stack", "export", "--stack", stack], None)
    try:
        state: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        raise ForgetError(f"`pulumi stack export` printed no state: {text[:120]!r}") from None
    backup.write_text(text, encoding="utf-8")
    changed, urns = forget(state)
    if urns:
        run(["stack", "import", "--stack", stack], json.dumps(changed))
    return urns


def pulumi(arguments: Sequence[str], text: str | None) -> str:
    """Run the `pulumi` on PATH in the current folder.

    Raises:
        ForgetError: there is none, or it failed.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user's own CLI, with arguments of this module
            ["pulumi", *arguments],  # noqa: S607
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ForgetError("there is no `pulumi` on PATH; install the Pulumi CLI") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ForgetError(f"pulumi {' '.join(arguments[:2])}: {lines[-1] if lines else 'failed without a message'}")
    return done.stdout


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m recovery.forget_cluster`."""
    parser = argparse.ArgumentParser(
        prog="python -m recovery.forget_cluster", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--stack", required=True, help="the Pulumi stack whose cluster is gone")
    parser.add_argument("--backup", type=Path, help="where the old state goes (default: <stack>.before-forget.json)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(argv)
    backup: Path = options.backup or Path(f"{options.stack}.before-forget.json")
    if not options.yes:
        print(
            f"Everything that stack {options.stack!r} has inside its cluster will be forgotten, not deleted.\n"
            "Do this only when the cluster is gone or will be deleted by the destroy that follows."
        )
        if input("Type the stack's name to go on: ") != options.stack:
            print("nothing was changed")
            return 1
    try:
        urns = forget_cluster(options.stack, backup, pulumi)
    except ForgetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(urns)} objects will be forgotten by the next destroy; the old state is in {backup}")
    print(f"next:  pulumi destroy --stack {options.stack}")
    print(f"undo:  pulumi stack import --stack {options.stack} --file {backup}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

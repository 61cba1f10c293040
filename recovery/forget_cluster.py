"""Forget the objects in a cluster that is gone or unreachable, so that `pulumi destroy` can finish.

A destroy asks the cluster to delete every object in it, and hangs or fails if the cluster does not answer. The
Kubernetes provider's own switch (`PULUMI_K8S_DELETE_UNREACHABLE`) does not help: it does not cover Helm releases
(pulumi-kubernetes issue 2675). The engine's `retainOnDelete` does: it removes a resource from the state without a
call to its provider. This command sets it, in the state, on everything in the cluster; the destroy that follows
deletes the rest: pools, cluster, networks, bucket, grants.

It changes only the state, keeps the old one in a file, and says how to restore it.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recovery.state import Run, StateError, export_with_backup, import_state, pulumi

_PACKAGE = "kubernetes:"


def forget(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A copy of an exported `state` in which objects in the cluster are retained on delete, and their URNs.

    Providers are unchanged (deleting one makes no call to the cluster), and so are resources of other packages.
    `protect` is removed from what is forgotten: there is nothing left to protect.
    """
    changed = copy.deepcopy(state)
    urns: list[str] = []
    deployment: dict[str, Any] = changed.get("deployment") or {}
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    for resource in resources:
        if str(resource.get("type", "")).startswith(_PACKAGE):
            resource["retainOnDelete"] = True
            resource.pop("protect", None)
            urns.append(str(resource["urn"]))
    return changed, urns


def forget_cluster(stack: str, backup: Path, run: Run) -> list[str]:
    """Apply `forget` to `stack`; its old state is written to `backup` first.

    Raises:
        StateError: `backup` exists, the state cannot be read, or `pulumi` fails.
    """
    state = export_with_backup(stack, backup, run)
    changed, urns = forget(state)
    if urns:
        import_state(stack, changed, run)
    return urns


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
        if _answer("Type the stack's name to continue: ") != options.stack:
            print("nothing was changed")
            return 1
    try:
        urns = forget_cluster(options.stack, backup, pulumi)
    except StateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(urns)} objects will be forgotten by the next destroy; the old state is in {backup}")
    print(f"next:  pulumi destroy --stack {options.stack}")
    print(f"undo:  pulumi stack import --stack {options.stack} --file {backup}")
    return 0


def _answer(question: str) -> str:
    """What the user types; empty without a terminal."""
    try:
        return input(question)
    except EOFError:
        return ""


if __name__ == "__main__":
    sys.exit(main())

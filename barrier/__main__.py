"""`python3 -m barrier FILE`: lets its own Deployment be deleted once the stack has left nothing behind.

The Deployment has a finalizer that only this process removes. Until then it stays in deletion and Pulumi waits for it,
and deletes neither the platform nor the nodes that clean up what is left. Its pod is an ordinary one meanwhile: it is
replaced if it is evicted, and its token is renewed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from barrier import config, leftovers
from barrier.config import FINALIZER, Config
from readiness import kubernetes
from readiness.fields import Object, inner, text
from readiness.kubernetes import ApiError, Kubernetes

_REQUEST_SECONDS: Final = 20.0
_NAMED: Final = 5
"""Objects that one line of the log names."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="barrier", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path, help="the configuration, a JSON file")
    parser.add_argument("--service-account", type=Path, default=kubernetes.SERVICE_ACCOUNT, metavar="FOLDER")
    given = parser.parse_args(arguments)
    try:
        chosen = config.parse(given.config.read_text(encoding="utf-8"))
        namespace = (given.service_account / "namespace").read_text(encoding="utf-8").strip()
        api = Kubernetes.in_cluster(os.environ, namespace, given.service_account, _REQUEST_SECONDS)
        # What may not be read at the end should fail the `pulumi up` that makes this pod.
        _own(api, chosen)
        leftovers.of(api, chosen.stack)
    except (OSError, ApiError, config.ConfigError) as error:
        _say(f"the teardown barrier cannot start: {error}")
        return 1
    _say(f"waiting until stack {chosen.stack} is deleted")
    while not _is_over(api, chosen):
        time.sleep(chosen.poll_seconds)
    # A pod that ends would be started again until its Deployment is gone.
    while True:
        time.sleep(chosen.poll_seconds)


def _is_over(api: Kubernetes, chosen: Config) -> bool:
    """Whether the Deployment was released: it is in deletion, and the stack has left nothing."""
    try:
        own = _own(api, chosen)
        if not text(own, "metadata", "deletionTimestamp"):
            return False
        left = leftovers.of(api, chosen.stack)
        if not left:
            _say(f"nothing of stack {chosen.stack} is left")
            _release(api, chosen, own)
            return True
    except ApiError as error:
        _say(f"the Kubernetes API says: {error}")
        return False
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    _say(f"{len(left)} objects of stack {chosen.stack} are left: {', '.join(left[:_NAMED])}{more}")
    return False


def _own(api: Kubernetes, chosen: Config) -> Object:
    return api.get("apps/v1", "deployments", chosen.deployment)


def _release(api: Kubernetes, chosen: Config, own: Object) -> None:
    metadata = inner(own, "metadata")
    held = metadata.get("finalizers")
    others = [one for one in cast("list[object]", held) if one != FINALIZER] if isinstance(held, list) else []
    # With the version that was read: a finalizer that somebody adds meanwhile is not lost.
    body = {"metadata": {"finalizers": others, "resourceVersion": text(metadata, "resourceVersion")}}
    api.patch("apps/v1", "deployments", chosen.deployment, body)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""`python3 -m barrier FILE`: idles until SIGTERM, and then ends when its stack has left nothing behind.

The deletion of a Deployment in the foreground is done when its pods have ended. While this pod waits, Pulumi waits, and
deletes neither the platform nor the nodes that clean up what is left.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from barrier import config, remains
from barrier.config import Config
from readiness import kubernetes
from readiness.fields import text
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
    asked_to_end = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        asked_to_end.set()

    signal.signal(signal.SIGTERM, stop)
    try:
        chosen = config.parse(given.config.read_text(encoding="utf-8"))
        namespace = (given.service_account / "namespace").read_text(encoding="utf-8").strip()
        api = Kubernetes.in_cluster(os.environ, namespace, given.service_account, _REQUEST_SECONDS)
    except (OSError, ApiError, config.ConfigError) as error:
        _say(f"the teardown barrier cannot begin: {error}")
        return 1
    _say(f"waiting for the end of stack {chosen.stack}")
    asked_to_end.wait()
    while not _is_over(api, chosen):
        time.sleep(chosen.poll_seconds)
    return 0


def _is_over(api: Kubernetes, chosen: Config) -> bool:
    """Whether this pod may end: the stack has left nothing, or the Deployment stays and another pod will wait."""
    try:
        if _deployment_stays(api, chosen):
            _say("only this pod ends, the Deployment stays")
            return True
        left = remains.of(api, chosen.stack)
    except ApiError as error:
        _say(f"the Kubernetes API cannot be read: {error}")
        return False
    if left:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        _say(f"{len(left)} objects of stack {chosen.stack} are left: {', '.join(left[:_NAMED])}{more}")
        return False
    _say(f"nothing of stack {chosen.stack} is left")
    return True


def _deployment_stays(api: Kubernetes, chosen: Config) -> bool:
    try:
        own = api.get("apps/v1", "deployments", chosen.deployment)
    except ApiError as error:
        if error.status != 404:
            raise
        # Deleted in the background, by hand: nobody waits, and what is left is waited for all the same.
        return False
    return not text(own, "metadata", "deletionTimestamp")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""`python3 -m readiness FILE`: 0 when the stack answers, else 1; the termination message says what is missing."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from readiness import config, kubernetes, message, verdict
from readiness.job_event import JobEvent
from readiness.kubernetes import ApiError, Kubernetes
from readiness.watch import Watch, failure

_TERMINATION_LOG = Path("/dev/termination-log")


class _StoppedError(BaseException):
    """SIGTERM. Not an `Exception`, so that it is not handled as a failed request."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="readiness", description=__doc__)
    parser.add_argument("config", type=Path, help="the configuration, a JSON file")
    parser.add_argument("--service-account", type=Path, default=kubernetes.SERVICE_ACCOUNT, metavar="FOLDER")
    parser.add_argument("--termination-log", type=Path, default=_TERMINATION_LOG, metavar="FILE")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        succeeded, text = _run(given.config, given.service_account)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except _StoppedError:
        succeeded, text = False, "stopped by SIGTERM before it began"
    _say(text)
    _write(given.termination_log, text)
    return 0 if succeeded else 1


def _run(file: Path, service_account: Path) -> tuple[bool, str]:
    try:
        read = config.parse(file.read_text(encoding="utf-8"))
        api = Kubernetes.in_cluster(os.environ, read.namespace, service_account, read.bounds.api_request)
    except (OSError, ApiError, config.ConfigError) as error:
        return False, message.compose(f"the readiness check cannot begin: {error}", "", "", "pulumi up")
    watch = Watch(read, api, JobEvent(api, read.namespace, read.job, os.environ.get("HOSTNAME", "")), _say)
    try:
        found = watch.run()
        if isinstance(found, verdict.Answers) and found.degraded:
            return True, failure(read, watch, replace(found.degraded, line=found.line))
        if isinstance(found, verdict.Answers):
            return True, message.head(f"ready after {watch.age}: {found.line}", message.LIMIT)
        return False, failure(read, watch, found)
    except _StoppedError:
        cause = f"stopped after {watch.age}, by the end of its Job (deleted, or past its deadline): {watch.state}"
        return False, message.compose(cause, "", "", read.next)
    except Exception as error:  # noqa: BLE001 - the message must say that the check itself is at fault
        _say(traceback.format_exc())
        cause = f"the readiness check itself broke: {type(error).__name__}: {error}"
        return False, message.compose(cause, watch.state, "", read.next)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # only once: the message is written next
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StoppedError


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text + "\n" if len(text.encode()) < message.LIMIT else text, encoding="utf-8")
    except OSError as error:
        _say(f"(the termination message cannot be written: {error})")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

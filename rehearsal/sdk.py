"""A mend in the Pulumi SDK that a rehearsal needs: a late debug line must not fail a run.

When a program has ended, the SDK waits for the engine's word, and then logs "run_pulumi_func completed" to the engine
(`pulumi/runtime/stack.py` of 3.259). On a busy machine the engine has gone by then, the call fails, and an `up` in
which all went well ends with "failed to connect to all addresses". Nothing of a debug line is worth that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc
from pulumi import log


def mend() -> None:
    """Let debug lines to an engine that has gone be lost in silence; may be called again."""
    if log.debug is not _debug:
        log.debug = _debug


_original = log.debug


def _debug(*arguments: Any, **options: Any) -> None:
    with suppress(grpc.RpcError):
        _original(*arguments, **options)

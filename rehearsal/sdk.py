"""Two fixes in the Pulumi SDK (3.259) for a process in which many engines come and go, as a rehearsal's does.

- gRPC keeps one connection for all channels of a process with the same options to one address, dead ones too. A new
  engine that is given the port of an earlier one is met with that one's "connection refused"; the SDK takes this for
  the engine's own end and stops the program in silence (`automation/_server.py`), and the engine deletes what the
  program did not come to register. So each channel of the SDK gets connections of its own.
- When a program has ended, the SDK waits for the engine's word, and then logs "run_pulumi_func completed" to it
  (`runtime/stack.py`). If the engine has gone by then, an `up` in which all went well fails. A debug line is not worth
  that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import grpc
from pulumi import log
from pulumi.runtime import settings

OWN_CONNECTIONS: Final = ("grpc.use_local_subchannel_pool", 1)


def mend() -> None:
    """Put both fixes in place; may be called again."""
    options = channel_options()
    if OWN_CONNECTIONS not in options:
        options.append(OWN_CONNECTIONS)
    if log.debug is not _debug:
        log.debug = _debug


def channel_options() -> list[tuple[str, int]]:
    """The one list of options with which the SDK connects to an engine; private there, so taken by its name."""
    return vars(settings)["_GRPC_CHANNEL_OPTIONS"]


_original = log.debug


def _debug(*arguments: Any, **options: Any) -> None:
    with suppress(grpc.RpcError):
        _original(*arguments, **options)

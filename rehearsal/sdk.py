"""Two fixes of the Pulumi SDK (3.259) for a process that starts many engines, as a rehearsal does.

- gRPC shares one connection between all channels of a process with the same options and address, even a dead one. A new
  engine that gets the port of an earlier one inherits its "connection refused"; the SDK takes this for the end of the
  engine and silently stops the program (`automation/_server.py`), and the engine deletes what the program did not
  register. So each channel of the SDK gets connections of its own.
- When a program has ended, the SDK waits for the engine's last message, and then logs "run_pulumi_func completed" to it
  (`runtime/stack.py`). If the engine has exited by then, a successful `up` fails because of a debug line. Nobody reads
  those lines here, and each was a call to the engine: none is sent.
"""

from __future__ import annotations

from typing import Any, Final

from pulumi import log
from pulumi.runtime import settings

OWN_CONNECTIONS: Final = ("grpc.use_local_subchannel_pool", 1)


def apply() -> None:
    """Apply both fixes. Idempotent."""
    options = channel_options()
    if OWN_CONNECTIONS not in options:
        options.append(OWN_CONNECTIONS)
    if log.debug is not _debug:
        log.debug = _debug


def channel_options() -> list[tuple[str, int]]:
    """The list of options with which the SDK connects to an engine; a private variable, so accessed by name."""
    return vars(settings)["_GRPC_CHANNEL_OPTIONS"]


def _debug(*_: Any, **__: Any) -> None:
    """Send nothing."""

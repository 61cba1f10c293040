"""Communication between the pods of a test: JSON objects, one per line, over TCP. Every wait has a timeout."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Final, cast

Message = Mapping[str, Any]

_HELLO_SECONDS: Final = 5.0
"""How long an unknown client on the port can block the others."""
_PAUSE: Final = 1.0


class Line:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._rest = connection, b""

    def send(self, message: Message) -> None:
        """Send `message`; ignored if the peer is gone."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, until: float) -> Message | None:
        """The peer's next message; None if it is gone, or silent `until` then (on the monotonic clock)."""
        try:
            while b"\n" not in self._rest:
                self._socket.settimeout(max(0.001, until - time.monotonic()))
                more = self._socket.recv(65536)
                if not more:
                    return None
                self._rest += more
            line, _, self._rest = self._rest.partition(b"\n")
            message: Any = json.loads(line)
        except (OSError, ValueError):
            return None
        return cast("Message", message) if isinstance(message, dict) else None

    def finish(self, until: float) -> None:
        """Close it after the peer has: closing with unread data would lose the messages that were sent last."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        while self.receive(until) is not None:
            pass
        self.close()

    def close(self) -> None:
        """Close it at once."""
        self._socket.close()


def gather(server: socket.socket, nodes: int, until: float) -> dict[int, tuple[Line, str]]:
    """Accept pods until all others have connected: line and node name by index."""
    came: dict[int, tuple[Line, str]] = {}
    while len(came) < nodes - 1 and (left := until - time.monotonic()) > 0:
        server.settimeout(left)
        try:
            line = Line(server.accept()[0])
        except OSError:
            continue
        hello = line.receive(min(until, time.monotonic() + _HELLO_SECONDS)) or {}
        index = hello.get("index")
        if isinstance(index, int) and not isinstance(index, bool) and 0 < index < nodes:
            if index in came:
                came[index][0].close()
            came[index] = (line, str(hello.get("node")))
        else:
            line.close()
    return came


def join(host: str, port: int, until: float) -> Line | None:
    """A line to pod 0; None if it cannot be reached `until` then."""
    while (left := until - time.monotonic()) > 0:
        try:
            return Line(socket.create_connection((host, port), timeout=min(_HELLO_SECONDS, left)))
        except OSError:
            time.sleep(min(_PAUSE, max(0.0, until - time.monotonic())))
    return None

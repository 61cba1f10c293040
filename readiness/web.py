"""One HTTP request with an overall timeout; every network failure is one type of exception."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from readiness.fields import Object, as_object

_LARGEST_BODY: Final = 64 << 20
_CHUNK: Final = 1 << 16


class NoAnswerError(Exception):
    """No HTTP answer: refused, aborted, too slow. The text is for users."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, of any status."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Object:
        """The body's JSON object; empty if it is not one."""
        try:
            value: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return as_object(value)


def ask(
    method: str,
    url: str,
    *,
    timeout: float,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Send one request, `body` as JSON, and read the whole answer within `timeout` seconds."""
    try:
        return _ask(method, url, timeout, body, {"Accept": "application/json", **(headers or {})}, context)
    except TimeoutError:
        raise NoAnswerError(f"no answer within {timeout:g} s") from None
    except ConnectionRefusedError:
        raise NoAnswerError("connection refused") from None
    except socket.gaierror as error:
        raise NoAnswerError(f"the name is not known: {error.strerror}") from None
    except http.client.RemoteDisconnected:
        raise NoAnswerError("the connection was closed without an answer") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(f"{type(error).__name__}: {error}") from None


def _ask(  # noqa: PLR0917 - the arguments of `ask`
    method: str, url: str, timeout: float, body: Any, headers: Mapping[str, str], context: ssl.SSLContext | None
) -> Answer:
    end = time.monotonic() + timeout
    parts = urllib.parse.urlsplit(url)
    host, path = parts.hostname or "", parts.path + (f"?{parts.query}" if parts.query else "")
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=timeout)
    )
    try:
        connection.request(method, path, None if body is None else json.dumps(body).encode(), dict(headers))
        return _read(connection.getresponse(), end)
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, end: float) -> Answer:
    received = bytearray()
    while chunk := response.read1(_CHUNK):
        received += chunk
        # a server that sends a byte now and then never hits the socket's own timeout
        if time.monotonic() > end:
            raise TimeoutError
        if len(received) > _LARGEST_BODY:
            raise http.client.HTTPException(f"the answer is larger than {_LARGEST_BODY} bytes")
    return Answer(response.status, bytes(received))

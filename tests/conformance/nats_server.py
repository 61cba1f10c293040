"""NATS itself (nats-io/nats-server, Apache-2.0), of the release that is installed, built once outside the checkout."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from reference import nats
from tests.conformance.go_programs import installed

VERSION: Final = nats.TAG.partition("-")[0]
_PACKAGE: Final = "github.com/nats-io/nats-server/v2"
_STARTS_WITHIN: Final = 20.0


def binary() -> Path:
    """The program. Raises `AbsentError`."""
    return installed("nats-server", _PACKAGE, f"v{VERSION}")


def configuration(values: Mapping[str, Any], folder: Path, port: int) -> str:
    """What chart nats 1.3.2 renders from the values of Dynamo's chart (files/config/config.yaml, formatted by its
    nats.formatConfig), with folders and ports for this machine; `values` are those of the program's release.
    """
    rendered: dict[str, Any] = {
        "http_port": -1,
        "jetstream": {"max_file_store": "<< 10Gi >>", "max_memory_store": 0, "store_dir": str(folder / "data")},
        "lame_duck_duration": "30s",
        "lame_duck_grace_period": "10s",
        "max_payload": 10485760,
        "pid_file": str(folder / "nats.pid"),
        "port": port,
        "server_name": "<< $SERVER_NAME >>",
        "host": "127.0.0.1",
        **values.get("config", {}).get("merge", {}),
    }
    return json.dumps(rendered, indent=2).replace('"<< ', "").replace(' >>"', "")


@contextlib.contextmanager
def running(values: Mapping[str, Any], secret: Mapping[str, str], folder: Path) -> Iterator[int]:
    """A server with the values of the program's release, whose Secret holds `secret`; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    written = folder / "nats.conf"
    written.write_text(configuration(values, folder, port), encoding="utf-8")
    variables = {
        name: secret[entry["valueFrom"]["secretKeyRef"]["key"]]
        for name, entry in values.get("container", {}).get("env", {}).items()
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own build
            [str(binary()), "--config", str(written)],
            env={"SERVER_NAME": "dynamo-platform-nats-0", **variables},
            stdout=log,
            stderr=log,
        )
        try:
            _await(process, port, folder / "server.log")
            yield port
        finally:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"nats-server does not listen: {log.read_text(errors='replace')}") from None
            time.sleep(0.05)
        else:
            return


def ask(port: int, login: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """What the server says of itself, and its answer to a client with this login: PONG, or an error."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rwb") as line:
        told: dict[str, Any] = json.loads(line.readline().removeprefix(b"INFO "))
        line.write(b"CONNECT " + json.dumps({"verbose": False, "lang": "test", **login}).encode() + b"\r\nPING\r\n")
        line.flush()
        return told, line.readline().decode().strip()

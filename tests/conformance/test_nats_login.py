"""The login of NATS: the real server of the release that is installed, and Dynamo's own clients."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reference import nats
from reference.dynamo import PROFILES
from tests import wheels
from tests.conformance import nats_server
from tests.conformance.go_programs import AbsentError

_CLIENT = Path(__file__).with_name("nats_client.py")
_BUILD_SECONDS = 900
RELEASES = tuple(version for version, profile in PROFILES.items() if profile.needs_nats)
"""Those whose pods exchange requests or events through NATS."""
LOGIN = {"user": nats.USER, "pass": "x" * nats.PASSWORD_LENGTH}


@dataclass(frozen=True)
class Server:
    """A running server, and a folder for what talks to it."""

    port: int
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the values of a release of the program."""
    try:
        nats_server.binary()
    except AbsentError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("nats")
    values = PROFILES["0.7.0"].platform_values(None, [], nats_secret="nats-login-abcde")["nats"]
    with nats_server.running(values, {nats.PASSWORD_KEY: LOGIN["pass"]}, folder) as port:
        yield Server(port, folder)


@pytest.mark.timeout(_BUILD_SECONDS)
@pytest.mark.parametrize(
    ("login", "answer"),
    [
        (LOGIN, "PONG"),
        ({}, "-ERR 'Authorization Violation'"),
        ({"user": nats.USER, "pass": ""}, "-ERR 'Authorization Violation'"),
        ({"user": nats.USER, "pass": "another"}, "-ERR 'Authorization Violation'"),
        ({"user": "user", "pass": "user"}, "-ERR 'Authorization Violation'"),
        ({"user": "other", "pass": LOGIN["pass"]}, "-ERR 'Authorization Violation'"),
    ],
    ids=["the login", "none", "no password", "another password", "the runtime's default", "another user"],
)
def test_nats_lets_in_who_has_the_login_and_nobody_else(server: Server, login: dict[str, str], answer: str) -> None:
    told, said = nats_server.ask(server.port, login)
    assert said == answer
    assert told["auth_required"] is True
    # What is installed is what is tried here, with JetStream and the payload of Dynamo's chart.
    assert (told["version"], told["jetstream"], told["max_payload"]) == (nats_server.VERSION, True, 10485760)


@pytest.mark.timeout(_BUILD_SECONDS)
def test_without_a_secret_everybody_is_let_in_whatever_login_they_have(tmp_path: Path, server: Server) -> None:
    """So that pods may have the login before their NATS asks for it."""
    del server
    with nats_server.running(nats.server_values(None), {}, tmp_path) as port:
        assert [nats_server.ask(port, login)[1] for login in ({}, LOGIN)] == ["PONG", "PONG"]


@pytest.mark.timeout(_BUILD_SECONDS)
@pytest.mark.parametrize("release", RELEASES)
def test_the_clients_of_dynamo_serve_and_ask_with_the_login_and_end_without(server: Server, release: str) -> None:
    packages = wheels.of_dynamo(release)

    def run(password: str | None) -> subprocess.CompletedProcess[str]:
        said = {nats.USER_KEY: nats.USER, nats.PASSWORD_KEY: password}
        login = {name: str(said[key]) for name, key in nats.CLIENT_VARIABLES.items()} if password else {}
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(server.folder),
            "PYTHONPATH": packages,
            "NATS_SERVER": f"nats://127.0.0.1:{server.port}",
            "DYN_FILE_KV": str(server.folder / f"discovery-{release}"),
            **login,
        }
        command = [sys.executable, str(_CLIENT), release]
        return subprocess.run(  # noqa: S603 - our own module with NVIDIA's wheels
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    served = run(LOGIN["pass"])
    assert (served.returncode, served.stdout[-5:]) == (0, "hello"), served.stderr
    for refused in (run(None), run("another")):
        assert refused.returncode != 0
        assert "hello" not in refused.stdout


@pytest.mark.timeout(_BUILD_SECONDS)
@pytest.mark.parametrize("password", ["1" * 40, "with space", "$other"])
def test_the_server_takes_no_password_that_is_another_value_of_its_configuration(
    server: Server, tmp_path: Path, password: str
) -> None:
    """Why the generated one has letters alone."""
    del server
    values = nats.server_values("nats-login-abcde")
    written = tmp_path / "nats.conf"
    written.write_text(nats_server.configuration(values, tmp_path, -1), encoding="utf-8")
    variables: dict[str, Any] = dict.fromkeys(values["container"]["env"], password)
    ran = subprocess.run(  # noqa: S603 - our own build
        [str(nats_server.binary()), "--config", str(written), "-t"],
        env={"SERVER_NAME": "x", **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode != 0

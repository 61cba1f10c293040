"""NATS of the Dynamo platform: the release of its server, and its login.

By NATS' own advisories, up to 2026-28 of 2026-06-29 (nats-io/advisories), everything known is fixed from 2.12.12 and
2.14.3 on. The chart's 2.10.21 is open to most of it, and 2.11.17, the last of its line, to nine of its advisories.

Seen on loopback (nats-server 2.10.21, 2.11.17 and 2.12.15 from source, with a configuration written after what chart
nats 1.3.2 renders; etcd 3.6): the runtime of Dynamo 0.7.x, 1.0.x and 1.2.1 (async-nats 0.40.0, 0.45.0)
serves an endpoint and answers over NATS with the two variables below. Without them it tries `user`/`user`; that, and a
wrong password, end the process ("authorization violation"). Frontend and mocker of 0.7.0, 0.7.1 and 1.0.2 answer
completions, with the router's KV events in JetStream on 0.7. A server without a login accepts clients that have one.
The files of 2.10.21 are read by 2.12.15.
"""

from __future__ import annotations

from typing import Any, Final, Literal

Login = Literal["required", "offered", "none"]
"""Of the program's own NATS: it asks for the generated login; pods have one, and it asks for none; or there is none."""

TAG: Final = "2.12.15-alpine"
"""Tag of the server's image; the chart's own is 2.10.21-alpine."""

USER: Final = "dynamo"
"""User of the login that the program makes."""

SECRET: Final = "nats-login"  # noqa: S105 - a name
"""Beginning of the name of the login's Secret, of the type `kubernetes.io/basic-auth`."""
USER_KEY: Final = "username"
PASSWORD_KEY: Final = "password"  # noqa: S105 - a name
"""Its keys."""

CLIENT_VARIABLES: Final = {"NATS_AUTH_USERNAME": USER_KEY, "NATS_AUTH_PASSWORD": PASSWORD_KEY}
"""Variables from which the runtime takes its login (lib/runtime/src/transports/nats.rs), each with its key."""

OTHER_LOGINS: Final = ("NATS_AUTH_TOKEN", "NATS_AUTH_NKEY", "NATS_AUTH_CREDENTIALS_FILE")
"""Other logins that the runtime reads there."""

PASSWORD_LENGTH: Final = 40
"""Of the generated password: 228 bits. Letters alone, because the server parses the variable's value as a value of its
configuration: digits alone are a number, which it refuses, and other characters end the value (seen on 2.12.15)."""

_SERVER_VARIABLE: Final = "NATS_PASSWORD"


def server_values(secret: Any) -> dict[str, Any]:
    """Values of the chart with which the server asks for the login in `secret`, a Secret's name (or an output); None:
    for none. What stands between `<<` and `>>` the chart writes without quotes, so that the server reads a variable.
    """
    container: dict[str, Any] = {"image": {"tag": TAG}}
    if secret is None:
        return {"container": container}
    container["env"] = {_SERVER_VARIABLE: {"valueFrom": {"secretKeyRef": {"name": secret, "key": PASSWORD_KEY}}}}
    authorization = {"user": USER, "password": f"<< ${_SERVER_VARIABLE} >>"}
    return {"container": container, "config": {"merge": {"authorization": authorization}}}


def client_variables(secret: Any) -> list[dict[str, Any]]:
    """Environment of a pod that logs in with `secret`."""
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, key in CLIENT_VARIABLES.items()
    ]

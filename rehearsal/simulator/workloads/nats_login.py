"""The login of NATS: what the release's server asks for, and what the pods of a graph answer.

Seen with nats-server 2.12.15 and Dynamo's runtime of 0.7.0 to 1.0.2: a server without a login accepts every client; one
with a login ends those that have none or another ("authorization violation"), and with them the process. Where the
values of chart nats 1.3.2 say `<< $NAME >>`, the server reads a variable of its container.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final

from rehearsal.simulator.kubernetes import pods
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, items, mapping, text
from rehearsal.simulator.workloads import platforms, serving

_USER, _PASSWORD = "NATS_AUTH_USERNAME", "NATS_AUTH_PASSWORD"
_ANYBODY: Final = ("user", "user")
"""What the runtime tries without these."""
_VARIABLE: Final = re.compile(r"<<\s*\$(\w+)\s*>>")


def missing(state: CloudState, cluster: str, inputs: Props, version: str) -> Iterator[str]:
    """Secrets that the NATS of a platform's release needs to start, and that are not there."""
    if platforms.installs(version, mapping(inputs, "values"), "nats"):
        wanted = pods.env_references(_server_variables(inputs))
        yield from pods.missing(state, cluster, text(inputs, "namespace"), wanted, "timed out waiting: nats")


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Roles of a graph that the NATS of the platform's release does not let in."""
    release = serving.operator(state, cluster)
    wanted = _asked_for(state, release) if release is not None else None
    if release is None or wanted is None:
        return
    for role in serving.roles(graph):
        said = _variables(state, cluster, text(graph, "metadata.namespace"), items(role.main, "env"))
        login = (said.get(_USER), said.get(_PASSWORD))
        if (_ANYBODY if None in login else login) != wanted:
            what = "no login" if None in login else "another login"
            yield f"{role.name}: pods end: NATS of {release.id}: authorization violation: they have {what}"


def _asked_for(state: CloudState, release: CloudResource) -> tuple[str, str] | None:
    """User and password of the release's own NATS; None: it lets everybody in, or there is none."""
    asked = mapping(release.inputs, "values.nats.config.merge.authorization")
    values = mapping(release.inputs, "values")
    if not asked or not platforms.installs(serving.version_of(release), values, "nats"):
        return None
    variables = _variables(state, release.scope, text(release.outputs, "namespace"), _server_variables(release.inputs))

    def value(name: str) -> str:
        written = text(asked, name)
        variable = _VARIABLE.fullmatch(written)
        return variables.get(variable[1], "") if variable else written

    return value("user"), value("password")


def _server_variables(inputs: Props) -> list[Props]:
    """The variables of NATS' container: a mapping in the chart's values, whose entries are texts or mappings."""
    return [
        {"name": name, **(entry if isinstance(entry, dict) else {"value": entry})}
        for name, entry in mapping(inputs, "values.nats.container.env").items()
    ]


def _variables(state: CloudState, cluster: str, namespace: str, entries: list[Props]) -> dict[str, str]:
    """Variables with their values, those from Secrets too."""
    found: dict[str, str] = {}
    for entry in entries:
        reference = mapping(entry, "valueFrom.secretKeyRef")
        if not reference:
            found[text(entry, "name")] = text(entry, "value")
            continue
        secret = state.get("kubernetes:core/v1:Secret", f"{namespace}/{text(reference, 'name')}", cluster)
        held = mapping(secret.outputs, "data").get(text(reference, "key")) if secret is not None else None
        if isinstance(held, str):
            found[text(entry, "name")] = base64.b64decode(held).decode()
    return found

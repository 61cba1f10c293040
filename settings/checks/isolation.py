"""Rules of who may reach a stack."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from reference import labels
from settings.isolation import Client
from settings.model import Settings
from validation.problems import Problem, refused

_LIKE = "write it like {namespace: chat}, {namespace: chat, pods: {app: web}} or {range: 10.8.0.0/16}"


def clients(settings: Settings) -> Iterator[Problem]:
    """Each client says whom it means, in a form that a NetworkPolicy takes."""
    for i, stack in enumerate(settings.stacks):
        key, said = f"stacks[{i}].clients", [_said(client) for client in stack.clients]
        if said and not settings.isolation.ingress:
            rule = "isolation.ingress is false, and every pod of the cluster reaches the frontends"
            yield Problem(key, said, rule, "remove one of the two")
            continue
        for j, client in enumerate(stack.clients):
            yield from _client(f"{key}[{j}]", client)


def _said(client: Client) -> dict[str, object]:
    return client.model_dump(by_alias=True, exclude_none=True)


def _client(key: str, client: Client) -> Iterator[Problem]:
    said = _said(client)
    if not said:
        yield Problem(key, said, "it names nobody, and an empty selector means everybody", _LIKE)
    elif client.cluster and len(said) > 1:
        yield Problem(key, said, "every pod of the cluster is everybody already", "remove the other keys")
    elif client.range is not None:
        if len(said) > 1:
            yield Problem(key, said, "addresses have no namespace and no labels", "make two entries of it")
        elif ipaddress.ip_network(client.range).prefixlen == 0:
            rule = "that is every address there is, on the internet too"
            fix = "name the ranges of the clients, or write clients: cluster"
            yield Problem(f"{key}.range", client.range, rule, fix)
    elif client.namespace is not None and client.namespace_labels is not None:
        yield Problem(key, said, "a namespace is named or selected by labels, not both", "remove one of the two")
    for name, pairs in (("namespaceLabels", client.namespace_labels), ("pods", client.pods)):
        if pairs == {}:
            yield Problem(f"{key}.{name}", pairs, "an empty selector means everybody", "name labels, or remove the key")
        for label, value in (pairs or {}).items():
            yield from refused(labels.check_selector, label, value, f"{key}.{name}.{label}")

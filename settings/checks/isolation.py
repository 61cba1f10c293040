"""Rules of who may reach a stack."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from reference import egress, labels, outbound
from reference.outbound import Address
from settings.isolation import Client
from settings.model import CreateCluster, Settings
from validation.problems import Problem, refused

_RANGES, _OPEN = "isolation.egressRanges", "set isolation.egress: open"
_LIKE = "write it like {namespace: chat}, {namespace: chat, pods: {app: web}} or {range: 10.8.0.0/16}"


_SHORTEST: Final = 8
_WIDE: Final = f"that is the internet too: a range of clients or servers has a prefix of /{_SHORTEST} or longer"


def _is_wide(cidr: str) -> bool:
    return ipaddress.ip_network(cidr).prefixlen < _SHORTEST


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


def rdma(settings: Settings) -> Iterator[Problem]:
    """The admission policies of a cluster that exists are its owner's."""
    said = settings.isolation
    if "rdma" in said.model_fields_set and not isinstance(settings.cluster, CreateCluster):
        rule = "the cluster exists, and who may ask for RDMA interfaces there is its owner's to say"
        yield Problem("isolation.rdma", said.rdma, rule, "remove the key")


def rdma_firewall(settings: Settings) -> Iterator[Problem]:
    """The policy is for a VPC of the program's own, and knows the nodes by the id of a tag that they have."""
    key, tag, tags = "isolation.rdmaFirewall", settings.isolation.rdma_firewall, settings.metadata.secure_tags
    if tag is None:
        return
    if not settings.creates_roce_vpc:
        rule = "the program creates no RoCE VPC here, which takes a created cluster with networks of its own and "
        yield Problem(key, tag, f"{rule}rdma: multi-network", "remove the key")
    elif tag not in tags:
        rule = "the nodes have no such tag, and the policy would guard none of them"
        yield Problem(key, tag, rule, "name a key of metadata.secureTags")
    elif not tag.startswith("tagKeys/"):
        rule = f"a firewall policy names the value of a tag by its id, and metadata.secureTags says {tags[tag]}"
        yield Problem(key, tag, rule, "write the tag as tagKeys/ID: tagValues/ID, and name its key here")


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
        elif _is_wide(client.range):
            fix = "name the ranges of the clients, or write clients: cluster"
            yield Problem(f"{key}.range", client.range, _WIDE, fix)
    elif client.namespace is not None and client.namespace_labels is not None:
        yield Problem(key, said, "a namespace is named or selected by labels, not both", "remove one of the two")
    for name, pairs in (("namespaceLabels", client.namespace_labels), ("pods", client.pods)):
        if pairs == {}:
            yield Problem(f"{key}.{name}", pairs, "an empty selector means everybody", "name labels, or remove the key")
        for label, value in (pairs or {}).items():
            yield from refused(labels.check_selector, label, value, f"{key}.{name}.{label}")


def egress_ranges(settings: Settings) -> Iterator[Problem]:
    """What pods must reach has known addresses, and nothing is opened to everybody."""
    said = settings.isolation
    for i, one in enumerate(said.egress_ranges):
        key = f"{_RANGES}[{i}].range"
        if said.egress == "open":
            rule = "isolation.egress is open, and pods connect to anything"
            yield Problem(key, one.range, rule, "remove it, or set isolation.egress: restricted")
        elif _is_wide(one.range):
            yield Problem(key, one.range, _WIDE, f"name the ranges, or {_OPEN}")
    for key, url, server, public in _unknown(settings):
        if server.port not in public:
            yield Problem(
                key,
                url,
                "a NetworkPolicy knows addresses and no names: outside of the cluster pods reach the ranges that are "
                f"listed, and public addresses on {egress.HTTPS}",
                f"of a Service of the cluster write NAME.NAMESPACE.svc; of others list the addresses: {_RANGES}: "
                f"[{{range: 10.0.0.8/32, ports: [{server.port}]}}]; or {_OPEN}",
            )


def warnings(settings: Settings) -> Iterator[str]:
    """Servers that may have private addresses."""
    for key, url, server, public in _unknown(settings):
        if server.port in public:
            yield f"{key} = {url}: if its addresses are private, pods reach it only with these in {_RANGES}."


def _unknown(settings: Settings) -> Iterator[tuple[str, str, Address, tuple[int, ...]]]:
    """Servers that pods must reach and whose addresses neither their name nor a range says: key, value, server, and the
    ports on which every public address is open.
    """
    said, pods, parts = settings.isolation, settings.pods, settings.dynamo.parts
    if said.egress == "open":
        return
    mirrors = {"pods.hubEndpoint": pods.hub_endpoint}
    if settings.model_bucket.download:
        mirrors["pods.pipIndex"] = pods.pip_index
    used = {server for mirror in mirrors.values() for server in pods.servers(mirror)}
    named = {**mirrors, "pods.proxy.url": None if pods.proxy is None else pods.proxy.url}
    found: list[tuple[str, str, tuple[int, ...]]] = [
        (key, url, (egress.HTTPS,))
        for key, url in named.items()
        # What is not a URL is a problem of its own.
        if url and outbound.address(url) in used and not any(refused(outbound.check_url, url, key))
    ]
    found += [(f"dynamo.{part}.address", address, ()) for part, address in parts.addresses.items()]
    for key, url, public in found:
        server = outbound.address(url)
        known = server.is_ip or server.namespace is not None
        if not known and not any(one.has(server.port) for one in said.egress_ranges):
            yield key, url, server, public

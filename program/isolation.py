"""Who may reach the pods of a namespace and what these may reach, as the settings say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from manifests import egress as rules
from manifests import network_policies
from manifests.egress import INTERNET, Rule
from manifests.network_policies import Place
from program.infrastructure import Infrastructure
from reference import egress, flows, outbound
from reference.egress import Destination
from reference.flows import Part
from reference.naming import NAME_LABEL
from settings import Settings
from settings.model import CreateDynamo, Stack


def isolation(
    settings: Settings, part: Part, infrastructure: Infrastructure, stack: Stack | None = None
) -> Mapping[str, Mapping[str, Any]]:
    """NetworkPolicies for the namespace of a part, or of `stack`; none where isolation is off."""
    said, profile = settings.isolation, settings.profile
    theirs = not settings.namespaces.create
    into = flows.of(profile, settings.dynamo.parts) if said.ingress else None
    place = Place(
        part,
        stack="" if stack is None else stack.name,
        clients=[] if stack is None else [network_policies.client(**client.model_dump()) for client in stack.clients],
        # The namespace of a fabric test is always made for it.
        shared=theirs and part != "fabric-test",
        stack_namespaces=[one.space for one in settings.stacks] if theirs else [],
    )
    if said.egress == "open":
        return network_policies.policies(place, into)
    listed = [rules.to_range(one.range, one.ports) for one in said.egress_ranges]
    place = replace(place, outside=_outside(settings, infrastructure), ranges=listed)
    return network_policies.policies(place, into, egress.of(profile))


def _outside(settings: Settings, infrastructure: Infrastructure) -> Mapping[Destination, Sequence[Rule]]:
    """Where everything is that pods connect to outside of their namespace."""
    pods, parts = settings.pods, settings.dynamo.parts
    google = INTERNET
    if settings.isolation.egress == "private-googleapis":
        google = rules.to_range(infrastructure.private_apis, [egress.HTTPS])
    # A platform of others is in a namespace that they chose.
    platform = settings.dynamo.namespace if isinstance(settings.dynamo, CreateDynamo) else None

    def service(name: str, port: int, address: str | None) -> list[Rule]:
        if address is not None:
            return rules.to_servers([outbound.address(address)], public=())
        return [rules.to_pods(rules.named(platform, {NAME_LABEL: name}), [port])]

    return {
        "DNS": [rules.DNS],
        "metadata server": rules.METADATA,
        "Google's APIs": [google],
        "API server": [rules.to_range(cidr, [egress.HTTPS]) for cidr in infrastructure.cluster.api_server],
        "NATS": service("nats", flows.NATS_PORT, parts.nats),
        "etcd": service("etcd", flows.ETCD_PORT, parts.etcd),
        "model hub": rules.to_servers(pods.servers(pods.hub_endpoint)) or [INTERNET],
        "package index": rules.to_servers(pods.servers(pods.pip_index)) or [INTERNET],
        "internet": [INTERNET],
    }

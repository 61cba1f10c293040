"""Who may reach the pods of a namespace, as the settings say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manifests import network_policies
from manifests.network_policies import Place
from reference import flows
from reference.dynamo import PROFILES
from reference.flows import Part
from settings import Settings
from settings.model import Stack


def isolation(settings: Settings, part: Part, stack: Stack | None = None) -> Mapping[str, Mapping[str, Any]]:
    """NetworkPolicies for the namespace of a part, or of `stack`; none where isolation is off."""
    if not settings.isolation.ingress:
        return {}
    known = flows.of(PROFILES[settings.dynamo.version], settings.dynamo.parts)
    theirs = not settings.namespaces.create
    spaces = [one.space for one in settings.stacks] if theirs else []
    if stack is None:
        return network_policies.policies(known, Place(part, stack_namespaces=spaces))
    clients = [network_policies.client(**client.model_dump()) for client in stack.clients]
    return network_policies.policies(known, Place(part, stack.name, clients, shared=theirs))

"""How much the pods of a stack may do, as its settings and the Dynamo release say."""

from __future__ import annotations

from manifests.graph import Security
from settings import Settings
from settings.model import Stack


def security(settings: Settings, stack: Stack) -> Security:
    """The security of the pods of `stack`."""
    said, profile = stack.security, settings.profile
    return Security(
        privileged_workers=profile.privileged_workers if said.privileged_workers is None else said.privileged_workers,
        offline_workers=said.offline_workers,
        restricted_frontends=said.restricted_frontends,
        bind_to_pod_address=said.bind_to_pod_address,
    )

"""Customer-managed keys: who uses which, and whether the program gives the right to."""

from __future__ import annotations

import pulumi

from components import gcp
from reference import encryption
from reference.encryption import Use
from settings import Settings


def key_use(use: Use, settings: Settings) -> gcp.KeyUse | None:
    """The key for `use`, with the agent that is given the right or listed for it; None without a key."""
    key = settings.encryption.keys.get(use)
    if key is None:
        return None
    chosen = settings.encryption.grant or settings.identities.iam == "none"
    return {"key": key, "agent": _agent(use, settings) if chosen else None}


def usable_key(
    use: Use, settings: Settings, grants: gcp.Grants, project: pulumi.Input[str] | None = None
) -> pulumi.Input[str] | None:
    """Path of the key for `use`, once its agent may use it; `project` is known once the agent exists."""
    found = key_use(use, settings)
    if found is None or found["agent"] is None:
        return None if found is None else found["key"]
    agent = pulumi.Output.from_input(found["agent"])
    if project is not None:
        agent = gcp.once(agent, pulumi.Output.from_input(project))
    return gcp.KeyAccess(f"{use}-key", {"key": found["key"], "agent": agent, "grants": grants}).key


def _agent(use: Use, settings: Settings) -> str:
    if use == "bucket" and settings.encryption.grant:
        # Cloud Storage makes its agent when it is first asked for.
        return gcp.storage_agent(settings.project)
    return encryption.agent(use, settings.project_number or "PROJECT_NUMBER")

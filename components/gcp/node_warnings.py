"""Announces that a change recreates the nodes of a pool, which the engine shows as an update."""

from __future__ import annotations

from typing import Any, cast

import pulumi

from components.update_hooks import Inputs, announcing
from reference import gke


def of_pool(name: str, domain: str, nodes: int, at_a_time: int) -> pulumi.ResourceHookBinding:
    """The hook of the node pool of a domain with so many nodes, of which GKE takes so many at a time."""

    def said(old: Inputs, new: Inputs) -> str | None:
        changed = recreating(old, new)
        if not changed:
            return None
        return (
            f"domain {domain}: GKE re-creates its {nodes} nodes for this change of {', '.join(changed)}, "
            f"{at_a_time} at a time; their pods stop."
        )

    return announcing(f"{name}-nodes", said)


def recreating(old: Inputs, new: Inputs) -> list[str]:
    """Fields of a node pool that differ and that GKE changes by re-creating the nodes."""
    before, after = (cast("dict[str, Any]", inputs.get("nodeConfig") or {}) for inputs in (old, new))
    found = [field for field in gke.RECREATING if before.get(field) != after.get(field)]
    return ["version", *found] if old.get("version") != new.get("version") else found

"""A hook that announces in a preview that a change re-creates the nodes of a pool, which the engine shows as an update.

An update hook gets the old and new inputs, in previews too. There is no delete hook: with one, `pulumi destroy`
requires `--run-program`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pulumi

from reference import gke


def of_pool(name: str, domain: str, nodes: int, at_a_time: int) -> pulumi.ResourceHookBinding:
    """The hook of the node pool of a domain with so many nodes, of which GKE takes so many at a time."""

    def warn(args: pulumi.ResourceHookArgs) -> None:
        changed = recreating(args.old_inputs or {}, args.new_inputs or {})
        if changed:
            pulumi.log.warn(
                f"domain {domain}: GKE re-creates its {nodes} nodes for this change of {', '.join(changed)}, "
                f"{at_a_time} at a time; their pods stop."
            )

    options = pulumi.ResourceHookOptions(on_dry_run=True, ignore_errors=True)
    return pulumi.ResourceHookBinding(before_update=[pulumi.ResourceHook(f"{name}-nodes", warn, options)])


def recreating(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Fields of a node pool that differ and that GKE changes by re-creating the nodes."""
    before, after = (cast("Mapping[str, Any]", inputs.get("nodeConfig") or {}) for inputs in (old, new))
    found = [field for field in gke.RECREATING if before.get(field) != after.get(field)]
    return ["version", *found] if old.get("version") != new.get("version") else found

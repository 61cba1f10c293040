"""Hooks that say at preview what a change does to a running stack.

An update hook is given the inputs before and after, at preview too. Its warning stands in the diagnostics of `pulumi
preview` and of `pulumi up`. There are no delete hooks on purpose: with one, `pulumi destroy` demands `--run-program`.
The engine runs no update hook for a replacement and gives a create hook no old inputs, so a replaced graph is seen on
its namespace, which has shape and place of the graph in an annotation and is updated in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pulumi

from manifests import roll
from reference.naming import PROJECT

SHAPE: Final = f"{PROJECT}/graph"
"""Annotation of a stack's namespace: shape and place of its graph, whose change replaces the graph."""


def of_graph(name: str, stack: str) -> pulumi.ResourceHookBinding:
    """The hook of a graph: an update that leaves a role without pods."""

    def said(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
        return roll.announcement(stack, roll.part(old, "spec"), roll.part(new, "spec"))

    return _binding(f"{name}-roll", said)


def of_namespace(name: str, stack: str) -> pulumi.ResourceHookBinding:
    """The hook of a stack's namespace: another shape or place of the graph."""

    def said(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
        before, after = _shape(old), _shape(new)
        return roll.replacement(stack, before, after) if before and after and before != after else None

    return _binding(f"{name}-replacement", said)


def _binding(
    name: str, said: Callable[[Mapping[str, Any], Mapping[str, Any]], str | None]
) -> pulumi.ResourceHookBinding:
    def warn(args: pulumi.ResourceHookArgs) -> None:
        text = said(args.old_inputs or {}, args.new_inputs or {})
        if text:
            pulumi.log.warn(text)

    options = pulumi.ResourceHookOptions(on_dry_run=True, ignore_errors=True)
    return pulumi.ResourceHookBinding(before_update=[pulumi.ResourceHook(name, warn, options)])


def _shape(inputs: Mapping[str, Any]) -> str:
    return str(roll.part(roll.part(inputs, "metadata"), "annotations").get(SHAPE) or "")

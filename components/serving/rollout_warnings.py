"""Hooks that announce in a preview what a change does to a running stack.

The engine runs no update hook for a replacement and gives a create hook no old inputs, so a replaced graph is detected
on its namespace, which has shape and placement of the graph in an annotation and is updated in the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi

from components.update_hooks import announcing
from manifests import rollout
from manifests.graph_api import part
from reference.naming import PROJECT

SHAPE: Final = f"{PROJECT}/graph"
"""Annotation of a stack's namespace: shape and placement of its graph, a change of which replaces the graph."""

FABRIC: Final = f"{PROJECT}/fabric-test"
"""Annotation of a stack's namespace: the domain whose fabric was tested before the stack was created. Of a test's own
namespace: what is tested."""


def place(shape: str, domain: str) -> dict[str, str]:
    """The annotation `SHAPE` for a shape and domain."""
    return {SHAPE: f"{shape}{_IN}{domain}"}


_IN: Final = " in "


def of_graph(name: str, stack: str) -> pulumi.ResourceHookBinding:
    """The hook of a graph: announces an update that leaves a role without pods."""

    def said(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
        return rollout.announcement(stack, part(old, "spec"), part(new, "spec"))

    return announcing(f"{name}-roll", said)


def of_namespace(name: str, stack: str) -> pulumi.ResourceHookBinding:
    """The hooks of a stack's namespace: announce another shape or placement, and refuse a late fabric test."""

    def said(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
        before, after = _annotation(old, SHAPE), _annotation(new, SHAPE)
        return rollout.replacement(stack, before, after) if before and after and before != after else None

    def refuse(args: pulumi.ResourceHookArgs) -> None:
        text = rejection_of_late_test(stack, args.old_inputs or {}, args.new_inputs or {})
        if text:
            raise pulumi.RunError(text)

    binding = announcing(f"{name}-replacement", said)
    late = pulumi.ResourceHook(f"{name}-fabric-test-check", refuse, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceHookBinding(before_update=[*(binding.before_update or []), late])


def of_fabric_test(name: str, domain: str) -> pulumi.ResourceHookBinding:
    """The hook of a fabric test's namespace: its parameters change, which may not run it again."""

    def said(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
        before, after = _annotation(old, FABRIC), _annotation(new, FABRIC)
        if before == after:
            return None
        return (
            f"domain {domain}: its fabric test ({before}) becomes another one ({after}). It runs now only if it has "
            "failed before; else when the domain has been without stacks, which hold its GPUs."
        )

    return announcing(f"{name}-change", said)


def rejection_of_late_test(stack: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Why a stack's domain can no longer be tested, from the inputs of its namespace; None if no test was added."""
    domain = _annotation(new, FABRIC)
    if not domain or _annotation(old, FABRIC) == domain or not _annotation(old, SHAPE).endswith(f"{_IN}{domain}"):
        return None
    return (
        f"domains.{domain}.fabricTest was added while stack {stack!r} is in the domain\n"
        "    rule: the test needs all GPUs of its nodes, which the stack holds\n"
        f"    fix: leave it out; or take the stacks of {domain} away (`pulumi up` without them), then put them back"
    )


def _annotation(inputs: Mapping[str, Any], key: str) -> str:
    return str(part(part(inputs, "metadata"), "annotations").get(key) or "")

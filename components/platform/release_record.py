"""Refuses, in a preview already, another Dynamo release under running stacks.

A platform is replaced, not upgraded: Helm changes no CRD of a chart, a graph in another version of the API is another
object, and pods of two releases do not find each other. Without its operator a stack cannot even be deleted. The engine
runs no hook with old and new inputs for a replacement, so an object of its own keeps what the environment had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.platform.platform_guard import NAMESPACE
from manifests.graph_api import part
from reference import naming
from reference.dynamo import DynamoProfile

_RELEASE: Final = f"{naming.PROJECT}/dynamo-release"
_LINE: Final = f"{naming.PROJECT}/dynamo-line"
_STACKS: Final = f"{naming.PROJECT}/stacks"

STEPS: Final = (
    "three runs of pulumi up: without stacks (stacks: []); with the other dynamo.version; with the stacks again. "
    "docs/how-to/upgrade-dynamo.md says which CRDs to delete before the second"
)


class ReleaseRecordArgs(TypedDict):
    """Inputs of a `ReleaseRecord`."""

    environment: str
    """Name of the environment (the Pulumi stack)."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    profile: DynamoProfile
    """The Dynamo release of the environment."""

    stacks: Sequence[str]
    """Names of its serving stacks."""


class ReleaseRecord(pulumi.ComponentResource):
    """A ConfigMap whose annotations name the environment's Dynamo release and its stacks."""

    def __init__(self, name: str, args: ReleaseRecordArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:ReleaseRecord", name, {}, opts)

        def refuse(hook: pulumi.ResourceHookArgs) -> None:
            text = rejection(hook.old_inputs or {}, hook.new_inputs or {})
            if text:
                raise pulumi.RunError(text)

        kubernetes.core.v1.ConfigMap(
            f"{name}-annotations",
            metadata={
                "name": f"{naming.PROJECT}-release.{args['environment']}",
                "namespace": NAMESPACE,
                "labels": naming.kubernetes_labels(args["environment"]),
                # Annotations change in place; data would replace the object.
                "annotations": {
                    _RELEASE: args["profile"].version,
                    _LINE: args["profile"].line,
                    _STACKS: " ".join(args["stacks"]),
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=args["provider"],
                hooks=pulumi.ResourceHookBinding(
                    before_update=[
                        pulumi.ResourceHook(
                            f"{name}-version-check", refuse, pulumi.ResourceHookOptions(on_dry_run=True)
                        )
                    ]
                ),
            ),
        )
        self.register_outputs({})


def rejection(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Why the release cannot change now, from the old and new inputs of the record; None if it does not, or may."""
    before, after = _annotations(old), _annotations(new)
    running = str(before.get(_STACKS) or "").split()
    if not running or not before.get(_LINE) or before[_LINE] == after.get(_LINE):
        return None
    return (
        f"dynamo.version = {after.get(_RELEASE)}, but {before.get(_RELEASE)} is deployed, and stack "
        f"{', '.join(running)} uses it\n"
        "    rule: releases of two lines never run side by side: graphs, CRDs and the discovery of pods differ\n"
        f"    fix: {STEPS}"
    )


def _annotations(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return part(part(inputs, "metadata"), "annotations")

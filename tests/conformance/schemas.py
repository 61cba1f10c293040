"""Whether an API server would take a Kubernetes object whole, by the schemas that the embedded cloud holds it against.

Stricter than an API server on purpose: a field that the schema does not know is refused, where the server would
drop it in silence. Weaker in one thing: CEL rules (`x-kubernetes-validations`) are not evaluated; the embedded
cloud of the rehearsal holds those that matter here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.kubernetes import schema

KUBERNETES = ("1.34", "1.35")
"""Releases that the program supports with its default Dynamo profile."""

Kind = tuple[str, str]
"""(apiVersion, kind)."""


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of an object."""
    return str(manifest.get("apiVersion")), str(manifest.get("kind"))


def is_builtin(manifest: Mapping[str, Any]) -> bool:
    """Whether the kind ships with Kubernetes itself: no API group, a plain one, or one below k8s.io."""
    group, _, version = kind_of(manifest)[0].rpartition("/")
    return bool(version) and ("." not in group or group.endswith(".k8s.io"))


def problems(manifest: Mapping[str, Any], kubernetes: str, *, patch: bool = False, dynamo: str = "0.7.0") -> list[str]:
    """What keeps an API server of release `kubernetes` from taking `manifest` whole; empty when nothing does.

    Args:
        manifest: the object.
        kubernetes: minor release, such as `1.34`.
        patch: a patch may leave out required fields.
        dynamo: release of Dynamo, whose custom kinds are served.
    """
    found = schema.schemas(kubernetes, dynamo).failures(dict(manifest), partial=patch)
    return [f"{failure.property}: {failure.reason}" for failure in found]

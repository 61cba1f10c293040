"""What is left of a stack's graphs in its namespace: what operators, driver and nodes still clean up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from readiness.config import DEPLOYMENT_LABEL
from readiness.fields import Object, text
from readiness.kubernetes import ApiError, Kubernetes


@dataclass(frozen=True)
class Kind:
    """A kind of object that belongs to a graph."""

    group: str
    """API group; empty for core."""
    version: str
    """Asked for first."""
    plural: str

    @property
    def api(self) -> str:
        """Group and version, as in a path of the API."""
        return f"{self.group}/{self.version}" if self.group else self.version


PODS: Final = Kind("", "v1", "pods")
KINDS: Final = (
    PODS,
    Kind("nvidia.com", "v1alpha1", "dynamographdeployments"),
    Kind("nvidia.com", "v1alpha1", "dynamocomponentdeployments"),
    Kind("grove.io", "v1alpha1", "podcliquesets"),
    Kind("grove.io", "v1alpha1", "podcliquescalinggroups"),
    Kind("grove.io", "v1alpha1", "podcliques"),
    Kind("scheduler.grove.io", "v1alpha1", "podgangs"),
    Kind("resource.nvidia.com", "v1beta1", "computedomains"),
)
"""Every kind that a graph becomes and whose end needs a controller of the platform or a node."""


def of(api: Kubernetes, stack: str) -> list[str]:
    """What is left, as `plural/name`. Raises `ApiError`, so that an API that cannot be read never looks empty."""
    return [f"{kind.plural}/{name}" for kind in KINDS for name in _names(api, kind, stack)]


def _names(api: Kubernetes, kind: Kind, stack: str) -> Iterator[str]:
    for one in _objects(api, kind):
        owner = text(one, "metadata", "labels", DEPLOYMENT_LABEL) if kind is PODS else text(one, "metadata", "name")
        if _is_graph(owner, stack):
            yield text(one, "metadata", "name")


def _objects(api: Kubernetes, kind: Kind) -> list[Object]:
    """The objects of a kind, in whichever version the cluster answers; none if it does not have the kind.

    A version that is not the stored one needs the conversion webhook of the kind's operator, which may be gone.
    """
    try:
        return api.list(kind.api, kind.plural)
    except ApiError as error:
        failed = error
    others = [version for version in api.serves(kind.group, kind.plural) if version != kind.api] if kind.group else []
    for version in others:
        try:
            return api.list(version, kind.plural)
        except ApiError as error:
            failed = error
    if failed.status == 404 and not others:
        return []
    raise failed


def _is_graph(name: str, stack: str) -> bool:
    """Whether an object is named after a graph of the stack: `<stack>-<random suffix>`, and what operators append."""
    return name.startswith(f"{stack}-")

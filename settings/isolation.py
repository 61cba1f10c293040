"""Who may reach the pods of an environment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from settings.fields import Change, KubernetesName, Range
from validation.strict_model import StrictModel


class Isolation(StrictModel):
    """NetworkPolicies in the namespaces of the environment."""

    ingress: Annotated[bool, Change.IN_PLACE] = Field(
        default=True,
        description="whether the pods of the environment are reached only by those that must; false: by every pod of "
        "the cluster, which can then run code on the GPU nodes",
    )


class Client(StrictModel):
    """Pods or addresses that may ask the frontends of a stack."""

    namespace: KubernetesName | None = Field(default=None, description="the name of a namespace")
    namespace_labels: dict[str, str] | None = Field(default=None, description="labels of namespaces, all of them")
    pods: dict[str, str] | None = Field(
        default=None,
        description="labels of the pods, all of them; default: all pods of the namespaces. Without a namespace: pods "
        "in the namespace of the stack",
    )
    range: Range | None = Field(default=None, description="an IPv4 range of addresses that are no pods")


def _kind(value: Any) -> str:
    return "word" if isinstance(value, str) else "list"


Clients = Annotated[
    Annotated[Literal["cluster"], Tag("word")] | Annotated[tuple[Client, ...], Tag("list")], Discriminator(_kind)
]

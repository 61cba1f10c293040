"""Who may reach the pods of an environment."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, cast

from pydantic import BeforeValidator, Field

from reference.egress import Mode
from settings.fields import Change, KubernetesName, Range
from validation.strict_model import StrictModel

CLUSTER: Final = "cluster"


Port = Annotated[int, Field(ge=1, le=65535)]


class EgressRange(StrictModel):
    """Addresses that pods may connect to."""

    range: Range = Field(description="an IPv4 range, /32 for one address")
    ports: tuple[Port, ...] = Field(default=(), description="TCP ports; default: all")

    def has(self, port: int) -> bool:
        """Whether a port is open."""
        return not self.ports or port in self.ports


class Isolation(StrictModel):
    """Who may reach the pods of the environment."""

    ingress: Annotated[bool, Change.IN_PLACE] = Field(
        default=True,
        description="whether the pods of the environment are reached only by those that must; false: by every pod of "
        "the cluster, which can then run code on the GPU nodes",
    )
    egress: Annotated[Mode, Change.IN_PLACE] = Field(
        default="open",
        description="what the pods of stacks, fabric tests and downloads may connect to: `open` for anything, "
        "`restricted` for what they need (including the whole internet, on port 443), `private-googleapis` for "
        "Google's APIs through the private zone of googleapis.com, and the internet for none but those that need it",
    )
    egress_ranges: Annotated[tuple[EgressRange, ...], Change.IN_PLACE] = Field(
        default=(),
        description="a list of ranges that these pods may connect to beside that, each with range and ports: proxies "
        "and mirrors with private addresses",
    )
    rdma: Annotated[bool, Change.IN_PLACE] = Field(
        default=True,
        description="whether pods of a created cluster get RDMA interfaces, which no NetworkPolicy covers, only in "
        "namespaces of stacks and fabric tests; false: in every namespace",
    )
    rdma_firewall: Annotated[str | None, Change.IN_PLACE] = Field(
        default=None,
        description="a key of metadata.secureTags, as tagKeys/ID: only machines with the tag's value reach the RDMA "
        "addresses of the nodes, by a firewall policy of the RoCE VPC that the program creates. It tells machines "
        "apart, not pods",
    )


class Client(StrictModel):
    """Pods or addresses that can reach the frontends of a stack."""

    cluster: Literal[True] | None = Field(
        default=None, description="true for every pod of the cluster; short form: `clients: cluster`"
    )
    namespace: KubernetesName | None = Field(default=None, description="the name of a namespace")
    namespace_labels: dict[str, str] | None = Field(default=None, description="labels of namespaces; all must match")
    pods: dict[str, str] | None = Field(
        default=None,
        description="labels of the pods; all must match; default: all pods of the namespaces. Without a namespace: "
        "pods in the namespace of the stack",
    )
    range: Range | None = Field(default=None, description="an IPv4 range of addresses that are not pods")


def _one_word(value: Any) -> Any:
    if value == CLUSTER:
        return ({CLUSTER: True},)
    # A validator of one's own ends what pydantic knows of the input's origin, in which a list is a tuple.
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


Clients = Annotated[tuple[Client, ...], BeforeValidator(_one_word)]

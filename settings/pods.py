"""What a company sets on pods: their way out, their resources, their place on the system nodes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from reference import outbound
from reference.outbound import Address
from settings.fields import Change, KubernetesName
from validation.strict_model import StrictModel
from validation.validators import distinct

Quantities = dict[str, str]


class Toleration(StrictModel):
    """A toleration of system pods."""

    key: str | None = Field(default=None, description="the taint's key; default: every key")
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="Exists or Equal")
    value: str | None = Field(default=None, description="the taint's value, with Equal")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="the taint's effect; default: every effect"
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, description="the seconds that a pod stays, with NoExecute; default: for good"
    )


class Proxy(StrictModel):
    """An HTTP proxy for pods that reach the outside: frontends and downloads, never workers."""

    url: str = Field(description="the proxy's address, such as http://proxy.example.com:3128, without a password")
    no_proxy: Annotated[tuple[str, ...], AfterValidator(distinct)] = Field(
        default=(),
        description="hosts, domains and ranges that are reached directly, beside Google's and the cluster's",
    )


class Pods(StrictModel):
    """Settings of the pods of all stacks and of the platform."""

    system_tolerations: Annotated[tuple[Toleration, ...], Change.IN_PLACE] = Field(
        default=(), description="a list of tolerations of the system pods, for system nodes that are tainted"
    )
    proxy: Annotated[Proxy | None, Change.PODS] = Field(default=None, description="a mapping with url and noProxy")
    ca_bundle: Annotated[str | None, Change.PODS] = Field(
        default=None,
        description="certificates (PEM) that frontends and downloads trust, in place of the image's own: list public "
        "ones too, if they are needed",
    )
    hub_endpoint: Annotated[str | None, Change.PODS] = Field(
        default=None, description="a mirror of huggingface.co for frontends and downloads; default: the hub itself"
    )
    pip_index: Annotated[str | None, Change.PODS] = Field(
        default=None, description="a mirror of the Python package index for downloads; default: pypi.org"
    )

    def servers(self, mirror: str | None) -> tuple[Address, ...]:
        """The servers through which pods reach a public service with this mirror: the proxy, and a mirror that is
        reached without it. None: the service itself.
        """
        own = () if mirror is None else (outbound.address(mirror),)
        if self.proxy is None:
            return own
        without = (*outbound.NO_PROXY, *self.proxy.no_proxy)
        return (outbound.address(self.proxy.url), *(server for server in own if server.avoids(without)))


class PodResources(StrictModel):
    """Requests and limits of one container."""

    requests: Annotated[Quantities, Change.PODS] = Field(default={}, description="requests, a mapping of quantities")
    limits: Annotated[Quantities, Change.PODS] = Field(default={}, description="limits, a mapping of quantities")


class StackResources(StrictModel):
    """Resources of a stack's containers beside their GPUs."""

    worker: PodResources = Field(default=PodResources(), description="a mapping with requests and limits")
    gcsfuse: PodResources = Field(default=PodResources(), description="the same for the sidecar that reads the bucket")


class Security(StrictModel):
    """How much the pods of a stack may do on their nodes."""

    privileged_workers: Annotated[bool | None, Change.PODS] = Field(
        default=None,
        description="whether workers are privileged, as in the recipe; false: root with IPC_LOCK and SYS_RESOURCE, "
        "which nobody has tried on A4X; default: the Dynamo release's",
    )
    offline_workers: Annotated[bool, Change.PODS] = Field(
        default=False, description="whether workers never ask Hugging Face's hub, so every model must be in the bucket"
    )
    restricted_frontends: Annotated[bool, Change.PODS] = Field(
        default=False,
        description="whether frontends satisfy the Pod Security Standard `restricted`: no root, no capabilities",
    )
    bind_to_pod_address: Annotated[bool, Change.PODS] = Field(
        default=False,
        description="whether the workers' system port (9090) listens on the pod's address in the cluster alone, and "
        "not on the RDMA NICs, which no NetworkPolicy covers",
    )


class Volume(StrictModel):
    """A volume of one's own in the pods of a stack."""

    name: Annotated[KubernetesName, Change.PODS] = Field(description="the volume's name")
    mount_path: Annotated[str, Change.PODS] = Field(description="where it is mounted, an absolute path")
    source: Annotated[dict[str, Any], Change.PODS] = Field(
        description="the volume as a pod has it, such as {configMap: {name: x}}"
    )
    read_only: Annotated[bool, Change.PODS] = Field(default=True, description="whether it is mounted read-only")
    roles: Annotated[tuple[Literal["frontend", "prefill", "decode"], ...], AfterValidator(distinct), Change.PODS] = (
        Field(default=("frontend", "prefill", "decode"), description="the roles whose pods have it")
    )

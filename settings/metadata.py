"""Labels, annotations and tags that a company wants on everything."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from settings.fields import Change
from validation.strict_model import StrictModel
from validation.validators import distinct

Pairs = dict[str, str]


class Metadata(StrictModel):
    """Added to what the program sets, never over it, and never in a selector."""

    labels: Annotated[Pairs, Change.IN_PLACE] = Field(
        default={}, description="labels of the Google Cloud resources: cluster, node pools with their VMs, bucket"
    )
    kubernetes_labels: Annotated[Pairs, Change.IN_PLACE] = Field(
        default={}, description="labels of all Kubernetes objects of the program; pods have podLabels"
    )
    annotations: Annotated[Pairs, Change.IN_PLACE] = Field(
        default={}, description="annotations of all Kubernetes objects of the program; pods have podAnnotations"
    )
    pod_labels: Annotated[Pairs, Change.PODS] = Field(default={}, description="labels of all pods of the program")
    pod_annotations: Annotated[Pairs, Change.PODS] = Field(
        default={}, description="annotations of all pods of the program"
    )
    namespace_labels: Annotated[Pairs, Change.IN_PLACE] = Field(
        default={}, description="labels of the namespaces, beside kubernetesLabels"
    )
    namespace_annotations: Annotated[Pairs, Change.IN_PLACE] = Field(
        default={}, description="annotations of the namespaces, beside annotations"
    )
    network_tags: Annotated[tuple[str, ...], AfterValidator(distinct), Change.IN_PLACE] = Field(
        default=(), description="network tags of the nodes of created pools, for firewall rules"
    )
    secure_tags: Annotated[Pairs, Change.IN_PLACE] = Field(
        default={},
        description="secure tags of the nodes of created pools, up to 5: tagKeys/ID: tagValues/ID, or "
        "ORGANIZATION_ID/KEY: VALUE",
    )
    ignored_node_labels: tuple[str, ...] = Field(
        default=(),
        description="keys of Kubernetes labels that other tools write on the node pools and the program leaves alone",
    )

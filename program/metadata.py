"""Puts a company's labels, annotations and tags on every resource that takes them.

A transformation of the whole stack instead of an argument of every component: a resource that is added later cannot
miss them. They are merged under what the program sets, except a namespace's labels of Pod Security, which replace the
program's. The pods of a serving stack carry a hash of their template, so their metadata is part of the graph
(`components.serving.stack`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import pulumi

from reference import pod_security
from settings import Settings
from settings.metadata import Metadata

Props = dict[str, Any]

_HELM: Final = "kubernetes:helm.sh/"
_NAMESPACE: Final = "kubernetes:core/v1:Namespace"
CLUSTER: Final = "gcp:container/cluster:Cluster"
POOL: Final = "gcp:container/nodePool:NodePool"
GOOGLE_LABELS: Final[Mapping[str, str]] = {
    CLUSTER: "resource_labels",
    POOL: "node_config.resource_labels",
    "gcp:storage/bucket:Bucket": "labels",
}
"""Where the Google Cloud resources of the program take labels."""


def add_metadata(settings: Settings) -> None:
    """Add `metadata` to all resources that are registered later."""
    said = settings.metadata
    if said == Metadata():
        return

    def add(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not isinstance(args.resource, pulumi.CustomResource) or isinstance(args.resource, pulumi.ProviderResource):
            return None
        props = _added(args.type_, cast("Props", args.props), said)
        return None if props is None else pulumi.ResourceTransformationResult(props, args.opts)

    pulumi.runtime.register_stack_transformation(add)


def _added(kind: str, props: Props, said: Metadata) -> Props | None:
    if kind in GOOGLE_LABELS:
        props = _merged(props, GOOGLE_LABELS[kind], said.labels)
        return _on_nodes(props, said) if "node_config" in props else props
    if not kind.startswith("kubernetes:") or kind.startswith(_HELM) or kind.endswith("Patch"):
        return None
    labels, annotations = said.kubernetes_labels, said.annotations
    if kind == _NAMESPACE:
        labels, annotations = {**labels, **said.namespace_labels}, {**annotations, **said.namespace_annotations}
        props = _replaced(props, {key: v for key, v in labels.items() if key.startswith(pod_security.PREFIX)})
    props = _merged(_merged(props, "metadata.labels", labels), "metadata.annotations", annotations)
    if "template" in (props.get("spec") or {}):
        props = _merged(props, "spec.template.metadata.labels", said.pod_labels)
        props = _merged(props, "spec.template.metadata.annotations", said.pod_annotations)
    return props


def _on_nodes(props: Props, said: Metadata) -> Props:
    node: Props = dict(props["node_config"])
    if said.network_tags:
        node["tags"] = [*node.get("tags", ()), *said.network_tags]
    if said.secure_tags:
        node["resource_manager_tags"] = {**said.secure_tags, **node.get("resource_manager_tags", {})}
    return {**props, "node_config": node}


def _replaced(namespace: Props, labels: Mapping[str, str]) -> Props:
    """A copy of a namespace's properties with these labels in place of its own; one that is only read has none."""
    metadata = namespace.get("metadata")
    if not metadata or not labels:
        return namespace
    return {**namespace, "metadata": {**metadata, "labels": {**metadata["labels"], **labels}}}


def _merged(props: Props, path: str, added: Mapping[str, str]) -> Props:
    """A copy of `props` with `added` under the mapping at `path`."""
    if not added:
        return props
    name, _, rest = path.partition(".")
    inner: Any = props.get(name)
    if rest:
        return {**props, name: _merged(dict(inner or {}), rest, added)}

    def under(own: Mapping[str, Any] | None) -> Props:
        return {**added, **(own or {})}

    if isinstance(inner, pulumi.Output):
        return {**props, name: cast("pulumi.Output[Mapping[str, Any]]", inner).apply(under)}
    return {**props, name: under(inner)}

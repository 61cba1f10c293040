"""Rules of labels, annotations and tags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from reference import labels
from settings.model import Settings
from validation.problems import Problem, refused

Rule = Callable[[str, str, str], None]


def check(settings: Settings) -> Iterator[Problem]:
    """Each key and value in the grammar of who reads it, none that the program sets, and not too many."""
    said = settings.metadata
    for name, pairs, rule in (
        ("labels", said.labels, labels.check_google_label),
        ("kubernetesLabels", said.kubernetes_labels, labels.check_namespace_label),
        ("podLabels", said.pod_labels, labels.check_kubernetes_label),
        ("namespaceLabels", said.namespace_labels, labels.check_namespace_label),
        ("annotations", said.annotations, labels.check_annotation),
        ("podAnnotations", said.pod_annotations, labels.check_annotation),
        ("namespaceAnnotations", said.namespace_annotations, labels.check_annotation),
        ("secureTags", said.secure_tags, labels.check_secure_tag),
    ):
        yield from _each(f"metadata.{name}", pairs, rule)
    for i, tag in enumerate(said.network_tags):
        yield from refused(labels.check_network_tag, tag, f"metadata.networkTags[{i}]")
    for name, pairs in (
        ("annotations", {**said.annotations, **said.namespace_annotations}),
        ("podAnnotations", said.pod_annotations),
    ):
        yield from refused(labels.check_annotations_size, pairs, f"metadata.{name}")
    for name, found, most in (
        ("labels", len(said.labels), labels.RESOURCE_LABELS_MAX - len(labels.GOOGLE_OWN)),
        ("networkTags", len(said.network_tags), labels.NETWORK_TAGS_MAX),
        ("secureTags", len(said.secure_tags), labels.SECURE_TAGS_MAX),
    ):
        if found > most:
            rule = f"there may be {most} beside the program's own" if name == "labels" else f"a node has {most} at most"
            yield Problem(f"metadata.{name}", f"({found} of them)", rule, "remove some")
    for i, key in enumerate(said.ignored_node_labels):
        # A label of the program that is ignored would never arrive.
        yield from refused(labels.check_kubernetes_label, key, "", f"metadata.ignoredNodeLabels[{i}]")


def _each(key: str, pairs: Mapping[str, str], rule: Rule) -> Iterator[Problem]:
    for name, value in pairs.items():
        yield from refused(rule, name, value, f"{key}.{name}")

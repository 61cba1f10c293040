"""Labels, annotations and tags: their grammar, and the keys that are the program's own.

Sources: Google Cloud's "Requirements for labels"; apimachinery's `validation.IsQualifiedName`, `IsValidLabelValue` and
`ValidateAnnotations`; Compute Engine's reference of `Instance.tags`; the reference of GKE's `resourceManagerTags`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from reference import kai, naming, pod_security
from reference.dynamo import IMAGE_LOOKUP_OFF
from validation.problems import RuleError

GOOGLE_OWN: Final = frozenset({*naming.gcp_labels(""), "domain"})
KUBERNETES_OWN: Final = frozenset(
    {
        *naming.kubernetes_labels(""),
        *("app.kubernetes.io/name", "k8s-app", "name"),
        *("controller-revision-hash", "controller-uid", "job-name", "pod-template-hash"),
    }
)
ANNOTATIONS_OWN: Final = frozenset(
    {
        *(kai.QUEUE_ANNOTATION, IMAGE_LOOKUP_OFF, "iam.gke.io/gcp-service-account"),
        *("networking.gke.io/default-interface", "networking.gke.io/interfaces"),
    }
)
PREFIXES_OWN: Final = (
    *(f"{naming.PROJECT}/", "pulumi.com/", "gke-gcsfuse/"),
    *("nvidia.com/", "grove.io/", "kai.scheduler/", "resource.nvidia.com/", "batch.kubernetes.io/"),
)
"""Keys that the program, its operators or Kubernetes' controllers set on some object, exactly or by their beginning."""

RESOURCE_LABELS_MAX: Final = 64
"""Labels of a Google Cloud resource."""
NETWORK_TAGS_MAX: Final = 64
SECURE_TAGS_MAX: Final = 5
ANNOTATIONS_BYTES_MAX: Final = 256 * 1024

_PART: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]")
_DOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DOMAIN_MAX: Final = 253
_NETWORK_TAG: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SECURE_TAG: Final = re.compile(r"tagKeys/[0-9]+=tagValues/[0-9]+|[0-9]+/[^/=]+=[^/=]+|[a-z][-a-z0-9:.]*/[^/=]+=[^/=]+")


def check_google_label(label: str, value: str, key: str) -> None:
    """Raise `RuleError` unless Google Cloud takes the label; `key` is the config's."""
    rule = "has up to 63 lower-case letters, digits, hyphens and underscores"
    if label in GOOGLE_OWN:
        raise _own(label, value, key)
    if label.startswith("goog"):
        raise RuleError(key, value, "labels with goog in front are Google's own", "choose another name")
    if not _is_google(label) or unicodedata.category(label[0]) not in ("Ll", "Lo"):
        raise RuleError(key, value, f"a label's name {rule}, a letter first", "write it like cost-centre")
    if value and not _is_google(value):
        raise RuleError(key, value, f"a label's value {rule}", "write it like team-42")


def check_kubernetes_label(label: str, value: str, key: str) -> None:
    """Raise `RuleError` unless the API server takes the label, and no object of the program has its key."""
    if label in KUBERNETES_OWN or label.startswith(PREFIXES_OWN):
        raise _own(label, value, key)
    check_selector(label, value, key)


def check_selector(label: str, value: str, key: str) -> None:
    """Raise `RuleError` unless the API server takes the label: whoever's it is, it can be selected by."""
    _check_name(label, value, key)
    if value and not _PART.fullmatch(value):
        rule = "a label's value has up to 63 letters, digits, hyphens, dots and underscores, no sign at either end"
        raise RuleError(key, value, rule, "write it like team-42; longer texts belong in an annotation")


def check_namespace_label(label: str, value: str, key: str) -> None:
    """`check_kubernetes_label`, and no standard that keeps the program's own pods out."""
    if label == pod_security.ENFORCE and value in ("baseline", "restricted"):
        rule = "workers, DRA driver and NCCL installer are privileged, and the label goes to all namespaces"
        raise RuleError(key, value, rule, "set it to privileged, or use warn and audit")
    check_kubernetes_label(label, value, key)


def check_annotation(annotation: str, value: str, key: str) -> None:
    """Raise `RuleError` unless the API server takes the annotation, and no object of the program has its key."""
    if annotation in ANNOTATIONS_OWN or annotation.startswith(PREFIXES_OWN):
        raise _own(annotation, value, key)
    _check_name(annotation, value, key)


def check_annotations_size(annotations: Mapping[str, str], key: str) -> None:
    """Raise `RuleError` if they alone exceed the size of all annotations of an object."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in annotations.items())
    if size > ANNOTATIONS_BYTES_MAX:
        rule = f"the annotations of an object have {ANNOTATIONS_BYTES_MAX} bytes at most, and these are {size}"
        raise RuleError(key, sorted(annotations), rule, "shorten them")


def check_network_tag(tag: str, key: str) -> None:
    """Raise `RuleError` unless Compute Engine takes the network tag."""
    if not _NETWORK_TAG.fullmatch(tag):
        rule = "a network tag has up to 63 lower-case letters, digits and hyphens, a letter first, no hyphen last"
        raise RuleError(key, tag, rule, "write it like gpu-nodes")


def check_secure_tag(tag: str, value: str, key: str) -> None:
    """Raise `RuleError` unless GKE takes the tag: by ids, or by the names of parent, key and value."""
    if not _SECURE_TAG.fullmatch(f"{tag}={value}"):
        raise RuleError(
            key,
            value,
            "a secure tag is tagKeys/ID: tagValues/ID, or ORGANIZATION_ID/KEY: VALUE, or PROJECT_ID/KEY: VALUE",
            "look it up: gcloud resource-manager tags keys list --parent=organizations/ORGANIZATION_ID",
        )


def _is_google(text: str) -> bool:
    return len(text) <= 63 and all(c in "-_" or unicodedata.category(c) in ("Ll", "Lo", "Nd", "Nl", "No") for c in text)


def _check_name(name: str, value: str, key: str) -> None:
    domain, slash, last = name.rpartition("/")
    good_domain = not slash or (len(domain) <= _DOMAIN_MAX and bool(_DOMAIN.fullmatch(domain)))
    if not good_domain or not _PART.fullmatch(last):
        rule = "a key is NAME or DOMAIN/NAME; the name has up to 63 letters, digits, hyphens, dots and underscores"
        raise RuleError(key, value, rule, "write it like example.com/team")


def _own(name: str, value: str, key: str) -> RuleError:
    return RuleError(
        key,
        value,
        f"the program or one of its operators sets {name} itself, and settings add to that",
        "choose another key",
    )

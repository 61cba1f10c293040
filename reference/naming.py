"""Names: labels, length limits and who enforces them, and hashes for names that depend on content.

Limits are checked early because a name that is too long fails late: the Dynamo operator accepts a 31-character
DynamoGraphDeployment and marks it `failed` minutes later.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

PROJECT: Final = "dynamo-a4x"

STACK_LABEL: Final = f"{PROJECT}/stack"
"""Label on every pod of a serving stack; the stack's own Service selects by it."""

DOMAIN_LABEL: Final = f"{PROJECT}/domain"
"""Label of a fabric test's namespace and objects: the NVLink domain that is tested."""

ROLE_LABEL: Final = f"{PROJECT}/role"

NAME_LABEL: Final = "app.kubernetes.io/name"
"""Label with the name of an application, on pods of charts and on the program's own that are not a stack's."""

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""Label of every namespace with its name, which the API server sets."""

TEMPLATE_ANNOTATION: Final = f"{PROJECT}/pod-template"
"""Annotation on every pod of a serving stack: hash of its role's pod template."""

DGD_MAX: Final = 27
"""Characters of a DynamoGraphDeployment's name. Grove rejects name + scaling group + clique over 45 characters;
the longest pair here is `prefill` + `prefill-wkr` (7 + 11)."""

DGD_SUFFIX: Final = 4
"""Random characters at the end of a DynamoGraphDeployment's name, after a hyphen."""

STACK_MAX: Final = DGD_MAX - DGD_SUFFIX - 1
"""Characters of a serving stack's name: what the suffix leaves of `DGD_MAX`."""

ENVIRONMENT_MAX: Final = 30
"""Characters of an environment's name: the longest name that contains it, a download's namespace, has 63."""

CLUSTER_MAX: Final = 15
"""Characters of a cluster's name: Google's A4X guide requires fewer than 16, so that derived names fit."""

SERVICE_ACCOUNT_MAX: Final = 30
"""Characters of a Google service account id (6 to 30)."""

DOWNLOAD_NAMESPACE: Final = "model-download"
"""Prefix of the namespaces in which weights are downloaded; the environment's name follows."""

FABRIC_NAMESPACE: Final = "fabric-test"
"""Prefix of the namespaces in which NVLink domains are tested; environment and domain follow."""

SERVING_ACCOUNT: Final = "dynamo-serving"
DOWNLOAD_ACCOUNT: Final = "model-download"
"""Kubernetes service accounts of a stack's pods (read the bucket) and of the download (write it)."""

DNS_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""Used with `fullmatch`: `$` also matches before a newline."""


DNS_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
OBJECT_MAX: Final = 253
"""Form of the name of most Kubernetes objects, and its characters."""


def content_hash(value: str | Mapping[str, Any], length: int = 8) -> str:
    """Hash of a text or a JSON-like mapping, for names that must change with the content."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def bounded(name: str, limit: int) -> str:
    """`name`, or its beginning and a hash of the whole if it is longer than `limit` characters."""
    if len(name) <= limit:
        return name
    digest = content_hash(name, 6)
    return f"{name[: limit - 7].rstrip('-')}-{digest}"


def pools_in(cluster: str, environment: str) -> str:
    """Name that the pools of `environment` in an adopted cluster have together, as a created cluster has its own."""
    return f"{cluster}-{environment}"


def node_account(name: str) -> str:
    """Id of the Google service account of the nodes of a created cluster, or of pools in an adopted one."""
    return bounded(f"{name}-nodes", SERVICE_ACCOUNT_MAX)


def kubernetes_labels(environment: str, **more: str) -> dict[str, str]:
    """Labels for a Kubernetes object of this program: manager and environment."""
    return {
        "app.kubernetes.io/managed-by": "pulumi",
        "app.kubernetes.io/part-of": PROJECT,
        f"{PROJECT}/environment": environment,
        **{f"{PROJECT}/{key}": value for key, value in more.items()},
    }


def gcp_labels(environment: str, **more: str) -> dict[str, str]:
    """Labels for a Google Cloud resource (keys and values of [a-z0-9_-], at most 63 characters)."""
    return {"managed-by": "pulumi", "part-of": PROJECT, "environment": environment, **more}

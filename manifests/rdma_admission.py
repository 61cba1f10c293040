"""The admission policy that keeps RDMA interfaces for serving stacks and fabric tests.

An RDMA NIC is handed to a pod past the network that NetworkPolicies rule, so whoever has one reaches what the workers
listen on. A pod gets one by an annotation (multi-networking), by a resource of its containers, or by a claim (DRANET),
which names a device class. The second gVNIC is not meant: workers leave it to the node and listen on none of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from reference import gke, namespaces
from reference.machines import A4X
from reference.naming import DOMAIN_LABEL, PROJECT, STACK_LABEL

ALLOWED_LABELS: Final = (STACK_LABEL, DOMAIN_LABEL)
"""Labels of the namespaces that may ask: of stacks, in whatever environment, and of fabric tests."""
MOST_CONTAINERS: Final = 1000
"""A pod with more than anybody's counts as asking; its containers are too many to look at."""


def name(environment: str) -> str:
    """Name of the policy and of its binding."""
    return f"{PROJECT}-rdma-{environment}"


def policy() -> dict[str, Any]:
    """Spec of the ValidatingAdmissionPolicy.

    An expression that fails lets the request through (`Ignore`): with `Fail` an error in a condition would stop the
    creation of every pod in the cluster. No request causes an error, though: fields are read only where they are, and
    what is read is bounded, so that nobody exceeds CEL's limit of cost to get through.
    """
    return {
        "failurePolicy": "Ignore",
        "matchConstraints": {
            "resourceRules": [
                # An annotation may come later, the rest of what asks cannot change.
                _rule("", ["pods"], ["CREATE", "UPDATE"]),
                _rule("resource.k8s.io", ["resourceclaims", "resourceclaimtemplates"], ["CREATE"]),
            ]
        },
        "matchConditions": [
            {"name": "outside-the-system", "expression": _OUTSIDE_THE_SYSTEM},
            {
                "name": "asks-for-rdma",
                "expression": " || ".join(f"({way})" for way in (_ANNOTATION, _RESOURCE, _CLAIM)),
            },
        ],
        "validations": [
            {
                "expression": _ALLOWED,
                # With any other reason the API server garbles the message.
                "reason": "Forbidden",
                "message": f"only namespaces of serving stacks (label {STACK_LABEL}) and of fabric tests may ask for "
                "RDMA interfaces, which no NetworkPolicy covers",
            }
        ],
    }


def binding(policy_name: Any) -> dict[str, Any]:
    """Spec of the ValidatingAdmissionPolicyBinding."""
    return {"policyName": policy_name, "validationActions": ["Deny"]}


def _rule(group: str, resources: list[str], operations: list[str]) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        # Requests in other versions are converted (matchPolicy Equivalent, the default).
        "apiVersions": ["v1"],
        "operations": operations,
        "resources": resources,
        "scope": "Namespaced",
    }


def _texts(values: Iterable[str]) -> str:
    """A CEL list of strings."""
    return "[" + ", ".join("'" + value.replace("\\", "\\\\") + "'" for value in values) + "]"


_OUTSIDE_THE_SYSTEM: Final = (
    f"!(request.namespace in {_texts(namespaces.SYSTEM)}) && "
    f"!{_texts(namespaces.SYSTEM_BEGINNINGS)}.exists(start, request.namespace.startsWith(start))"
)


def _annotated(pod: str) -> str:
    return f"has({pod}.metadata.annotations) && '{gke.INTERFACES}' in {pod}.metadata.annotations"


def _annotation(pod: str) -> str:
    return f"{pod}.metadata.annotations['{gke.INTERFACES}']"


# A name stands in JSON as it is, in quotes, or with an escape, which nobody's names need.
_NAMED: Final = _texts([*(f'"{network}"' for network in A4X.rdma_networks), "\\"])
_ANNOTATION: Final = (
    f"{_annotated('object')} && "
    f"(request.operation == 'CREATE' || !({_annotated('oldObject')}) || "
    f"{_annotation('oldObject')} != {_annotation('object')}) && "
    f"{_NAMED}.exists(text, {_annotation('object')}.contains(text))"
)
_CONTAINERS: Final = "object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])"
_RESOURCE: Final = (
    "request.operation == 'CREATE' && has(object.spec.containers) && "
    f"[{_CONTAINERS}].exists(all, all.size() > {MOST_CONTAINERS} || all.exists(container, "
    "has(container.resources) && has(container.resources.limits) && "
    f"{_texts(gke.rdma_resources())}.exists(resource, resource in container.resources.limits)))"
)
_DEVICES: Final = "[object.spec, has(object.spec.spec) ? object.spec.spec : {}]"
_CLAIM: Final = (
    # A claim without requests has null there.
    f"{_DEVICES}.exists(spec, has(spec.devices) && has(spec.devices.requests) && "
    "(spec.devices.requests == null ? [] : spec.devices.requests).exists(asked, "
    f"(has(asked.exactly) && asked.exactly.deviceClassName == '{gke.DRANET_CLASS}') || "
    f"(has(asked.firstAvailable) && asked.firstAvailable.exists(one, one.deviceClassName == '{gke.DRANET_CLASS}'))))"
)
_ALLOWED: Final = (
    "has(namespaceObject.metadata.labels) && "
    f"{_texts(ALLOWED_LABELS)}.exists(label, label in namespaceObject.metadata.labels)"
)

"""Validation of Kubernetes objects with strict JSON schemas, each loaded and compiled once.

Built-in kinds use the schemas packaged with kubernetes-validate (whose own function rereads 1.5 MB at every call).
Custom kinds use `custom_kinds.py`. Unknown fields are rejected everywhere, as by `kubectl` with strict field
validation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, cast

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from rehearsal.simulator.kubernetes import custom_kinds
from rehearsal.simulator.kubernetes.custom_kinds import CustomKind
from rehearsal.simulator.service import Failure
from rehearsal.simulator.values import Props, Unknown, has_unknown

_BASE = "https://kubernetes.io/api/"
_SCOPED_TO_CLUSTER = frozenset(
    [
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "StorageVersion",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    ]
)


class Schemas:
    """The schemas of one Kubernetes version, with the custom kinds of one Dynamo release."""

    def __init__(self, version: str = "1.34", dynamo: str = "0.7.0") -> None:
        """`version` is major.minor; `dynamo` chooses the schema of the DynamoGraphDeployment."""
        self.version = version
        self._folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
        if not self._folder.is_dir():
            raise ValueError(f"kubernetes-validate packages no schemas of Kubernetes {version}")
        self._custom = custom_kinds.kinds(dynamo)
        registry: Registry[Any] = Registry()
        documents = [(f"{_BASE}_definitions.json", _load(self._folder, "_definitions.json"))]
        documents += [custom_kinds.document(name) for name in custom_kinds.catalogs(dynamo)]
        for uri, contents in documents:
            registry = registry.with_resource(uri, Resource[Any].from_contents(contents))
        self._registry = registry
        self._validators: dict[tuple[str, str], Draft202012Validator | None] = {}

    def custom(self, api_version: str, kind: str) -> CustomKind | None:
        """The custom kind, if the embedded cloud knows it."""
        return self._custom.get((api_version, kind))

    def knows(self, api_version: str, kind: str) -> bool:
        """Whether the kind is built in or a known custom kind."""
        return self._validator(api_version, kind) is not None

    def namespaced(self, api_version: str, kind: str) -> bool:
        """Whether the kind is namespaced."""
        known = self.custom(api_version, kind)
        return known.namespaced if known else kind not in _SCOPED_TO_CLUSTER

    def schema(self, api_version: str, kind: str) -> Props | None:
        """The JSON schema of a kind."""
        known = self.custom(api_version, kind)
        if known is not None:
            return known.schema
        # The packaged files are named by the first label of the group: rbac.authorization.k8s.io/v1 -> rbac-v1.
        group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
        file = self._folder / f"{kind.lower()}-{group}.json"
        if not file.is_file():
            return None
        found = _load(self._folder, f"{kind.lower()}-{group}.json")
        described = cast("list[Props]", found.get("x-kubernetes-group-version-kind", []))
        wanted = api_version if "/" in api_version else f"/{api_version}"
        return found if any(f"{d['group']}/{d['version']}" == wanted for d in described) else None

    def failures(self, body: Props, *, partial: bool = False) -> list[Failure]:
        """All violations of the kind's schema; unknown values are skipped.

        A `partial` object (a patch) may lack required fields.
        """
        api_version, kind = str(body.get("apiVersion")), str(body.get("kind"))
        validator = self._validator(api_version, kind)
        if validator is None:
            return [
                Failure(
                    "kind",
                    f'no matches for kind "{kind}" in version "{api_version}" (Kubernetes {self.version})',
                )
            ]
        return [Failure(path, message) for path, message in sorted(set(_errors(validator, body, partial)))]

    def _validator(self, api_version: str, kind: str) -> Draft202012Validator | None:
        key = (api_version, kind)
        if key not in self._validators:
            schema = self.schema(api_version, kind)
            self._validators[key] = (
                Draft202012Validator(schema, registry=self._registry) if schema is not None else None
            )
        return self._validators[key]


@cache
def schemas(version: str = "1.34", dynamo: str = "0.7.0") -> Schemas:
    """The schemas of a version, loaded once per process."""
    return Schemas(version, dynamo)


def _load(folder: Any, name: str) -> Props:
    return cast("Props", json.loads((folder / name).read_text(encoding="utf-8")))


def _errors(validator: Draft202012Validator, body: Props, partial: bool) -> Iterator[tuple[str, str]]:
    # jsonschema is untyped here: its errors are read through Any.
    for error in cast("Iterator[Any]", cast("Any", validator).iter_errors(body)):
        if isinstance(error.instance, Unknown) or (partial and error.validator == "required"):
            continue
        if error.validator in ("anyOf", "oneOf", "not") and has_unknown(error.instance):
            continue
        path = ""
        for step in error.absolute_path:
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
        yield path or "(object)", _shorter(str(error.message))


def _shorter(message: str) -> str:
    return message if len(message) <= 240 else f"{message[:160]} ... {message[-70:]}"

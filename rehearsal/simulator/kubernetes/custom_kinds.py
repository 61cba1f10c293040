"""Custom resource kinds: their fields, and the chart that installs them.

The fields are in `catalog/`, which `tools/custom_kinds.py` generates from the CustomResourceDefinitions of a release:
`additionalProperties` is false throughout, so a misspelt field is rejected instead of silently pruned. It has no CEL
rules; those that matter are rules of the embedded cloud.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, cast

from rehearsal.simulator.values import Props, mapping

CATALOG: Final = Path(__file__).parents[1] / "catalog"

_BASE: Final = "https://kubernetes.io/api/"
_OBJECT_META: Final = "/api/_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_DYNAMO: Final = (
    ((0, 0), "dynamo-0.7.0"),
    ((1, 0), "dynamo-1.0.1"),
    ((1, 2), "dynamo-1.2-near"),
    ((1, 5), "dynamo-1.5-2026-08"),
)
"""Catalog of Dynamo's kinds from a release on."""
_OTHERS: Final = ("dra-driver-25.12.0", "kai-0.17.0", "gke")
_OF_GKE: Final = "gke"
"""Catalog of the kinds that GKE itself installs."""

COMPUTE_DOMAIN = ("resource.nvidia.com/v1beta1", "ComputeDomain")
QUEUE = ("scheduling.run.ai/v2", "Queue")
SHARD = ("kai.scheduler/v1", "SchedulingShard")
KAI_CONFIG = ("kai.scheduler/v1", "Config")
TOPOLOGY = ("kai.scheduler/v1alpha1", "Topology")
KUEUE_TOPOLOGY = ("kueue.x-k8s.io/v1alpha1", "Topology")
DEVICE_NETWORK = ("networking.gke.io/v1", "Network")
PARAM_SET = ("networking.gke.io/v1", "GKENetworkParamSet")

KAI_CRDS = (
    QUEUE,
    ("scheduling.run.ai/v2alpha2", "PodGroup"),
    ("scheduling.run.ai/v1alpha2", "BindRequest"),
    KAI_CONFIG,
    SHARD,
    TOPOLOGY,
)
DRA_CRDS = (COMPUTE_DOMAIN, ("resource.nvidia.com/v1beta1", "ComputeDomainClique"))


@dataclass(frozen=True)
class CustomKind:
    """One custom kind: its scope and schema, and whether GKE itself installs it."""

    api_version: str
    kind: str
    namespaced: bool
    schema: Props
    builtin: bool = False


def catalogs(dynamo: str) -> tuple[str, ...]:
    """Names of the catalogs that apply to one Dynamo release."""
    release = tuple(int(part) for part in dynamo.split(".")[:2])
    return (next(name for first, name in reversed(_DYNAMO) if first <= release), *_OTHERS)


@cache
def read(name: str) -> Props:
    """One catalog."""
    return cast("Props", json.loads((CATALOG / f"{name}.json").read_text(encoding="utf-8")))


def document(name: str) -> tuple[str, Props]:
    """URI and content of a catalog's types, as a JSON schema document."""
    address = f"{_BASE}_{name}.json"
    return address, {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": address,
        "types": read(name)["types"],
    }


def kinds(dynamo: str) -> dict[tuple[str, str], CustomKind]:
    """Every custom kind by (apiVersion, kind), for one Dynamo release."""
    found: dict[tuple[str, str], CustomKind] = {}
    for name in catalogs(dynamo):
        for full, described in mapping(read(name), "kinds").items():
            api_version, _, kind = full.rpartition("/")
            reference = f"{document(name)[0]}{mapping(cast('Props', described), 'spec')['$ref']}"
            found[api_version, kind] = CustomKind(
                api_version,
                kind,
                bool(cast("Props", described)["namespaced"]),
                # An empty Config of KAI is the default; any other object without a spec is a mistake.
                _envelope((api_version, kind), reference, bare=(api_version, kind) == KAI_CONFIG),
                builtin=name == _OF_GKE,
            )
    return found


def _envelope(name: tuple[str, str], spec: str, *, bare: bool) -> Props:
    """A kind's schema around that of its spec, which is optional if `bare`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{_BASE}{name[1].lower()}-{name[0].replace('/', '-')}",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string", "enum": [name[0]]},
            "kind": {"type": "string", "enum": [name[1]]},
            "metadata": {"$ref": _OBJECT_META},
            "spec": {"$ref": spec},
        },
        "required": ["apiVersion", "kind", "metadata", *(() if bare else ("spec",))],
        "additionalProperties": False,
    }

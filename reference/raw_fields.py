"""Fields of the provider that have no setting of their own: which there are, and which the program keeps for itself.

A user writes them as Pulumi's reference of `gcp.container.Cluster` and `NodePool` does, in camelCase.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

from validation.problems import Problem

Kind = Literal["Cluster", "NodePool"]

_CATALOG: Final = Path(__file__).with_name("catalog") / "gke_fields.json"
"""Written by `tools.provider_fields` from the pinned provider."""
_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}

OWN: Final[Mapping[Kind, tuple[str, ...]]] = {
    "Cluster": (
        "addonsConfig.dnsCacheConfig",
        "addonsConfig.gcePersistentDiskCsiDriverConfig",
        "addonsConfig.gcpFilestoreCsiDriverConfig",
        "addonsConfig.gcsFuseCsiDriverConfig",
        "addonsConfig.parallelstoreCsiDriverConfig",
        "anonymousAuthenticationConfig",
        "authenticatorGroupsConfig",
        "binaryAuthorization",
        "controlPlaneEndpointsConfig",
        "costManagementConfig",
        "databaseEncryption",
        "datapathProvider",
        "deletionProtection",
        "enableAutopilot",
        "enableMultiNetworking",
        "enableShieldedNodes",
        "fleet",
        "initialNodeCount",
        "ipAllocationPolicy",
        "location",
        "loggingConfig.enableComponents",
        "maintenancePolicy",
        "masterAuthorizedNetworksConfig",
        "minMasterVersion",
        "monitoringConfig.enableComponents",
        "monitoringConfig.managedPrometheus",
        "name",
        "network",
        "networkingMode",
        "nodeConfig",
        "nodeLocations",
        "nodePoolDefaults",
        "nodePools",
        "nodeVersion",
        "privateClusterConfig",
        "privateIpv6GoogleAccess",
        "project",
        "rbacBindingConfig",
        "releaseChannel",
        "removeDefaultNodePool",
        "resourceLabels",
        "subnetwork",
        "verticalPodAutoscaling",
        "workloadIdentityConfig",
    ),
    "NodePool": (
        "autoscaling",
        "cluster",
        "initialNodeCount",
        "location",
        "management",
        "name",
        "namePrefix",
        "networkConfig",
        "nodeConfig.bootDisk",
        "nodeConfig.bootDiskKmsKey",
        "nodeConfig.diskSizeGb",
        "nodeConfig.diskType",
        "nodeConfig.ephemeralStorageLocalSsdConfig",
        "nodeConfig.flexStart",
        "nodeConfig.guestAccelerators",
        "nodeConfig.gvnic",
        "nodeConfig.hostMaintenancePolicy",
        "nodeConfig.imageType",
        "nodeConfig.kubeletConfig",
        "nodeConfig.labels",
        "nodeConfig.linuxNodeConfig.hugepagesConfig",
        "nodeConfig.linuxNodeConfig.sysctls",
        "nodeConfig.machineType",
        "nodeConfig.metadata",
        "nodeConfig.oauthScopes",
        "nodeConfig.preemptible",
        "nodeConfig.reservationAffinity",
        "nodeConfig.resourceLabels",
        "nodeConfig.resourceManagerTags",
        "nodeConfig.serviceAccount",
        "nodeConfig.shieldedInstanceConfig",
        "nodeConfig.spot",
        "nodeConfig.tags",
        "nodeConfig.taints",
        "nodeConfig.workloadMetadataConfig",
        "nodeCount",
        "nodeLocations",
        "placementPolicy",
        "project",
        "queuedProvisioning",
        "upgradeSettings",
        "version",
    ),
}
"""What the program sets itself, and what would make the resource another one."""


def problems(kind: Kind, raw: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """Everything that is wrong with the raw fields of a cluster or pool; `key` is the config's."""
    yield from _of_object(kind, kind, raw, key, "")


def translated(kind: Kind, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The raw fields under the SDK's names. They must have no problems."""
    return _object(kind, raw)


@cache
def _types() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    return json.loads(_CATALOG.read_text(encoding="utf-8"))


def _of_object(kind: Kind, type_: str, raw: Mapping[str, Any], key: str, path: str) -> Iterator[Problem]:
    fields = _types()[type_]
    for name, value in raw.items():
        here, at = f"{key}.{name}", f"{path}{name}"
        if at in OWN[kind]:
            rule = "the program sets this field itself, or has a key of its own for it"
            yield Problem(here, value, rule, "remove it; docs/reference/config.md lists the keys")
        elif name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            fix = f"did you mean {close[0]!r}? " if close else ""
            fix += f"Pulumi's reference of gcp.container.{kind} lists them"
            yield Problem(here, value, f"the provider's {kind} has no such field here", fix)
        else:
            yield from _of_value(kind, fields[name][1], value, here, f"{at}.")


def _of_value(kind: Kind, type_: str, value: object, key: str, path: str) -> Iterator[Problem]:
    if type_.startswith("["):
        if not isinstance(value, list):
            yield Problem(key, value, "must be a list", "write a list")
            return
        for i, item in enumerate(cast("list[Any]", value)):
            yield from _of_value(kind, type_[1:-1], item, f"{key}[{i}]", path)
    elif type_ in _SCALARS:
        if not isinstance(value, _SCALARS[type_]) or (isinstance(value, bool) and type_ != "boolean"):
            article = "an" if type_[0] in "aeiou" else "a"
            yield Problem(key, value, f"the provider takes {article} {type_} here", "write one")
    elif not isinstance(value, Mapping):
        yield Problem(key, value, "must be a mapping", "write a mapping")
    elif type_ != "map":
        yield from _of_object(kind, type_, cast("Mapping[str, Any]", value), key, path)


def _object(type_: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    fields = _types()[type_]
    return {fields[name][0]: _value(fields[name][1], value) for name, value in raw.items()}


def _value(type_: str, value: Any) -> Any:
    if type_.startswith("["):
        return [_value(type_[1:-1], item) for item in value]
    return value if type_ in _SCALARS or type_ == "map" else _object(type_, value)

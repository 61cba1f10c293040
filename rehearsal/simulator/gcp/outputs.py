"""Outputs that Google Cloud computes: links, addresses, emails, endpoints."""

from __future__ import annotations

import base64
import copy
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from rehearsal.simulator.gcp.rules import (
    ACCOUNT,
    BUCKET,
    CLUSTER,
    CRYPTO_KEY,
    CUSTOM_ROLE,
    IDENTITY_POOL,
    IDENTITY_PROVIDER,
    NODE_POOL,
    RULES,
    short,
)
from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import UNKNOWN, Props, items, many, mapping, text

GKE_VERSION = "1.34.1-gke.3971000"
"""Default control plane version of the embedded cloud, supported by the default Dynamo profile."""
_HOSTS = {
    "compute": "https://www.googleapis.com/compute/v1",
    "container": "https://container.googleapis.com/v1",
}


def full_version(wanted: str) -> str:
    """The version that GKE resolves a version or prefix to: `1.35` becomes one of its patch releases."""
    if "gke" in wanted or not wanted:
        return wanted or GKE_VERSION
    return f"{'.'.join(wanted.split('.')[:2])}.1-gke.1000000"


def project_number(project: str) -> str:
    """A stable number of 12 digits for a project id (only Google knows the real one)."""
    return str(100_000_000_000 + sum(ord(c) * 131**i for i, c in enumerate(project)) % 900_000_000_000)


def before(kind: str, placed: Props, outputs: Mapping[str, Any]) -> Props:
    """Outputs that the plugin knows before the object exists: project and location, and an account's email."""
    known: Props = {key: placed[key] for key in ("project", "region", "location") if key in outputs and key in placed}
    if kind == ACCOUNT and isinstance(placed.get("accountId"), str):
        known["email"] = _email(placed)
        known["member"] = f"serviceAccount:{known['email']}"
    if kind == CLUSTER:
        known["masterAuth"] = UNKNOWN
        known["controlPlaneEndpointsConfig"] = UNKNOWN
        known["privateClusterConfig"] = UNKNOWN
    return known


def after(state: CloudState, kind: str, id_: str, placed: Props, outputs: Mapping[str, Any]) -> Props:
    """The computed outputs of an existing object."""
    place = ("project", "region", "location", "name")
    made: Props = {key: placed[key] for key in place if key in outputs and key in placed}
    service = kind.split(":")[1].split("/", maxsplit=1)[0]
    labels = mapping(placed, "labels") or mapping(placed, "resourceLabels")
    common: Props = {
        "selfLink": f"{_HOSTS.get(service, f'https://www.googleapis.com/{service}/v1')}/{id_}",
        "name": short(id_),
        "effectiveLabels": labels,
        "pulumiLabels": labels,
    }
    for key in ("etag", "fingerprint", "labelFingerprint"):
        common[key] = state.text(11, "abcdefghijklmnopqrstuvwxyz0123456789") + "="
    made = {**{key: value for key, value in common.items() if key in outputs}, **made}
    return {**made, **(_MAKERS[kind](state, id_, placed) if kind in _MAKERS else {})}


def in_own_order(kind: str, props: Props) -> Props:
    """`props` with the lists that the service returns in an order of its own: here, sorted in reverse."""
    paths = RULES[kind].reordered if kind in RULES else ()
    if not paths:
        return props
    result = copy.deepcopy(props)
    for path in paths:
        holder, _, field = path.rpartition(".")
        if many(result, path):
            mapping(result, holder)[field] = sorted(many(result, path), reverse=True)
    return result


def merged(kind: str, old: Props, given: Props) -> Props:
    """Computed parts of given fields, which survive an update."""
    if kind != CLUSTER:
        return {}
    return {
        "masterAuth": old.get("masterAuth"),
        "controlPlaneEndpointsConfig": _endpoints(given, _dns(old), old),
        **_addresses(given, text(old, "privateClusterConfig.publicEndpoint"), old),
    }


def deleted(kind: str, outputs: Props) -> Props:
    """Outputs of what a delete leaves behind: a key without usable versions, a pool that is kept for 30 days."""
    if kind == CRYPTO_KEY:
        return {"primaries": [{**version, "state": "DESTROY_SCHEDULED"} for version in items(outputs, "primaries")]}
    return {"state": "DELETED"} if "state" in outputs else {}


def _dns(outputs: Props) -> str:
    return str(mapping(outputs, "controlPlaneEndpointsConfig.dnsEndpointConfig").get("endpoint", ""))


def _email(placed: Props) -> str:
    return f"{placed['accountId']}@{placed['project']}.iam.gserviceaccount.com"


def _endpoints(placed: Props, dns: str, old: Props) -> Props:
    given = mapping(placed, "controlPlaneEndpointsConfig")
    by_ip = mapping(given, "ipEndpointsConfig") or mapping(old, "controlPlaneEndpointsConfig.ipEndpointsConfig")
    return {
        **given,
        "dnsEndpointConfig": {**mapping(given, "dnsEndpointConfig"), "endpoint": dns},
        "ipEndpointsConfig": by_ip or {"enabled": True},
    }


def _addresses(placed: Props, public: str, old: Props) -> Props:
    """The control plane's addresses: a cluster has both, and answers at the private one alone if that is asked for."""
    config = mapping(placed, "privateClusterConfig")
    cidr = text(config, "masterIpv4CidrBlock") or text(old, "privateClusterConfig.masterIpv4CidrBlock")
    inside = str(ipaddress.IPv4Network(cidr)[2]) if cidr else f"10{public[public.index('.') :]}"
    private = config.get("enablePrivateEndpoint") is True
    return {
        "endpoint": inside if private else public,
        "privateClusterConfig": {**config, "privateEndpoint": inside, "publicEndpoint": public},
    }


def _account(state: CloudState, id_: str, placed: Props) -> Props:
    email = _email(placed)
    identity = {"email": email, "member": f"serviceAccount:{email}"}
    return {"name": id_, "uniqueId": state.text(21, "123456789"), **identity}


def _bucket(_: CloudState, id_: str, placed: Props) -> Props:
    return {
        "url": f"gs://{id_}",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{id_}",
        "projectNumber": int(project_number(str(placed["project"]))),
        "location": str(placed["location"]).upper(),
    }


def _cluster(state: CloudState, _: str, placed: Props) -> Props:
    certificate = base64.b64encode(f"embedded cloud, cluster {placed['name']}".encode()).decode()
    octets = [state.random.randrange(1, 255) for _ in range(3)]
    endpoint = ".".join(map(str, [34, *octets]))
    number, region = project_number(str(placed["project"])), str(placed["location"])
    dns = f"gke-{state.text(28)}-{number}.{region}.gke.goog"
    return {
        **_addresses(placed, endpoint, {}),
        "masterAuth": {"clusterCaCertificate": certificate},
        "masterVersion": full_version(str(placed.get("minMasterVersion") or "")),
        "controlPlaneEndpointsConfig": _endpoints(placed, dns, {}),
        "clusterIpv4Cidr": "10.4.0.0/14",
        "servicesIpv4Cidr": "10.0.32.0/20",
    }


def _node_pool(state: CloudState, _: str, placed: Props) -> Props:
    zones = placed.get("nodeLocations") or [f"{placed['location']}-b"]
    group = f"gke-{placed['cluster']}-{placed.get('name')}-{state.text(8)}-grp"
    groups = [f"{_HOSTS['compute']}/projects/{placed['project']}/zones/{zone}/instanceGroups/{group}" for zone in zones]
    return {
        "instanceGroupUrls": groups,
        "managedInstanceGroupUrls": groups,
        "nodeLocations": zones,
        "version": placed.get("version") or GKE_VERSION,
    }


def _crypto_key(_: CloudState, id_: str, __: Props) -> Props:
    return {"primaries": [{"name": f"{id_}/cryptoKeyVersions/1", "state": "ENABLED"}]}


def _custom_role(_: CloudState, id_: str, __: Props) -> Props:
    return {"name": id_, "deleted": False}


def _federation(_: CloudState, id_: str, placed: Props) -> Props:
    """A pool or its provider: named by the project's number, where its id has the project's id."""
    project = str(placed["project"])
    return {"name": id_.replace(f"projects/{project}/", f"projects/{project_number(project)}/", 1), "state": "ACTIVE"}


_MAKERS: dict[str, Callable[[CloudState, str, Props], Props]] = {
    ACCOUNT: _account,
    BUCKET: _bucket,
    CLUSTER: _cluster,
    CRYPTO_KEY: _crypto_key,
    CUSTOM_ROLE: _custom_role,
    IDENTITY_POOL: _federation,
    IDENTITY_PROVIDER: _federation,
    NODE_POOL: _node_pool,
}

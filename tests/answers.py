"""What the providers would answer: computed outputs of resources, and results of invokes.

Only outputs that a provider really computes stand here; everything else is the inputs given back. Invokes are
answered from a table that a test can replace entry by entry, and an invoke without an entry is refused, since
each one is a call to the cloud that somebody must have decided on.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Answer = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Result of an invoke, or a function from its arguments to the result; keys in camelCase as on the wire."""

CA_CERTIFICATE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nmock\n-----END CERTIFICATE-----\n").decode()
ENDPOINT = "203.0.113.10"
"""Address of every mocked control plane (TEST-NET-3: it is nobody's)."""

PRIVATE_ENDPOINT = "172.16.0.2"
"""Its address inside the VPC."""

DNS_ENDPOINT = "gke-0123456789abcdef.mock-region.gke.goog"
GKE_VERSION = "1.34.1-gke.2037001"

PROJECT = "mock-project"
PROJECT_NUMBER = "123456789012"

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def random_string(name: str, inputs: Mapping[str, Any]) -> str:
    """What RandomString `name` yields: the right length and alphabet, the same on every run."""
    alphabet = ""
    for flag, letters in (("lower", _LETTERS), ("upper", _LETTERS.upper()), ("numeric", "0123456789")):
        if inputs.get(flag, True):
            alphabet += letters
    number = int(_digest(name), 16)
    text = ""
    for _ in range(int(inputs.get("length", 8))):
        number, index = divmod(number, len(alphabet))
        text += alphabet[index]
    return text


def _endpoints(inputs: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(inputs.get("controlPlaneEndpointsConfig") or {})
    config["dnsEndpointConfig"] = {**config.get("dnsEndpointConfig", {}), "endpoint": DNS_ENDPOINT}
    return config


def _bootstrap(kind: str, project: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    federation = f"locations/global/workloadIdentityPools/{inputs.get('workloadIdentityPoolId')}"
    path = {
        "IAMCustomRole": f"roles/{inputs.get('roleId')}",
        "KeyRing": f"locations/{inputs.get('location')}/keyRings/{inputs.get('name')}",
        "WorkloadIdentityPool": federation,
        "WorkloadIdentityPoolProvider": f"{federation}/providers/{inputs.get('workloadIdentityPoolProviderId')}",
    }
    if kind == "CryptoKey":
        return f"{inputs['keyRing']}/cryptoKeys/{inputs['name']}", {}
    identity = f"projects/{project}/{path[kind]}"
    if kind == "KeyRing":
        return identity, {}
    return identity, {"name": identity if kind == "IAMCustomRole" else f"projects/{PROJECT_NUMBER}/{path[kind]}"}


def _gcp(type_: str, name: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    project, called = inputs.get("project", PROJECT), inputs.get("name", name)
    kind = type_.rsplit(":", 1)[-1]
    match kind:
        case "Account":
            email = f"{inputs['accountId']}@{project}.iam.gserviceaccount.com"
            identity = f"projects/{project}/serviceAccounts/{email}"
            return identity, {"email": email, "name": identity, "member": f"serviceAccount:{email}"}
        case "CryptoKey" | "IAMCustomRole" | "KeyRing" | "WorkloadIdentityPool" | "WorkloadIdentityPoolProvider":
            return _bootstrap(kind, project, inputs)
        case "Cluster":
            return f"projects/{project}/locations/{inputs.get('location')}/clusters/{called}", {
                "endpoint": ENDPOINT,
                "privateClusterConfig": {
                    **(inputs.get("privateClusterConfig") or {}),
                    "privateEndpoint": PRIVATE_ENDPOINT,
                },
                "masterAuth": {"clusterCaCertificate": CA_CERTIFICATE},
                "masterVersion": inputs.get("minMasterVersion", GKE_VERSION),
                "controlPlaneEndpointsConfig": _endpoints(inputs),
            }
        case _:
            return f"projects/{project}/{kind}/{called}", {}


def _kubernetes(type_: str, name: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if type_ == "kubernetes:helm.sh/v3:Release":
        called = inputs.get("name") or f"{name}-{_digest(name)[:8]}"
        namespace = inputs.get("namespace", "default")
        status = {"name": called, "namespace": namespace, "revision": 1, "status": "deployed"}
        status["version"] = str(inputs.get("version", ""))
        return f"{namespace}/{called}", {"name": called, "namespace": namespace, "status": status}
    metadata = dict(inputs.get("metadata") or {})
    metadata.setdefault("name", f"{name}-{_digest(name)[:8]}")
    metadata |= {"uid": _digest(type_, name)[:32], "resourceVersion": "1", "generation": 1}
    identity = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
    return identity, {"metadata": metadata}


def resource(type_: str, name: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Id and computed outputs of a resource; the caller lays the outputs over the inputs (keys in camelCase)."""
    if type_.startswith("gcp:"):
        return _gcp(type_, name, inputs)
    if type_.startswith("kubernetes:"):
        return _kubernetes(type_, name, inputs)
    if type_ == "random:index/randomBytes:RandomBytes":
        drawn = hashlib.sha512(name.encode()).digest()[: int(inputs["length"])]
        return "none", {"base64": base64.b64encode(drawn).decode(), "hex": drawn.hex()}
    if type_.startswith("random:"):
        drawn = random_string(name, inputs)
        return "none" if type_.endswith(":RandomPassword") else drawn, {"result": drawn}
    return f"{name}-id", {}


def node_pool(name: str, zone: str = "mock-region-a", nodes: int = 18) -> dict[str, Any]:
    """A pool of A4X nodes of an existing cluster, made as Google's recipe makes it."""
    additional = [{"network": f"vpc-{index}", "subnetwork": f"subnet-{index}"} for index in range(5)]
    return {
        "name": name,
        "nodeLocations": [zone],
        "nodeCount": nodes,
        "initialNodeCount": nodes,
        "networkConfigs": [{"additionalNodeNetworkConfigs": additional}],
        "nodeConfigs": [{"machineType": "a4x-highgpu-4g"}],
    }


def cluster(arguments: Mapping[str, Any], pools: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """An existing cluster that fits the recipe: what `getCluster` answers; tests spoil single fields of it."""
    name, project = arguments["name"], arguments.get("project", PROJECT)
    location = arguments.get("location", "mock-region")
    identity = f"projects/{project}/locations/{location}/clusters/{name}"
    return {
        "id": identity,
        "name": name,
        "project": project,
        "location": location,
        "endpoint": ENDPOINT,
        "selfLink": f"https://container.googleapis.com/v1/{identity}",
        "masterAuths": [{"clusterCaCertificate": CA_CERTIFICATE}],
        "masterVersion": GKE_VERSION,
        "minMasterVersion": GKE_VERSION,
        "controlPlaneEndpointsConfigs": [
            {"dnsEndpointConfigs": [{"endpoint": DNS_ENDPOINT, "allowExternalTraffic": True}]}
        ],
        "enableMultiNetworking": True,
        "datapathProvider": "ADVANCED_DATAPATH",
        "workloadIdentityConfigs": [{"workloadPool": f"{project}.svc.id.goog"}],
        "addonsConfigs": [{"gcsFuseCsiDriverConfigs": [{"enabled": True}]}],
        "network": f"projects/{project}/global/networks/default",
        "subnetwork": f"projects/{project}/regions/{location}/subnetworks/default",
        "nodePools": [dict(pool) for pool in pools],
    }


def bucket(arguments: Mapping[str, Any], region: str = "mock-region") -> dict[str, Any]:
    """An existing bucket in `region`: what `getBucket` answers."""
    name = arguments["name"]
    return {
        "id": name,
        "name": name,
        "url": f"gs://{name}",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
        "location": region.upper(),
        "uniformBucketLevelAccess": True,
    }


GET_CLUSTER = "gcp:container/getCluster:getCluster"
GET_STORAGE_AGENT = "gcp:storage/getProjectServiceAccount:getProjectServiceAccount"
GET_BUCKET = "gcp:storage/getBucket:getBucket"


def invokes(config: Mapping[str, str], namespace: str) -> dict[str, Answer]:
    """Answers by token: a cloud that holds just what this config adopts.

    Args:
        config: stack config by full key, encoded as the program gets it.
        namespace: namespace of the project's own keys.
    """
    region = config.get("gcp:region", "mock-region")
    try:
        domains = json.loads(config.get(f"{namespace}:domains", "[]"))
        adopted = [d for d in domains if d.get("mode") == "adopt"]
        pools = [node_pool(d["name"], d["zone"], int(d.get("nodes", 18))) for d in adopted]
    except (ValueError, KeyError, TypeError, AttributeError):
        pools = []  # a test of bad config: the program refuses it before it asks

    return {
        GET_CLUSTER: lambda arguments: cluster(arguments, pools),
        GET_STORAGE_AGENT: {"emailAddress": f"service-{PROJECT_NUMBER}@gs-project-accounts.iam.gserviceaccount.com"},
        GET_BUCKET: lambda arguments: bucket(arguments, region),
    }

"""Results of the Google Cloud functions that a program may call: what adoption reads, and a few constants."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args, get_origin

# Not public, as in sdk_schema.
from pulumi import _types as sdk_types  # pyright: ignore[reportPrivateUsage] - see above

from rehearsal.simulator.gcp.outputs import GKE_VERSION, project_number
from rehearsal.simulator.gcp.rules import ACCOUNT, BUCKET, CLUSTER, NETWORK, NODE_POOL, SUBNETWORK, short
from rehearsal.simulator.state import ApiError, CloudState
from rehearsal.simulator.values import Props


def answer(state: CloudState, config: Props, token: str, args: Props) -> Props:
    """The result of one function call; raises `ApiError` if the real one fails or it is not modelled."""
    project = str(args.get("project") or config.get("project") or "")
    region = str(args.get("location") or args.get("region") or config.get("region") or "")
    ask = Question(state, args, project, region)
    if token not in _ANSWERS:
        raise ApiError(f"the embedded cloud has no answer for the function {token}")
    return _ANSWERS[token](ask)


@dataclass(frozen=True)
class Question:
    """A function call: its arguments, with project and region from the provider's configuration."""

    state: CloudState
    args: Props
    project: str
    region: str


def _bucket(ask: Question) -> Props:
    found = ask.state.get(BUCKET, str(ask.args["name"]))
    if found is None:
        raise ApiError("googleapi: Error 404: The specified bucket does not exist., notFound")
    return {**found.outputs, "id": found.id}


def _network(ask: Question) -> Props:
    return _named(ask, NETWORK, f"projects/{ask.project}/global/networks/{ask.args['name']}")


def _subnetwork(ask: Question) -> Props:
    name = ask.args.get("name")
    return _named(ask, SUBNETWORK, f"projects/{ask.project}/regions/{ask.region}/subnetworks/{name}")


def _account(ask: Question) -> Props:
    account = short(str(ask.args["accountId"]))
    email = account if "@" in account else f"{account}@{ask.project}.iam.gserviceaccount.com"
    return _named(ask, ACCOUNT, f"projects/{ask.project}/serviceAccounts/{email}")


def _engine_versions(_: Question) -> Props:
    channels = dict.fromkeys(("RAPID", "REGULAR", "STABLE"), GKE_VERSION)
    return {
        "id": "versions",
        "defaultClusterVersion": GKE_VERSION,
        "latestMasterVersion": GKE_VERSION,
        "latestNodeVersion": GKE_VERSION,
        "releaseChannelDefaultVersion": channels,
        "releaseChannelLatestVersion": channels,
        "validMasterVersions": [GKE_VERSION],
        "validNodeVersions": [GKE_VERSION],
    }


def _project(ask: Question) -> Props:
    name = str(ask.args.get("projectId") or ask.project)
    return {"id": f"projects/{name}", "projectId": name, "name": name, "number": project_number(name)}


def _storage_agent(ask: Question) -> Props:
    email = f"service-{project_number(ask.project)}@gs-project-accounts.iam.gserviceaccount.com"
    return {"id": email, "emailAddress": email, "member": f"serviceAccount:{email}", "project": ask.project}


def _client_config(ask: Question) -> Props:
    place = {"project": ask.project, "region": ask.region, "zone": ""}
    return {"id": "config", "accessToken": "embedded", **place}


def _named(ask: Question, kind: str, id_: str) -> Props:
    found = ask.state.get(kind, id_)
    if found is None:
        raise ApiError(f"googleapi: Error 404: The resource '{id_}' was not found, notFound")
    return {**found.outputs, "id": found.id}


def _cluster(ask: Question) -> Props:
    id_ = f"projects/{ask.project}/locations/{ask.region}/clusters/{ask.args['name']}"
    found = ask.state.get(CLUSTER, id_)
    if found is None:
        raise ApiError(f"googleapi: Error 404: Not found: {id_}., notFound")
    pools = ask.state.find(NODE_POOL, where=lambda resource: resource.id.startswith(f"{id_}/"))
    known = {**found.outputs, "id": id_, "nodePools": [pool.outputs for pool in pools]}
    # Imported lazily: it takes long, and most calls do not need it.
    result = importlib.import_module("pulumi_gcp.container").GetClusterResult
    types = cast("dict[str, Any]", sdk_types.output_type_types(result))
    return {**dict.fromkeys(types), **_listed(known, types)}


def _listed(value: Props, types: Mapping[str, Any]) -> Props:
    """A resource's outputs in the format of a data source, which wraps every single object in a list."""
    result: Props = {}
    for key, hint in types.items():
        found = value.get(key, value.get(key.removesuffix("s")))
        if found is None:
            continue
        result[key] = _converted(found, hint)
    return result


def _converted(value: Any, hint: Any) -> Any:
    inner: Any = sdk_types.unwrap_type(hint)
    if get_origin(inner) is Sequence:
        many = cast("list[Any]", value) if isinstance(value, list) else [value]
        return [_converted(item, get_args(inner)[0]) for item in many]
    if isinstance(value, dict) and sdk_types.is_output_type(inner):
        return _listed(cast("Props", value), cast("dict[str, Any]", sdk_types.output_type_types(inner)))
    return cast("Any", value)


_ANSWERS: dict[str, Callable[[Question], Props]] = {
    "gcp:container/getCluster:getCluster": _cluster,
    "gcp:container/getEngineVersions:getEngineVersions": _engine_versions,
    "gcp:storage/getBucket:getBucket": _bucket,
    "gcp:storage/getProjectServiceAccount:getProjectServiceAccount": _storage_agent,
    "gcp:compute/getNetwork:getNetwork": _network,
    "gcp:compute/getSubnetwork:getSubnetwork": _subnetwork,
    "gcp:serviceaccount/getAccount:getAccount": _account,
    "gcp:organizations/getProject:getProject": _project,
    "gcp:organizations/getClientConfig:getClientConfig": _client_config,
}

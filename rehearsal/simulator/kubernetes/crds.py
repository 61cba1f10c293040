"""CustomResourceDefinitions in a cluster: of which release they are, which versions they serve, and who converts them.

Helm deletes none of them. What a chart has in its folder `crds/` is installed only where it is missing (Helm's guide on
custom resource definitions); what an operator applies itself replaces what is there.
"""

from __future__ import annotations

from collections.abc import Iterable

from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import items, text
from rehearsal.simulator.workloads import graphs, platforms, serving

CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"


def serve(
    state: CloudState, cluster: str, kinds: Iterable[tuple[str, str]], release: str = "", *, over: bool = False
) -> None:
    """Install custom kinds of a release; `over` replaces those that are there."""
    for api_version, kind in kinds:
        group, _, version = api_version.rpartition("/")
        found = state.get(CRD, name_of(api_version, kind), cluster)
        versions, storage = [version], version
        if kind == graphs.KIND and release:
            platform = platforms.of(release)
            versions = [one.rpartition("/")[2] for one in platform.versions]
            storage = platform.storage.rpartition("/")[2]
        spec = {
            "group": group,
            "names": {"kind": kind},
            "versions": [{"name": one, "served": True, "storage": one == storage} for one in versions],
        }
        name = name_of(api_version, kind)
        outputs = {"metadata": {"name": name}, "spec": spec, "release": release}
        if found is None:
            state.add(CloudResource(CRD, cluster, name, {}, outputs, origin="service"))
        elif over:
            found.outputs = outputs


def serves(state: CloudState, cluster: str, api_version: str, kind: str) -> bool:
    """Whether a custom kind is served in this version."""
    found = state.get(CRD, name_of(api_version, kind), cluster)
    if found is None:
        return False
    versions = {text(one, "name") for one in items(found.outputs, "spec.versions")}
    return not versions or api_version.rpartition("/")[2] in versions


def release_of(state: CloudState, cluster: str, api_version: str, kind: str) -> str:
    """The release that a kind is of; empty if it is not there, or of no release in particular."""
    found = state.get(CRD, name_of(api_version, kind), cluster)
    return text(found.outputs, "release") if found is not None else ""


def dynamo(state: CloudState, cluster: str) -> str:
    """The Dynamo release that the kinds in a cluster are of; empty if there are none."""
    return release_of(state, cluster, graphs.V1ALPHA1, graphs.KIND)


def require_conversion(state: CloudState, cluster: str, token: str) -> None:
    """Every call in another version than the stored one needs the operator's webhook (M15, N16)."""
    release = dynamo(state, cluster) if token in graphs.TOKENS else ""
    if not release or serving.operator(state, cluster) is not None:
        return
    stored, asked = platforms.of(release).storage, token.split(":")[1]
    if len(platforms.of(release).versions) > 1 and asked != stored:
        raise ApiError(
            f"conversion webhook for {stored}, Kind={graphs.KIND} failed: service "
            f'"dynamo-platform-dynamo-operator-webhook-service" not found (the platform that converts {asked} is gone)'
        )


def name_of(api_version: str, kind: str) -> str:
    """The name of a kind's definition."""
    plural = kind.lower()
    plural = f"{plural.removesuffix('y')}ies" if plural.endswith("y") else f"{plural}s"
    return f"{plural}.{api_version.rpartition('/')[0]}"

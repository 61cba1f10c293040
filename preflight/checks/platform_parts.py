"""Parts of the Dynamo platform that somebody else runs: Grove, and the custom resource definitions."""

from __future__ import annotations

from typing import Final

from preflight.results import NO_CLUSTER, Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import images
from reference.dynamo import PROFILES
from reference.platform_parts import GROVE_CRDS, GROVE_OPERATOR

_GROVE_API: Final = "v1alpha1"
"""Version of Grove's kinds that the operator of every known release writes."""


def grove(site: Site) -> Outcome:
    """Grove runs, and serves its kinds in the version that Dynamo's operator writes."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    profile = PROFILES[site.settings.dynamo.version]
    fix = f"install Grove {profile.grove_version}, or set dynamo.grove: create"
    found = site.cloud.deployments(cluster, GROVE_OPERATOR)
    if not found:
        return failed(f"no Deployment {GROVE_OPERATOR} runs in the cluster", fix)
    served = site.cloud.crds(cluster, GROVE_CRDS)
    missing = [name for name in GROVE_CRDS if _GROVE_API not in served.get(name, ())]
    if missing:
        return failed(f"Grove's CRDs {', '.join(missing)} are not served in {_GROVE_API}", fix)
    namespace, tag = found[0].namespace, images.tag(found[0].image)
    if not found[0].available:
        return failed(
            f"Grove {tag} in {namespace} has no available pod",
            f"kubectl describe deployment {GROVE_OPERATOR} -n {namespace}",
        )
    if tag != profile.grove_version:
        return warned(
            f"Grove {tag} in {namespace} was not run with Dynamo {profile.version}, whose chart has "
            f"{profile.grove_version}",
            f"install {profile.grove_version}",
        )
    return passed(f"Grove {tag} runs in {namespace}")


def crds(site: Site) -> Outcome:
    """Dynamo's custom resource definitions are there, and the graph's is served in the version of the graph."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    profile = PROFILES[site.settings.dynamo.version]
    fix = f"kubectl apply --server-side -f CRDS_OF_DYNAMO_{profile.version}, or set dynamo.crds: create"
    served = site.cloud.crds(cluster, profile.crds)
    missing = [name for name in profile.crds if name not in served]
    if missing:
        return failed(f"the cluster has no CRDs {', '.join(missing)}", fix)
    graph, version = profile.crds[0], profile.graph_api.rpartition("/")[2]
    if version not in served[graph]:
        return failed(f"{graph} is not served in {version}, but in {', '.join(sorted(served[graph]))}", fix)
    return passed(f"the CRDs of Dynamo {profile.version} are there; whether they are its own, only their fields tell")

"""Parts of the Dynamo platform that somebody else runs: Grove, and the custom resource definitions."""

from __future__ import annotations

from typing import Final

from preflight.results import NO_CLUSTER, Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import images
from reference.platform_parts import GROVE_CRDS, GROVE_OPERATOR

_GROVE_API: Final = "v1alpha1"
"""Version of Grove's kinds that the operator of every known release writes."""


def grove(site: Site) -> Outcome:
    """Grove runs, and serves its kinds in the version that Dynamo's operator writes."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    profile = site.settings.profile
    fix = f"install Grove {profile.grove_version}, or set dynamo.grove: create"
    found = site.cloud.deployments(cluster, GROVE_OPERATOR)
    if not found:
        return failed(f"no Deployment {GROVE_OPERATOR} runs in the cluster", fix)
    found_kinds = site.cloud.crds(cluster, GROVE_CRDS)
    missing = [name for name in GROVE_CRDS if name not in found_kinds or _GROVE_API not in found_kinds[name].served]
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
    """Dynamo's custom resource definitions are there, served as graphs are written, and its operator converts them."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    profile = site.settings.profile
    fix = f"kubectl apply --server-side -f CRDS_OF_DYNAMO_{profile.version}, or set dynamo.crds: create"
    found = site.cloud.crds(cluster, profile.crds)
    missing = [name for name in profile.crds if name not in found]
    if missing:
        return failed(f"the cluster has no CRDs {', '.join(missing)}", fix)
    graph, version = profile.crds[0], profile.graph_versions[-1]
    if version not in found[graph].served:
        return failed(f"{graph} is not served in {version}, but in {', '.join(sorted(found[graph].served))}", fix)
    own = f"{profile.webhook_service} in {site.settings.dynamo.namespace}"
    others = {name: one.converter for name, one in found.items() if one.converter not in ("", own)}
    if others and profile.crds_name_operator:
        return failed(
            f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} converted by the Service "
            f"{' and '.join(dict.fromkeys(others.values()))}, and the operator's is {own}",
            "write the operator's Service into spec.conversion.webhook.clientConfig.service of each: the operator of "
            f"Dynamo {profile.version} writes only its certificate there",
        )
    return passed(f"the CRDs of Dynamo {profile.version} are there; whether they are its own, only their fields tell")


def left_crds(site: Site) -> Outcome:
    """No custom resource definition of a later Dynamo is left where an older one is created.

    The API server takes no definition without a version that objects were stored in (kubernetes.io, "Versions in
    CustomResourceDefinitions"): the older release cannot write its own over it.
    """
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    profile = site.settings.profile
    known = set(profile.graph_versions)
    name = profile.crds[0]
    left = site.cloud.crds(cluster, [name]).get(name)
    later = ", ".join(sorted((left.stored | left.served) - known)) if left else ""
    if left and later:
        judged = failed if left.stored - known else warned
        return judged(
            f"{name} of a later Dynamo is there, with {later}; {profile.version} has {', '.join(known)}",
            "delete Dynamo's CRDs, once no graph is left: docs/how-to/upgrade-dynamo.md",
        )
    return passed(f"no CRD of a later Dynamo than {profile.version} is left")

"""KAI in the cluster: nothing conflicts with one to create, or one to adopt meets the requirements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from preflight.cloud import Kai
from preflight.results import NO_CLUSTER, Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import kai, vulnerabilities
from reference.dynamo import DynamoProfile
from reference.vulnerabilities import Vulnerability
from validation.problems import RuleError

_FREE_CONFIG: Final = "kubectl delete configs.kai.scheduler kai-config"
_SET_GRACE: Final = (
    f"kubectl patch schedulingshards.kai.scheduler {kai.SHARD} --type merge -p "
    f'\'{{"spec":{{"args":{{"{kai.GRACE_ARGUMENT}":"{kai.GRACE_PERIOD}"}}}}}}\''
)
_REMOVE_KINDS: Final = (
    "kubectl get crd -o name | grep -E 'scheduling.run.ai|kai.scheduler' | xargs kubectl delete; or set kai.mode"
)

Finding = tuple[str, str]
"""A finding and its fix."""


def scheduler(site: Site) -> Outcome:
    """The cluster fits the configured mode."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    found = site.cloud.kai(cluster)
    match site.settings.kai.mode:
        case "create":
            return _free(site, found)
        case "adopt":
            return _adopted(found, site.settings.profile)
        case "none":
            return _none(site, found)


def _free(site: Site, found: Kai) -> Outcome:
    """No other KAI runs, and none has left anything behind that would break this one."""
    if found.namespace and site.is_own_namespace(found.labels):
        return passed(f"KAI {found.version} is this environment's own")
    if found.namespace:
        return failed(
            f"KAI {found.version} runs already, in namespace {found.namespace}",
            f"set kai.mode: adopt, or uninstall it: helm uninstall -n {found.namespace} RELEASE",
        )
    if found.webhooks:
        return failed(
            "a KAI that was uninstalled has left webhooks that refuse pods: failed calling webhook, service not found",
            _FREE_CONFIG if found.configured else f"kubectl delete {' '.join(found.webhooks)}",
        )
    if found.shards:
        names = ", ".join(sorted(found.shards))
        return warned(
            f"an earlier KAI has left SchedulingShard {names}; `{kai.SHARD}` is taken over with this program's values",
            f"kubectl delete schedulingshards.kai.scheduler {' '.join(sorted(found.shards))}",
        )
    return passed("no other KAI is in the way")


def _adopted(found: Kai, profile: DynamoProfile) -> Outcome:
    """A KAI that can schedule the pods is running."""
    if not found.namespace:
        return failed("no KAI runs in the cluster", "install it, or set kai.mode: create (none: another scheduler)")
    what = f"KAI {found.version} in {found.namespace}"
    broken = list(_broken(found, profile))
    if broken:
        return failed(f"{what}: {'; '.join(text for text, _ in broken)}", "; ".join(fix for _, fix in broken))
    doubts = list(_doubts(found, profile))
    if doubts:
        return warned(f"{what}: {'; '.join(text for text, _ in doubts)}", "; ".join(fix for _, fix in doubts))
    return passed(f"{what}: ready, with SchedulingShard {', '.join(sorted(found.shards))}")


def _broken(found: Kai, profile: DynamoProfile) -> Iterator[Finding]:
    with suppress(RuleError):
        old = kai.too_old(found.version, profile.version, profile.kai)
        if old is not None:
            yield old, f"install {kai.DEFAULT_VERSION}"
    if found.waits_for_cluster_policy:
        yield "its operator waits for the kind ClusterPolicy, which is not there", f"install {kai.DEFAULT_VERSION}"
    elif not found.ready:
        yield "kai-config is not Ready", "kubectl describe configs.kai.scheduler kai-config"
    if found.missing_class:
        yield (
            f"it gives GPU pods the RuntimeClass {found.missing_class}, which is not there",
            f"install {kai.DEFAULT_VERSION}, or set its chart's admission.gpuPodRuntimeClassName",
        )
    if not found.shards:
        yield "no SchedulingShard is there, so no scheduler runs", "kubectl get schedulingshards.kai.scheduler"


def _doubts(found: Kai, profile: DynamoProfile) -> Iterator[Finding]:
    try:
        run = kai.plain(found.version) in profile.kai_run
    except RuleError:
        run = False
    if not run:
        known = ", ".join(profile.kai_run)
        text = f"this release was not run with Dynamo {profile.version} (run: {known})"
        yield text, f"{kai.DEFAULT_VERSION} is the default"
    vulnerabilities = _vulnerabilities(found.version)
    if vulnerabilities:
        yield (
            f"it has known vulnerabilities: {', '.join(one.id for one in vulnerabilities)}",
            f"install {kai.DEFAULT_VERSION}",
        )
    if any(not grace.startswith("-") for grace in found.shards.values()):
        yield "it evicts a whole gang that lacks one pod for a minute", _SET_GRACE


def _vulnerabilities(version: str) -> list[Vulnerability]:
    try:
        return vulnerabilities.of({"KAI": kai.plain(version)})
    except RuleError:
        return []


def _none(site: Site, found: Kai) -> Outcome:
    """The operator does not assign pods to KAI."""
    if not found.served or not site.operator_finds_kai:
        return passed("the pods go to the cluster's own scheduler")
    runs = f"KAI {found.version} runs in {found.namespace}" if found.namespace else "an earlier KAI has left its kinds"
    return failed(
        f"{runs}: the operator of Dynamo {site.settings.dynamo.version} hands pods to KAI where its kinds are there",
        f"{_REMOVE_KINDS}: {'adopt' if found.namespace else 'create'}",
    )

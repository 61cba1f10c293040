"""Rules of maintenance windows, exclusions and upgrades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from reference import maintenance
from settings.maintenance import MaintenanceExclusion
from settings.model import CreateCluster, CreateDomain, Settings
from validation.problems import Problem, RuleError, refused

_KEY = "cluster.maintenance"


def check(settings: Settings) -> Iterator[Problem]:
    """The policy is one that GKE takes."""
    cluster = settings.cluster
    if not isinstance(cluster, CreateCluster):
        return
    said = cluster.maintenance
    if said.daily_start is not None:
        start = said.daily_start
        yield from refused(maintenance.check_clock, start, f"{_KEY}.dailyStart")
        if said.window is not None:
            rule = "a cluster has one window, daily or with a recurrence"
            yield Problem(f"{_KEY}.dailyStart", start, rule, f"remove it, or {_KEY}.window")
    if said.window is not None:
        found = said.window
        yield from refused(maintenance.check_window, found.start, found.end, found.recurrence, f"{_KEY}.window")
    yield from _joined(said.exclusions)
    names = [maintenance.HOLD] if said.hold_upgrades else []
    for i, exclusion in enumerate(said.exclusions):
        key = f"{_KEY}.exclusions[{i}]"
        if exclusion.name in names:
            yield Problem(f"{key}.name", exclusion.name, "an exclusion's name is used once", "choose another name")
        names.append(exclusion.name)
        yield from _exclusion(exclusion, key)
    if len(names) > maintenance.EXCLUSIONS_MAX:
        rule = f"a cluster has {maintenance.EXCLUSIONS_MAX} exclusions at most, with that of holdUpgrades"
        yield Problem(f"{_KEY}.exclusions", f"({len(names)} of them)", rule, "remove those that are over")


def _exclusion(exclusion: MaintenanceExclusion, key: str) -> Iterator[Problem]:
    if (exclusion.end is None) != exclusion.until_end_of_support:
        rule = "an exclusion has an end, or lasts until the end of support"
        yield Problem(f"{key}.end", exclusion.end, rule, "set one of end and untilEndOfSupport: true")
        return
    if exclusion.until_end_of_support and exclusion.scope == "NO_UPGRADES":
        rule = "only minor versions and nodes can be held until the end of support"
        yield Problem(f"{key}.scope", exclusion.scope, rule, "set scope: NO_MINOR_OR_NODE_UPGRADES, or an end")
    try:
        start = maintenance.instant(exclusion.start, f"{key}.start")
        end = None if exclusion.end is None else maintenance.instant(exclusion.end, f"{key}.end")
    except RuleError as error:
        yield Problem(error.key, error.value, error.rule, error.fix)
        return
    if end is not None and end <= start:
        yield Problem(f"{key}.end", exclusion.end, "an exclusion ends after its start", "choose a later end")


def _joined(exclusions: Sequence[MaintenanceExclusion]) -> Iterator[Problem]:
    """Times without any upgrade, with those that begin before they end."""
    found: list[tuple[datetime, datetime, int]] = []
    for i, exclusion in enumerate(exclusions):
        try:
            if exclusion.scope == "NO_UPGRADES" and exclusion.end is not None:
                found.append((maintenance.instant(exclusion.start, ""), maintenance.instant(exclusion.end, ""), i))
        except RuleError:
            continue
    begun: datetime | None = None
    last: datetime | None = None
    for start, end, i in sorted(found):
        begun = start if begun is None or last is None or start > last else begun
        last = end if last is None else max(last, end)
        if end - begun > maintenance.NO_UPGRADES_MAX:
            rule = f"NO_UPGRADES lasts {maintenance.NO_UPGRADES_MAX.days} days at most, with those that it joins"
            fix = "choose an earlier end, or scope: NO_MINOR_OR_NODE_UPGRADES"
            yield Problem(f"{_KEY}.exclusions[{i}].end", exclusions[i].end, rule, fix)


def warnings(settings: Settings) -> Iterator[str]:
    """What GKE may refuse."""
    if not isinstance(settings.cluster, CreateCluster):
        return
    for i, exclusion in enumerate(settings.cluster.maintenance.exclusions):
        if exclusion.scope != "NO_UPGRADES" or exclusion.end is None:
            continue
        length = maintenance.instant(exclusion.end, "") - maintenance.instant(exclusion.start, "")
        if length > maintenance.NO_UPGRADES_SURE:
            yield (
                f"{_KEY}.exclusions[{i}]: NO_UPGRADES for {length.days} days; GKE took 30 at most until June 2026, "
                "and 90 since, as two digests of its release notes say."
            )


def upgrades(settings: Settings) -> Iterator[Problem]:
    """What the node pools say about upgrades fits the pool and the cluster's release channel."""
    for i, domain in enumerate(settings.domains):
        if not isinstance(domain, CreateDomain):
            continue
        key, said = f"domains[{i}].pool.upgrade", domain.pool.upgrade
        if not said.auto_upgrade and isinstance(settings.cluster, CreateCluster):
            yield Problem(
                f"{key}.autoUpgrade",
                False,
                f"GKE refuses it in a cluster of a release channel ({settings.cluster.channel})",
                "remove the key; cluster.maintenance.holdUpgrades keeps the nodes as they are",
            )

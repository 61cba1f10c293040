"""Rules of raw provider fields."""

from __future__ import annotations

from collections.abc import Iterator

from reference import raw_fields
from settings.model import CreateCluster, Settings
from validation.problems import Problem


def check(settings: Settings) -> Iterator[Problem]:
    """Fields of the pinned provider that the program does not set, for resources that it creates."""
    said, creates = settings.raw, isinstance(settings.cluster, CreateCluster)
    kinds: tuple[tuple[str, dict[str, object], raw_fields.Kind, bool, str], ...] = (
        ("cluster", said.cluster, "Cluster", creates, "the cluster is adopted"),
        ("systemPool", said.system_pool, "NodePool", creates, "the cluster is adopted, with its system nodes"),
        ("nodePools", said.node_pools, "NodePool", bool(settings.created_domains), "no domain has mode: create"),
    )
    for name, raw, kind, created, reason in kinds:
        if raw and not created:
            rule = f"these are fields of what the program creates, and {reason}"
            yield Problem(f"raw.{name}", raw, rule, "remove the key")
        elif raw:
            yield from raw_fields.problems(kind, raw, f"raw.{name}")

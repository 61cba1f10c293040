"""Merges raw provider fields into the cluster and the node pools, after everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pulumi

from program.metadata import CLUSTER, POOL
from reference import raw_fields, system_pool
from settings import Settings


def add_raw_fields(settings: Settings) -> None:
    """Add the fields of `raw` to resources that are registered later; the settings' checks refuse conflicts."""
    cluster = raw_fields.translated("Cluster", settings.raw.cluster)
    system = raw_fields.translated("NodePool", settings.raw.system_pool)
    pools = raw_fields.translated("NodePool", settings.raw.node_pools)

    def add(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        props = cast("dict[str, Any]", args.props)
        raw = {}
        if args.type_ == CLUSTER:
            raw = cluster
        elif args.type_ == POOL:
            raw = system if props["name"] == system_pool.NAME else pools
        return pulumi.ResourceTransformationResult(_under(props, raw), args.opts) if raw else None

    if cluster or system or pools:
        pulumi.runtime.register_stack_transformation(add)


def _under(own: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """`own` with the fields of `raw` that it lacks, through nested objects."""
    merged = dict(own)
    for name, value in raw.items():
        there = merged.get(name)
        if there is None:
            merged[name] = value
        elif isinstance(there, Mapping) and isinstance(value, Mapping):
            merged[name] = _under(cast("Mapping[str, Any]", there), cast("Mapping[str, Any]", value))
        else:
            raise pulumi.RunError(f"raw: the program sets {name} itself; remove it from raw")
    return merged

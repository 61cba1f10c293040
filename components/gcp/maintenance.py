"""GKE's maintenance policy of a created cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict

import pulumi_gcp as gcp

from reference import maintenance

Policy = gcp.container.ClusterMaintenancePolicyArgsDict
Window = gcp.container.ClusterMaintenancePolicyRecurringWindowArgsDict


class Exclusion(TypedDict):
    """A time in which GKE does not upgrade."""

    name: str
    """Unique in the cluster."""
    start: str
    """RFC 3339."""
    end: str | None
    """RFC 3339; None: the end of support of the minor version."""
    scope: str
    """What is not upgraded: NO_UPGRADES, NO_MINOR_UPGRADES, NO_MINOR_OR_NODE_UPGRADES."""


HOLD: Final[Exclusion] = {
    "name": maintenance.HOLD,
    "start": maintenance.EXCLUSION_START,
    "end": None,
    "scope": "NO_MINOR_OR_NODE_UPGRADES",
}
"""A full domain has no spare host for an upgrade, and the Dynamo release pins the minor version."""


def policy(window: Window | str, exclusions: Sequence[Exclusion]) -> Policy:
    """The policy with a recurring window, or one that starts every day at a time of day (HH:MM, UTC)."""
    written: Policy = {"maintenance_exclusions": [_written(exclusion) for exclusion in exclusions]}
    if isinstance(window, str):
        written["daily_maintenance_window"] = {"start_time": window}
    else:
        written["recurring_window"] = window
    return written


def _written(exclusion: Exclusion) -> gcp.container.ClusterMaintenancePolicyMaintenanceExclusionArgsDict:
    written: gcp.container.ClusterMaintenancePolicyMaintenanceExclusionArgsDict = {
        "exclusion_name": exclusion["name"],
        "start_time": exclusion["start"],
    }
    if exclusion["end"] is None:
        end_time_behavior = "UNTIL_END_OF_SUPPORT"
        written["exclusion_options"] = {"scope": exclusion["scope"], "end_time_behavior": end_time_behavior}
    else:
        written["end_time"] = exclusion["end"]
        written["exclusion_options"] = {"scope": exclusion["scope"]}
    return written

"""When GKE may maintain and upgrade a created cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from settings.fields import Change
from validation.strict_model import StrictModel

Scope = Literal["NO_UPGRADES", "NO_MINOR_UPGRADES", "NO_MINOR_OR_NODE_UPGRADES"]


class MaintenanceWindow(StrictModel):
    """A recurring window, with the fields of GKE's own."""

    start: str = Field(description="the start of the first window, such as 2026-01-03T01:00:00Z")
    end: str = Field(description="the end of the first window")
    recurrence: str = Field(description="an RFC 5545 rule, such as FREQ=WEEKLY;BYDAY=SA,SU")


class MaintenanceExclusion(StrictModel):
    """A time in which GKE does not upgrade."""

    name: str = Field(description="the exclusion's name")
    start: str = Field(description="its start, such as 2026-12-15T00:00:00Z")
    end: str | None = Field(default=None, description="its end")
    until_end_of_support: bool = Field(
        default=False, description="whether it lasts until the end of support of the cluster's minor version"
    )
    scope: Scope = Field(
        default="NO_UPGRADES", description="NO_UPGRADES, NO_MINOR_UPGRADES or NO_MINOR_OR_NODE_UPGRADES"
    )


class Maintenance(StrictModel):
    """GKE's maintenance policy. Maintenance of the hosts follows the reservation and keeps to neither."""

    daily_start: Annotated[str | None, Change.IN_PLACE] = Field(
        default=None, description="the start of the daily window of four hours, HH:MM in UTC; default: 09:00"
    )
    window: Annotated[MaintenanceWindow | None, Change.IN_PLACE] = Field(
        default=None, description="a mapping with start, end and recurrence, in place of the daily window"
    )
    hold_upgrades: Annotated[bool, Change.IN_PLACE] = Field(
        default=True,
        description="whether minor versions and nodes are never upgraded by GKE before the end of support",
    )
    exclusions: Annotated[tuple[MaintenanceExclusion, ...], Change.IN_PLACE] = Field(
        default=(), description="a list of further exclusions, each with name, start, end or untilEndOfSupport, scope"
    )

"""The page for the platform team and preflight speak of the same things."""

from __future__ import annotations

from pathlib import Path

import pytest

import settings
from preflight.checks import plan
from preflight.site import Site
from settings import prerequisites, stack_file
from tests.preflight.healthy import HealthyCloud
from tools import platform_team


def test_the_page_is_what_the_settings_say() -> None:
    assert platform_team.DOCUMENT.read_text(encoding="utf-8") == platform_team.page()


@pytest.mark.parametrize("example", [platform_team.EXAMPLE, platform_team.SHARED], ids=["own", "shared"])
def test_preflight_looks_for_everything_that_the_page_lists(example: Path) -> None:
    chosen = settings.parse(stack_file.read(example), "company")
    checks = {check.name for check in plan(Site(chosen, HealthyCloud(chosen)))}
    wanted = {one.check for one in prerequisites.of(chosen) if not one.check.startswith("none:")}
    assert wanted <= checks
    assert len(wanted) > 8

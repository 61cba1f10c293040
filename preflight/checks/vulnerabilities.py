"""Known vulnerabilities of the releases that the config chooses."""

from __future__ import annotations

from preflight.results import Outcome, passed, warned
from preflight.site import Site
from settings.checks import vulnerabilities


def known(site: Site) -> Outcome:
    """None concerns the environment. Never a failure: it would serve."""
    found = vulnerabilities.concern(site.settings)
    if found is None:
        return passed("none is known that concerns this environment")
    return warned(f"{found.finding}; {found.protection}", found.fix)

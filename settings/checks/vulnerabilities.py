"""Known vulnerabilities that concern an environment, and what protects it in its configuration."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from reference import vulnerabilities
from reference.vulnerabilities import Component, Feature, Vulnerability
from serving_rules import exposure, layout
from settings.model import CreateDynamo, CreateKai, Settings

PAGE: Final = "docs/reference/vulnerabilities.md"
_NAMED: Final = 3
"""How many are named; the page has all."""


@dataclass(frozen=True)
class Concern:
    """What is known of an environment, in one line each."""

    finding: str
    """How many, and the worst ones."""
    protection: str
    """What keeps whom from how many of them."""
    fix: str
    """What helps, with the first releases without them."""


def concern(settings: Settings) -> Concern | None:
    """What concerns the environment; None if nothing does. `settings` must have no problems."""
    affected = _affected(settings)
    known = [one for one, _ in affected]
    if not known:
        return None
    worst = ", ".join(_named(one, release) for one, release in affected[:_NAMED])
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    verb = "vulnerability concerns" if len(known) == 1 else "vulnerabilities concern"
    return Concern(
        f"{len(known)} known {verb} this environment: {worst}{more}",
        _protection(known, ingress=settings.isolation.ingress),
        _fix(known, ingress=settings.isolation.ingress),
    )


def warning(settings: Settings) -> str | None:
    """The same as one message."""
    found = concern(settings)
    if found is None:
        return None
    return f"{found.finding}.\n  Mitigation: {found.protection}.\n  Fix: {found.fix}."


def _affected(settings: Settings) -> list[tuple[Vulnerability, str]]:
    """What concerns the environment, the worst first, with the release that it is in. Stacks with images of their own
    may have another SGLang.
    """
    parts = settings.dynamo.parts if isinstance(settings.dynamo, CreateDynamo) else None
    kai = settings.kai.version if isinstance(settings.kai, CreateKai) else None
    runs = [(settings.profile, set[Feature]())] if not settings.stacks else []
    for stack in settings.stacks:
        profile = settings.profile_of(stack)
        chosen = layout.resolve(stack.layout, profile, stack.overrides)
        runs.append((profile, set(exposure.features(chosen, profile))))
    found: dict[str, tuple[Vulnerability, str]] = {}
    for profile, used in runs:
        releases = vulnerabilities.releases(profile, parts, kai)
        for one in vulnerabilities.of(releases):
            if vulnerabilities.concerns(one, used):
                found.setdefault(one.id, (one, releases[one.component]))
    return sorted(found.values(), key=lambda pair: -(pair[0].score or 0))


def _named(one: Vulnerability, release: str) -> str:
    score = "" if one.score is None else f", {one.score}"
    return f"{one.id} ({one.component} {release}{score})"


def _first(component: Component, first: str | None) -> str:
    bulletin = vulnerabilities.BULLETINS.get(component)
    return f"{component} {first or 'none yet'}{f' ({bulletin})' if bulletin else ''}"


def _protection(known: list[Vulnerability], *, ingress: bool) -> str:
    if not ingress:
        reached = sum(one.reach != "cluster" for one in known)
        return f"nothing; isolation.ingress is false, so every pod of the cluster can exploit {reached} of them"
    counts = Counter(one.reach for one in known)
    said = {
        "network": "isolation.ingress restricts {} of them to the stacks' own pods",
        "clients": "{} can be exploited by clients that can reach a frontend",
        "cluster": "{} can be exploited by anyone who can create pods",
    }
    return "; ".join(text.format(counts[reach]) for reach, text in said.items() if counts[reach])


def _fix(known: list[Vulnerability], *, ingress: bool) -> str:
    step = "restrict the clients (stacks[].clients)" if ingress else "set isolation.ingress: true"
    without = ", ".join(_first(part, first) for part, first in vulnerabilities.first_without(known).items())
    return f"{step}; first releases without these: {without}; see {PAGE}"

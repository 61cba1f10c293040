"""Writes the tables of docs/reference/vulnerabilities.md: what is known of which release, and what is refused.

python -m tools.vulnerabilities_reference            # prints the page
python -m tools.vulnerabilities_reference --write    # writes it
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from reference import kai, vulnerabilities
from reference.dynamo import PROFILES
from reference.vulnerabilities import Component, Feature, Reach, Vulnerability
from serving_rules import unsafe_settings
from tools import generated

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "vulnerabilities.md"
_BEGIN: Final = "<!-- Tables: python -m tools.vulnerabilities_reference --write -->\n"
_END: Final = "<!-- End of the tables -->\n"
_PROTECTS: Final[Mapping[Reach, str]] = {
    "network": "`isolation.ingress`: nobody but the stack's own pods reaches it",
    "clients": "`stacks[].clients`: nobody else can reach a frontend",
    "cluster": "who can create pods",
}
_PLATFORM: Final[Mapping[Component, str]] = {
    "NATS": "`isolation.ingress`: nobody but the pods of stacks reaches it",
    "KAI": "`isolation.ingress`: nobody reaches it",
}
_BESIDE: Final[tuple[Component, ...]] = ("SGLang", "KAI", "NATS", "etcd")
_DECIDED: Final = frozenset({Feature.DP_ATTENTION, Feature.MESSAGE_QUEUE, Feature.ENGINE_ROUTES, Feature.MULTIMODAL})
"""What a layout or a release decides; the others are off or refused."""


def tables() -> str:
    """The tables with their headings."""
    lines = _lines()
    text = [
        "## Releases\n",
        f"| Dynamo | {' | '.join(_BESIDE)} |",
        f"|{'---|' * (1 + len(_BESIDE))}",
        *(f"| {name} | {' | '.join(found.get(one, 'none') for one in _BESIDE)} |" for name, found in lines.items()),
        "\n## By release\n",
        f"| number | score | component | what | {' | '.join(lines)} | fixed in | concerns | mitigation | source |",
        f"|{'---|' * (8 + len(lines))}",
    ]
    known = sorted(vulnerabilities.KNOWN, key=lambda one: (one.needs not in {None, *_DECIDED}, -(one.score or 0)))
    text += [f"| {' | '.join(_cells(one, lines))} |" for one in known]
    text += [
        "\n## Refused\n",
        "| argument or variable | values that are not refused | what it opens |",
        "|---|---|---|",
    ]
    text += [f"| `{name}` | | {risk} |" for name, risk in unsafe_settings.ARGUMENTS.items()]
    for name, setting in unsafe_settings.VARIABLES.items():
        harmless = ", ".join(f"`{value}`" for value in sorted(setting.harmless) if value)
        text.append(f"| `{name}` | {harmless} | {setting.risk} |")
    return "\n".join(text) + "\n"


def page() -> str:
    """The page with the tables of today."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{tables()}\n{_END}{rest.partition(_END)[2]}"


def _lines() -> dict[str, dict[Component, str]]:
    """Releases of the components, by the Dynamo releases that have the same vulnerabilities."""
    found: dict[str, dict[Component, str]] = {}

    def known(version: str) -> tuple[list[str], list[Component]]:
        parts = _releases(version)
        return [one.id for one in vulnerabilities.of(parts)], sorted(parts)

    for _, versions in itertools.groupby(PROFILES, key=known):
        names = list(versions)
        name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        found[name] = _releases(names[-1])
    return found


def _releases(version: str) -> dict[Component, str]:
    return vulnerabilities.releases(PROFILES[version], kai=kai.DEFAULT_VERSION)


def _cells(one: Vulnerability, lines: Mapping[str, Mapping[Component, str]]) -> Iterator[str]:
    yield one.id
    yield "" if one.score is None else f"{one.score}"
    yield one.component
    yield one.what
    yield from (_state(one, releases) for releases in lines.values())
    yield ", ".join(one.fixed) or "none"
    decided = one.needs is None or one.needs in _DECIDED
    yield (one.needs or "every stack") if decided else f"nobody: {one.needs}"
    yield _protects(one) if decided else ""
    yield one.source


def _state(one: Vulnerability, releases: Mapping[Component, str]) -> str:
    release = releases.get(one.component)
    if release is None:
        return ""
    return "**affected**" if one.affects(release) else "no"


def _protects(one: Vulnerability) -> str:
    return (_PLATFORM.get(one.component) if one.reach == "network" else None) or _PROTECTS[one.reach]


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page, or write it."""
    generated.run(__doc__, DOCUMENT, page, command)


if __name__ == "__main__":
    main()

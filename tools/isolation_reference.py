"""Writes the tables of docs/reference/isolation.md: who listens, who may connect, what pods may connect to, and why.

python -m tools.isolation_reference            # prints the page
python -m tools.isolation_reference --write    # writes it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from reference import egress, flows
from reference.dynamo import PROFILES
from reference.egress import WayOut
from reference.flows import Flow, Part
from tools import generated

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "isolation.md"
_BEGIN: Final = "## Who may connect\n"
_OUT: Final = "## What pods may connect to\n"
_END: Final = "## "
_RELEASES: Final = ("0.7.0", "1.0.2")
_PLACES: Final[Mapping[Part, str]] = {
    "stack": "each stack's",
    "dynamo": "the Dynamo platform's",
    "kai": "KAI's",
    "dra-driver": "the DRA driver's",
    "fabric-test": "a fabric test's",
    "download": "the download's",
}


def table() -> str:
    """The section with its heading."""
    found: dict[Flow, list[str]] = {}
    for release in _RELEASES:
        for flow in flows.of(PROFILES[release]):
            found.setdefault(flow, []).append(release)
    lines = [
        _BEGIN,
        "| namespace | listens | port | who may connect | releases | what, and source |",
        "|---|---|---|---|---|---|",
    ]
    for flow, releases in found.items():
        ports = ", ".join(map(str, flow.ports)) or ("all" if flow.sources else "none")
        who = ", ".join(flow.sources) or "nobody"
        cells = (_PLACES[flow.part], flow.listener, ports, who, _which(releases), f"{flow.what}; {flow.source}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _which(releases: Sequence[str]) -> str:
    return "all" if len(releases) == len(_RELEASES) else ", ".join(f"{release[:3]}" for release in releases)


def ways_out() -> str:
    """The tables of what pods connect to, and where that is, with their heading."""
    found: dict[WayOut, list[str]] = {}
    for release in _RELEASES:
        for way in egress.of(PROFILES[release]):
            found.setdefault(way, []).append(release)
    lines = [_OUT, "| namespace | pods | connect to | releases | source |", "|---|---|---|---|---|"]
    for way, releases in found.items():
        cells = (_PLACES[way.part], way.party, ", ".join(way.to), _which(releases), way.source)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| destination | addresses and ports | source |", "|---|---|---|"]
    lines += [f"| {name} | {where.addresses} | {where.source} |" for name, where in egress.DESTINATIONS.items()]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page with the tables of today."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for begin, section in ((_BEGIN, table()), (_OUT, ways_out())):
        before, _, rest = text.partition(begin)
        text = f"{before}{section}\n{rest[rest.index(_END) :]}"
    return text


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page, or write it."""
    generated.run(__doc__, DOCUMENT, page, command)


if __name__ == "__main__":
    main()

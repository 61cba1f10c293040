"""Writes the tables of docs/reference/isolation.md: who listens, who may connect, what pods may connect to, and why.

python -m tools.isolation_reference            # prints the page
python -m tools.isolation_reference --write    # writes it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from reference import egress, flows
from reference.dynamo import PROFILES
from reference.egress import WayOut
from reference.flows import Flow, Part
from tools import generated

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "isolation.md"
_BEGIN: Final = "## Who may connect\n"
_OUT: Final = "## What pods may connect to\n"
_END: Final = "## "
_RELEASES: Final = tuple(PROFILES)
_PLACES: Final[Mapping[Part, str]] = {
    "stack": "each stack's",
    "dynamo": "the Dynamo platform's",
    "kai": "KAI's",
    "dra-driver": "the DRA driver's",
    "fabric-test": "a fabric test's",
    "download": "the download's",
}


Row = TypeVar("Row", Flow, WayOut)


def table() -> str:
    """The section with its heading."""
    lines = [
        _BEGIN,
        "| namespace | listens | port | who may connect | releases | what, and source |",
        "|---|---|---|---|---|---|",
    ]
    rows = _rows([list(flows.of(PROFILES[release])) for release in _RELEASES], lambda flow: (flow.part, flow.listener))
    for flow, releases in rows:
        ports = ", ".join(map(str, flow.ports)) or ("all" if flow.sources else "none")
        who = ", ".join(flow.sources) or "nobody"
        cells = (_PLACES[flow.part], flow.listener, ports, who, releases, f"{flow.what}; {flow.source}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rows(of_releases: Sequence[Sequence[Row]], pods: Callable[[Row], tuple[str, str]]) -> Iterator[tuple[Row, str]]:
    """Each row once with its releases; those of the same pods stand together."""
    found: dict[tuple[str, str], dict[Row, list[str]]] = {}
    for release, rows in zip(_RELEASES, of_releases, strict=True):
        for row in rows:
            found.setdefault(pods(row), {}).setdefault(row, []).append(release)
    for rows in found.values():
        for row, releases in rows.items():
            yield row, "all" if len(releases) == len(_RELEASES) else ", ".join(one[:3] for one in releases)


def egress_table() -> str:
    """The tables of what pods connect to, and where that is, with their heading."""
    lines = [_OUT, "| namespace | pods | connect to | releases | source |", "|---|---|---|---|---|"]
    rows = _rows([list(egress.of(PROFILES[release])) for release in _RELEASES], lambda way: (way.part, way.party))
    for way, releases in rows:
        cells = (_PLACES[way.part], way.party, ", ".join(way.to), releases, way.source)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| destination | addresses and ports | source |", "|---|---|---|"]
    lines += [f"| {name} | {where.addresses} | {where.source} |" for name, where in egress.DESTINATIONS.items()]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page with the tables of today."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for begin, section in ((_BEGIN, table()), (_OUT, egress_table())):
        before, _, rest = text.partition(begin)
        text = f"{before}{section}\n{rest[rest.index(_END) :]}"
    return text


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page, or write it."""
    generated.run(__doc__, DOCUMENT, page, command)


if __name__ == "__main__":
    main()

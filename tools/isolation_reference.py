"""Writes the table of docs/reference/isolation.md: who listens, who may connect, and why.

python -m tools.isolation_reference            # prints the page
python -m tools.isolation_reference --write    # writes it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reference import flows
from reference.dynamo import PROFILES
from reference.flows import Flow
from tools import generated

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "isolation.md"
_BEGIN: Final = "## Who may connect\n"
_END: Final = "## "
_RELEASES: Final = ("0.7.0", "1.0.2")
_PLACES: Final = {
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
        which = "all" if len(releases) == len(_RELEASES) else ", ".join(f"{release[:3]}" for release in releases)
        cells = (_PLACES[flow.part], flow.listener, ports, who, which, f"{flow.what}; {flow.source}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page with the table of today."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest[rest.index(_END) :]
    return f"{before}{table()}\n{after}"


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page, or write it."""
    generated.run(__doc__, DOCUMENT, page, command)


if __name__ == "__main__":
    main()

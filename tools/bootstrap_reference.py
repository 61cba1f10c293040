"""Writes the tables of docs/reference/bootstrap.md from the bootstrap program: config, workflows, rights.

python -m tools.bootstrap_reference            # prints the page
python -m tools.bootstrap_reference --write    # writes it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bootstrap.roles import IDENTITIES, READS, Grant, Rights
from bootstrap.settings import Settings
from bootstrap.trust import WORKFLOWS, Workflow
from tools import generated
from tools.config_reference import rows

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "bootstrap.md"
_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def _config() -> Iterator[str]:
    yield "| key | meaning | default |"
    yield "|---|---|---|"
    for row in rows(Settings):
        yield str(row)


def _workflows() -> Iterator[str]:
    yield "| identity | environment | events | workflow file and branch |"
    yield "|---|---|---|---|"
    for name, workflow in WORKFLOWS.items():
        events = ", ".join(f"`{event}`" for event in workflow.events)
        yield f"| {name} | `{workflow.environment}` | {events} | {_file(workflow)} |"


def _file(workflow: Workflow) -> str:
    return f"{_listed(workflow.files)} of `main`" if workflow.files else "any: the reviewers decide"


def _rights() -> Iterator[str]:
    yield "| identity | on | role | why |"
    yield "|---|---|---|---|"
    for name, rights in IDENTITIES.items():
        for place, role, why in _grants(rights):
            yield f"| {name} | {place} | {role} | {why} |"


def _grants(rights: Rights) -> Iterator[tuple[str, str, str]]:
    yield "state bucket", f"`{rights.state.role}`", rights.state.why
    yield "key", f"`{rights.key.role}`", rights.key.why
    for grant in rights.roles:
        yield "projects", f"`{grant.role}`{_limit(grant)}", grant.why
    if rights.custom is not None:
        more = [f"`{permission}`" for permission in rights.custom.permissions if permission not in READS]
        role = f"`{rights.custom.id}`" + (f": as above, and {', '.join(more)}" if more else f": {_listed(READS)}")
        yield "projects", role, rights.custom.why


def _limit(grant: Grant) -> str:
    granted = re.findall(r"roles/[\w.]+", grant.only)
    return f", limited to granting {_listed(granted)}" if granted else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


_MAKERS: Final = {"config": _config, "workflows": _workflows, "rights": _rights}


def page() -> str:
    """The page, with its generated tables as they should be."""

    def made(block: re.Match[str]) -> str:
        return "\n".join([block[1], *_MAKERS[block[2]](), "", block[3]])

    return _BLOCK.sub(made, DOCUMENT.read_text(encoding="utf-8"))


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page, or write it."""
    generated.run(__doc__, DOCUMENT, page, command)


if __name__ == "__main__":
    main()

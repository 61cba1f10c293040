"""docs/reference/mutations.md says what the checks catch today."""

from __future__ import annotations

import pytest

from reference.dynamo import PROFILES
from tools import mutate_layouts


@pytest.mark.conformance
def test_the_page_of_mutations_is_what_the_tool_writes() -> None:
    results = {version: mutate_layouts.run(PROFILES[version]) for version in mutate_layouts.VERSIONS}
    written = mutate_layouts.DOCUMENT.read_text(encoding="utf-8")
    assert mutate_layouts.document(results) == written, "run: python -m tools.mutate_layouts --write"


@pytest.mark.conformance
def test_every_misspelt_name_and_every_wrong_type_is_caught() -> None:
    results = mutate_layouts.run(PROFILES["0.7.0"])
    missed = [
        f"{result.layout} {result.mutation.role} {result.mutation.name}"
        for result in results
        if not result.caught and result.mutation.kind in ("misspelt", "type")
    ]
    assert missed == []

"""docs/reference/mutations.md says what the checks catch today."""

from __future__ import annotations

import pytest

from reference.dynamo import PROFILES
from tools import mutate_layouts


@pytest.fixture(scope="module")
def results() -> dict[str, list[mutate_layouts.Result]]:
    """All mutations, by release."""
    return {version: mutate_layouts.run(profile) for version, profile in PROFILES.items()}


@pytest.mark.conformance
def test_the_page_of_mutations_is_what_the_tool_writes(results: dict[str, list[mutate_layouts.Result]]) -> None:
    written = mutate_layouts.DOCUMENT.read_text(encoding="utf-8")
    assert mutate_layouts.document(results) == written, "run: python -m tools.mutate_layouts --write"


@pytest.mark.conformance
def test_every_misspelt_name_and_every_wrong_type_is_caught(results: dict[str, list[mutate_layouts.Result]]) -> None:
    missed = [
        f"{version} {result.layout} {result.mutation.role} {result.mutation.name}"
        for version, found in results.items()
        for result in found
        if not result.caught and result.mutation.kind in ("misspelt", "type")
    ]
    assert missed == []

"""The documentation names files that exist, and the template asks for keys that do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from settings import SECRETS, Settings, needed, parse
from tests.recorder import ROOT
from tests.unit.configs import shipped

PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
]
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _anchor(heading: str) -> str:
    """The fragment under which a heading is reached."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, fragment in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", page.read_text(encoding="utf-8")):
        found = page.parent / target if target else page
        assert found.exists(), target
        if fragment:
            assert fragment in map(_anchor, HEADING.findall(found.read_text(encoding="utf-8"))), f"{target}#{fragment}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, new = set[Path](), [ROOT / "README.md"]
    while new:
        page = new.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#:\s]+\.md)", page.read_text(encoding="utf-8"))
        new += {(page.parent / link).resolve() for link in links} - reached
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []


def test_the_readme_is_a_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", version) for version in versions[1:])
    known = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Known limits"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= known


def test_the_map_of_changes_names_files_that_exist() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## How a change is made")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", table)
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_template_asks_for_keys_of_the_config_and_hides_secrets() -> None:
    asked = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["template"]["config"]
    known = {field.alias or name for name, field in Settings.model_fields.items()} | set(SECRETS)
    assert {key.removeprefix("dynamo-a4x:") for key in asked} <= known
    assert {key for key, entry in asked.items() if entry.get("secret")} == {
        f"dynamo-a4x:{key}" for key in needed(parse(shipped("dev"), "dev"))
    }

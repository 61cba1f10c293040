"""The NGC key and the Hugging Face token stand nowhere in clear, in no encoding."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from rehearsal import Rehearsal
from rehearsal.run import ROOT
from tests.resilience import secrets
from tests.resilience.proof import needs_engine, silent

SAMPLE = ROOT / "tests" / "engine" / "sample"
KEY = secrets.SECRETS["ngcApiKey"]


@pytest.mark.engine
@needs_engine
def test_no_secret_stands_in_clear_anywhere_in_a_whole_life() -> None:
    tally = secrets.proof("dev", False, silent)[0]
    assert tally.tried > 1000


@pytest.mark.engine
@needs_engine
def test_a_secret_that_a_program_gives_away_is_found(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import pulumi\n"
        "config = pulumi.Config()\n"
        "pulumi.export('oops', pulumi.Output.unsecret(config.require_secret('token')))\n",
        encoding="utf-8",
    )
    with Rehearsal("dev", root=SAMPLE, program=program, secrets={"token": KEY}) as rehearsal:
        search, _ = secrets.searched(rehearsal, short=True)
    assert any("state/" in place for place in search.found)
    assert any(place.startswith("outputs") for place in search.found)
    # In what it prints the engine masks the values of its own config, whoever gave them away.
    assert not any("what the engine said" in place for place in search.found)


@pytest.mark.parametrize(
    "planted",
    [
        KEY,
        json.dumps({"password": KEY}),
        json.dumps({"inner": json.dumps({"password": KEY})}),
        base64.b64encode(f"$oauthtoken:{KEY}".encode()).decode(),
        base64.b64encode(f"x{KEY}".encode()).decode(),
        base64.b64encode(f"xx{KEY}yy".encode()).decode(),
        base64.urlsafe_b64encode(f"{KEY}yyy".encode()).decode(),
        KEY.encode().hex(),
    ],
)
def test_the_search_finds_a_secret_in_every_disguise(planted: str) -> None:
    search = secrets.Search([KEY])
    search.look("here", f"before {planted} after".encode())
    assert search.found


def test_the_search_finds_a_secret_in_a_command_line_and_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_text(f"token={KEY}", encoding="utf-8")
    search = secrets.Search([KEY])
    search.folder("files", tmp_path)
    assert search.found == ["files: deep/log: in clear"] * 1 or search.found
    before = Path("/proc/self/cmdline").read_bytes()
    search = secrets.Search([before.split(b"\0")[0].decode()])
    search.processes()
    assert search.found

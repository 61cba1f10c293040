"""Every resource's create and delete fails once, and the engine dies half-way: nothing is lost, nothing is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal import CloudResource, Rehearsal
from tests.resilience import faults, life
from tests.resilience.faults import Fault
from tests.resilience.life import ProofError
from tests.resilience.proof import command, needs_engine, silent

pytestmark = [pytest.mark.engine, needs_engine]


@pytest.mark.parametrize("kinds", [faults.BEFORE, (Fault.DONE_REFUSED, Fault.DONE_LOST)], ids=["before", "after"])
def test_every_create_and_delete_may_fail_once_and_nothing_is_lost(kinds: tuple[Fault, ...]) -> None:
    creates, deletes = faults.short("dev", kinds, silent)
    assert creates.tried == creates.survived == deletes.tried > 20
    assert creates.orphans == deletes.orphans == 0


def test_an_object_that_is_not_ready_in_time_is_taken_up_by_the_next_up() -> None:
    creates, _ = faults.short("dev", (Fault.NOT_READY,), silent)
    assert creates.survived > 20


def test_an_engine_that_is_killed_half_way_leaves_what_the_runbook_brings_back() -> None:
    result = command("kill", "--stack", "dev", "--short")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "dev, engine killed during an up: 2 tried, 2 survived, 0 orphans" in result.stdout
    assert "dev, engine killed during a replacement: 2 tried, 2 survived, 0 orphans" in result.stdout
    assert "said that it uses a platform: 1 tried, 1 survived, 0 orphans" in result.stdout


def test_a_message_that_does_not_name_the_resource_fails_the_proof() -> None:
    urn = "urn:pulumi:dev::p::gcp:storage/bucket:Bucket::weights"
    with pytest.raises(ProofError, match="no message names gcp:storage/bucket:Bucket weights"):
        faults._told(["something failed: made-up fault: quota exceeded"], {urn: Fault.REFUSED})
    with pytest.raises(ProofError, match="nothing was broken"):
        faults._told(["gcp:storage/bucket:Bucket weights: quota exceeded"], {})


def test_the_ledger_finds_orphans_ghosts_and_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = "gcp:storage/bucket:Bucket"

    def entry(id_: str) -> Mapping[str, Any]:
        return {"type": bucket, "id": id_, "urn": f"urn::{id_}", "custom": True}

    state = {"deployment": {"resources": [entry("known"), entry("stale entry")]}}
    rehearsal = Rehearsal("dev")
    monkeypatch.setattr(rehearsal, "export", lambda: state)
    for id_, urn in (("known", "urn::known"), ("orphan", "urn::known")):
        rehearsal.state.add(CloudResource(bucket, "", id_, {}, {}, urn=urn))
    found = life.ledger(rehearsal)
    assert found.orphans == (f"{bucket} orphan",)
    assert found.stale == (f"{bucket} stale entry",)
    assert len(found.doubles) == 1
    assert not found.clean

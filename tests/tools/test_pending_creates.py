"""Ids of creates that a killed process left pending are worked out from what it had written down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recovery import pending_creates
from recovery.state import StateError
from tests.conftest import recorded

BUCKET, MEMBER = "gcp:storage/bucket:Bucket", "gcp:storage/bucketIAMMember:BucketIAMMember"
PROVIDER = {"urn": "urn:gcp", "type": "pulumi:providers:gcp", "inputs": {"project": "p", "region": "us-central1"}}


def pending(kind: str, inputs: dict[str, Any], operation: str = "creating") -> dict[str, Any]:
    return {"type": operation, "resource": {"urn": f"urn::{kind}", "type": kind, "inputs": inputs}}


def state(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"version": 3, "deployment": {"resources": [PROVIDER], "pending_operations": list(operations)}}


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        (BUCKET, {"name": "weights"}, "weights"),
        ("gcp:compute/network:Network", {"name": "n"}, "projects/p/global/networks/n"),
        ("gcp:compute/routerNat:RouterNat", {"name": "n", "router": "x/r"}, "p/us-central1/r/n"),
        ("kubernetes:core/v1:Namespace", {"metadata": {"name": "r1"}}, "r1"),
        ("kubernetes:core/v1:Secret", {"metadata": {"name": "s", "namespace": "r1"}}, "r1/s"),
        ("kubernetes:helm.sh/v3:Release", {"name": "dynamo", "namespace": "d"}, "d/dynamo"),
    ],
)
def test_an_id_is_worked_out_from_the_recorded_inputs(kind: str, inputs: dict[str, Any], expected: str) -> None:
    assert list(pending_creates.plan(state(pending(kind, inputs))).looked_up.values()) == [expected]


def test_grants_and_random_values_are_cleared_and_unknown_kinds_stay_pending() -> None:
    before = state(pending(MEMBER, {}), pending("random:index/randomString:RandomString", {}), pending("gcp:x:X", {}))
    found = pending_creates.plan(before)
    assert len(found.cleared) == 2
    assert found.unknown == ["urn::gcp:x:X"]
    after = pending_creates.settled(before, found)["deployment"]
    assert [operation["resource"]["type"] for operation in after["pending_operations"]] == ["gcp:x:X"]
    assert after["resources"] == [PROVIDER]


def test_a_pending_create_becomes_a_resource_with_its_id_and_a_pending_update_stays() -> None:
    before = state(pending(BUCKET, {"name": "weights"}), pending(BUCKET, {"name": "other"}, "updating"))
    after = pending_creates.settled(before, pending_creates.plan(before))["deployment"]
    assert after["resources"][-1] == {
        "urn": f"urn::{BUCKET}",
        "type": BUCKET,
        "inputs": {"name": "weights"},
        "id": "weights",
    }
    assert [operation["type"] for operation in after["pending_operations"]] == ["updating"]
    assert before["deployment"]["resources"] == [PROVIDER]


def test_every_kind_of_the_program_has_an_id_or_may_be_made_again(stack: str) -> None:
    kinds = {resource.type for resource in recorded(stack).resources if resource.custom}
    lacking = {
        kind
        for kind in kinds
        if not kind.startswith(("kubernetes:", *pending_creates._MADE_AGAIN))
        and not kind.endswith("IAMMember")
        and kind not in pending_creates._GCP_IDS
    }
    assert lacking == set()


def test_the_old_state_is_kept_and_never_overwritten(tmp_path: Path) -> None:
    text, said = json.dumps(state(pending(BUCKET, {"name": "weights"}))), list[str]()

    def run(arguments: Sequence[str], _: str | None) -> str:
        said.append(" ".join(arguments[:2]))
        return text

    backup = tmp_path / "old.json"
    pending_creates.resolve("prod", backup, run)
    assert backup.read_text(encoding="utf-8") == text
    assert said == ["stack export", "stack import", "refresh --yes"]
    with pytest.raises(StateError, match="exists"):
        pending_creates.resolve("prod", backup, run)

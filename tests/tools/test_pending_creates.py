"""Ids of creates that a killed process left pending are worked out from what it had written down."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recovery import pending_creates
from recovery.state import StateError, pulumi
from tests.recorder import ROOT

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
        ("gcp:compute/firewall:Firewall", {"name": "n"}, "projects/p/global/firewalls/n"),
        ("gcp:compute/subnetwork:Subnetwork", {"name": "n"}, "projects/p/regions/us-central1/subnetworks/n"),
        ("gcp:compute/router:Router", {"name": "n"}, "projects/p/regions/us-central1/routers/n"),
        (
            "gcp:compute/resourcePolicy:ResourcePolicy",
            {"name": "n"},
            "projects/p/regions/us-central1/resourcePolicies/n",
        ),
        (
            "gcp:compute/regionNetworkFirewallPolicyAssociation:RegionNetworkFirewallPolicyAssociation",
            {"name": "a", "firewallPolicy": "projects/p/regions/us-central1/firewallPolicies/f"},
            "projects/p/regions/us-central1/firewallPolicies/f/associations/a",
        ),
        (
            "gcp:compute/regionNetworkFirewallPolicyWithRules:RegionNetworkFirewallPolicyWithRules",
            {"name": "f"},
            "projects/p/regions/us-central1/firewallPolicies/f",
        ),
        ("gcp:container/cluster:Cluster", {"name": "c"}, "projects/p/locations/us-central1/clusters/c"),
        (
            "gcp:container/nodePool:NodePool",
            {"name": "n", "cluster": "projects/p/locations/us-central1/clusters/c"},
            "projects/p/locations/us-central1/clusters/c/nodePools/n",
        ),
        (
            "gcp:serviceaccount/account:Account",
            {"accountId": "nodes"},
            "projects/p/serviceAccounts/nodes@p.iam.gserviceaccount.com",
        ),
        (
            "gcp:kms/cryptoKey:CryptoKey",
            {"name": "k", "keyRing": "projects/p/locations/us-central1/keyRings/r"},
            "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k",
        ),
        (
            "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
            {"workloadIdentityPoolId": "pool", "workloadIdentityPoolProviderId": "github"},
            "projects/p/locations/global/workloadIdentityPools/pool/providers/github",
        ),
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
    after = pending_creates.with_pending_resolved(before, found)["deployment"]
    assert [operation["resource"]["type"] for operation in after["pending_operations"]] == ["gcp:x:X"]
    assert after["resources"] == [PROVIDER]


def test_a_pending_create_becomes_a_resource_with_its_id_and_a_pending_update_stays() -> None:
    before = state(pending(BUCKET, {"name": "weights"}), pending(BUCKET, {"name": "other"}, "updating"))
    after = pending_creates.with_pending_resolved(before, pending_creates.plan(before))["deployment"]
    assert after["resources"][-1] == {
        "urn": f"urn::{BUCKET}",
        "type": BUCKET,
        "inputs": {"name": "weights"},
        "id": "weights",
    }
    assert [operation["type"] for operation in after["pending_operations"]] == ["updating"]
    assert before["deployment"]["resources"] == [PROVIDER]


def test_a_kill_in_the_middle_of_a_replacement_leaves_one_entry_in_the_old_ones_place() -> None:
    old = {"urn": f"urn::{BUCKET}", "type": BUCKET, "id": "weights", "pendingReplacement": True}
    needs_it = {"urn": "urn::user", "type": MEMBER, "id": "m", "dependencies": [old["urn"]]}
    before = state(pending(BUCKET, {"name": "weights"}))
    before["deployment"]["resources"] += [old, needs_it]
    after = pending_creates.with_pending_resolved(before, pending_creates.plan(before))["deployment"]["resources"]
    assert [resource["urn"] for resource in after] == ["urn:gcp", old["urn"], "urn::user"]
    assert "pendingReplacement" not in after[1]
    assert after[1]["inputs"] == {"name": "weights"}


def beside() -> dict[str, Any]:
    """A state in which a bucket was to be replaced by one of another name, and the old one is still there."""
    before = state(pending(BUCKET, {"name": "new"}))
    old = {"urn": f"urn::{BUCKET}", "type": BUCKET, "id": "old", "inputs": {"name": "old"}}
    before["deployment"]["resources"].append(old)
    return before


def test_what_is_to_replace_something_that_lives_is_looked_for_under_another_name() -> None:
    before = beside()
    found = pending_creates.plan(before)
    assert found.beside == {f"urn::{BUCKET}"}
    urns = [r["urn"] for r in pending_creates.with_pending_resolved(before, found)["deployment"]["resources"]]
    assert urns == ["urn:gcp", f"urn::{BUCKET}", f"urn::{BUCKET}-pending-create"]


def test_what_was_found_takes_the_name_and_the_old_object_is_what_is_left_to_delete() -> None:
    before = beside()
    refreshed = pending_creates.with_pending_resolved(before, pending_creates.plan(before))
    made, old = pending_creates.with_replacements_separated(refreshed)["deployment"]["resources"][1:]
    assert (made["urn"], made["id"], made.get("delete")) == (f"urn::{BUCKET}", "new", None)
    assert (old["urn"], old["id"], old["delete"]) == (f"urn::{BUCKET}", "old", True)


def test_what_was_not_found_leaves_the_old_object_as_it_is() -> None:
    before = beside()
    refreshed = pending_creates.with_pending_resolved(before, pending_creates.plan(before))
    refreshed["deployment"]["resources"].pop()
    (old,) = pending_creates.with_replacements_separated(refreshed)["deployment"]["resources"][1:]
    assert (old["id"], "delete" in old) == ("old", False)


def test_a_patch_that_was_found_gets_the_field_manager_that_made_it() -> None:
    kind = "kubernetes:core/v1:NamespacePatch"
    inputs = {"metadata": {"name": "default", "annotations": {"users/dev": "x", "pulumi.com/patchForce": "true"}}}
    operation = pending(kind, inputs)
    operation["resource"]["urn"] = f"urn:pulumi:dev::p::{kind}::use"
    before = state(operation)
    found = pending_creates.plan(before)
    refreshed = pending_creates.with_pending_resolved(before, found)

    def entry(manager: str, *annotations: str) -> dict[str, Any]:
        fields = {"f:metadata": {"f:annotations": {f"f:{key}": {} for key in annotations}}}
        return {"manager": manager, "operation": "Apply", "fieldsV1": fields}

    managers = [
        entry("another", "users/prod", "pulumi.com/patchForce"),
        entry("lost", "users/dev", "pulumi.com/patchForce"),
    ]
    outputs = {"__fieldManager": "drawn", "metadata": {"managedFields": managers}}
    refreshed["deployment"]["resources"][-1]["outputs"] = outputs
    (patch,) = pending_creates.owned(refreshed, found)["deployment"]["resources"][1:]
    assert (patch["id"], patch["outputs"]["__fieldManager"]) == ("default", "lost")


def test_the_whole_message_of_pulumi_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\necho 'error: the state is broken:' >&2; echo '  duplicate resource x' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(StateError, match=r"pulumi stack import: error: the state is broken:\n  duplicate resource x"):
        pulumi(["stack", "import"], "{}")


def test_every_kind_of_both_programs_has_an_id_or_may_be_made_again() -> None:
    """Read from the sources: which of them a run creates depends on its config."""
    sources = [path for folder in ("components", "program", "bootstrap") for path in (ROOT / folder).rglob("*.py")]
    made = {pair for path in sources for pair in re.findall(r"\bgcp\.(\w+)\.([A-Z]\w+)\(", path.read_text("utf-8"))}
    kinds = {f"gcp:{module}/{name[0].lower()}{name[1:]}:{name}" for module, name in made}
    assert {"gcp:container/nodePool:NodePool", "gcp:dns/recordSet:RecordSet"} < kinds
    lacking = {
        kind
        for kind in kinds
        if not kind.startswith(pending_creates._REPEATABLE)
        and not kind.endswith("IAMMember")
        and kind not in pending_creates._GCP_IDS
    }
    assert lacking == set()


def test_zone_and_record_of_private_access_have_the_ids_of_their_imports() -> None:
    place = {"project": "p", "region": "r", "location": "r"}
    assert pending_creates.id_of("gcp:dns/managedZone:ManagedZone", {**place, "name": "z"}) == (
        "projects/p/managedZones/z"
    )
    record = {**place, "managedZone": "z", "name": "googleapis.com.", "type": "A"}
    assert pending_creates.id_of("gcp:dns/recordSet:RecordSet", record) == (
        "projects/p/managedZones/z/rrsets/googleapis.com./A"
    )


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

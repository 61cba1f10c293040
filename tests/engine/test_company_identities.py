"""Accounts, APIs and roles of others in the real engine: a whole life, and what comes later."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rehearsal import seeds
from rehearsal.run import Rehearsal
from rehearsal.simulator.gcp.rules import ACCOUNT, CLUSTER, NODE_POOL
from tests.resilience import life
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

OWN = "my-project.iam.gserviceaccount.com"
NODES, READER, WRITER = f"gke-nodes@{OWN}", f"reader@{OWN}", f"writer@{OWN}"
KEYS = "projects/company-keys/locations/us-central1/keyRings/a4x/cryptoKeys"
EVERYTHING: dict[str, Any] = {
    "dynamo-a4x:protect": False,
    "dynamo-a4x:workloadIdentity": "serviceAccount",
    "dynamo-a4x:identities": {
        "nodeServiceAccount": NODES,
        "modelReader": READER,
        "modelWriter": WRITER,
        "enableApis": False,
        "iam": "none",
    },
    "dynamo-a4x:encryption": {use: f"{KEYS}/{use}" for use in ("disks", "secrets", "bucket", "volumes")},
}
IAM = ("IAMMember", "projects/service:Service", "serviceaccount/account:Account")


def test_an_environment_without_iam_accounts_and_apis_of_its_own_lives_and_leaves_nothing() -> None:
    with Rehearsal("prod", config=EVERYTHING) as rehearsal:
        said = rehearsal.preview().warnings
        assert any("Until somebody has run the commands of the output iamBindings" in text for text in said)
        phase = rehearsal.up()
        assert [step for step in phase.changed if step.kind.endswith(IAM)] == []
        assert {found.origin for found in rehearsal.state.find(ACCOUNT)} == {"seed"}
        bindings = phase.outputs["iamBindings"].value
        assert any(NODES in command for command in bindings)
        assert any("[r1-10p8d/dynamo-serving]" in command for command in bindings)
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []


def test_roles_of_the_pods_that_nobody_gave_keep_the_stack_from_serving() -> None:
    config = {"dynamo-a4x:identities": {"iam": "none"}}
    with Rehearsal("dev", config=config) as rehearsal:
        for grant in rehearsal.state.find("gcp:storage/bucketIAMMember:BucketIAMMember"):
            rehearsal.state.remove(grant.key)
        error = life.failed(rehearsal.up)
        assert error is not None
        assert any("r1-1p1d" in cause for cause in error.causes)


def test_a_node_account_that_comes_later_replaces_pools_and_the_roles_of_the_old_one_go() -> None:
    with Rehearsal("prod", config={"dynamo-a4x:stacks": [], "dynamo-a4x:protect": False}) as rehearsal:
        rehearsal.up()
        rehearsal.set_config({"dynamo-a4x:identities": {"nodeServiceAccount": NODES}})
        seeds.plant_missing(rehearsal.cloud, rehearsal.settings)
        phase = rehearsal.up()
        replaced = Counter(step.kind for step in phase.changed if step.op == "replace" and step.kind.startswith("gcp:"))
        assert replaced == {NODE_POOL: 2}
        deleted = {step.kind for step in phase.changed if step.op == "delete" and step.kind.startswith("gcp:")}
        assert deleted == {ACCOUNT, "gcp:projects/iAMMember:IAMMember"}
        cluster = rehearsal.config["dynamo-a4x:cluster"]
        asked = {
            "costAllocation": True,
            "fleetProject": "company-fleet",
            "binaryAuthorization": "PROJECT_SINGLETON_POLICY_ENFORCE",
        }
        rehearsal.set_config({"dynamo-a4x:cluster": {**cluster, **asked}})
        assert [f"{step.op} {step.kind}" for step in rehearsal.up().changed] == [f"update {CLUSTER}"]
        rehearsal.up_without_change()

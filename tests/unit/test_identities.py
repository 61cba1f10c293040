"""Accounts, APIs and roles that somebody else provides: none is made, and what is missing is listed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reference import buckets, gke, iam, identities
from settings import checks, parse
from tests.recorder import Recording, run_program
from tests.unit.configs import put, shipped
from validation.problems import RuleError

PROJECT = "my-project"
NODES = f"gke-nodes@{PROJECT}.iam.gserviceaccount.com"
READER = f"weights-reader@{PROJECT}.iam.gserviceaccount.com"
WRITER = f"weights-writer@{PROJECT}.iam.gserviceaccount.com"
ACCOUNT = "gcp:serviceaccount/account:Account"
KEY = "projects/keys/locations/us-central1/keyRings/a4x/cryptoKeys/disks"
POOL = f"{PROJECT}.svc.id.goog"
EVERYTHING: dict[str, Any] = {
    "identities": {"nodeServiceAccount": NODES, "modelReader": READER, "modelWriter": WRITER, "iam": "none"},
    "workloadIdentity": "serviceAccount",
    "encryption": {"disks": KEY},
}


def iam_kinds(recording: Recording) -> set[str]:
    return {r.type for r in recording.resources if re.search("IAM(Member|Binding|Policy)$", r.type)}


def bindings(recording: Recording) -> list[str]:
    return list(recording.outputs["iamBindings"])


def test_all_nodes_the_default_pools_too_run_as_the_given_account_and_none_is_made() -> None:
    recording = run_program("prod", config={"identities": {"nodeServiceAccount": NODES}})
    (cluster,) = recording.of_type("gcp:container/cluster:Cluster")
    pools = recording.of_type("gcp:container/nodePool:NodePool")
    assert {owner.inputs["nodeConfig"]["serviceAccount"] for owner in (cluster, *pools)} == {NODES}
    assert len(pools) == 2
    assert recording.of_type(ACCOUNT) == []
    assert recording.of_type("gcp:projects/iAMMember:IAMMember") == []
    assert "iamBindings" not in recording.outputs


def test_apis_that_others_enable_are_left_alone() -> None:
    recording = run_program("prod", config={"identities": {"enableApis": False}})
    assert recording.of_type("gcp:projects/service:Service") == []
    assert recording.of_type("gcp:container/cluster:Cluster")[0].inputs["project"] == PROJECT


def test_a_given_account_of_pods_is_impersonated_and_its_role_on_the_bucket_is_its_owners() -> None:
    config = {"identities": {"modelReader": READER, "modelWriter": WRITER}, "workloadIdentity": "serviceAccount"}
    recording = run_program("prod", config=config)
    assert recording.of_type("gcp:storage/bucketIAMMember:BucketIAMMember") == []
    assert [account.name for account in recording.of_type(ACCOUNT)] == ["foundation-gke-nodes-account"]
    may = {
        (grant.inputs["serviceAccountId"], grant.inputs["member"])
        for grant in recording.of_type("gcp:serviceaccount/iAMMember:IAMMember")
    }
    path = f"projects/{PROJECT}/serviceAccounts/"
    assert (f"{path}{READER}", f"serviceAccount:{POOL}[r1-10p8d/dynamo-serving]") in may
    assert {target for target, _ in may} == {f"{path}{READER}", f"{path}{WRITER}"}
    annotated = {
        account.inputs["metadata"]["annotations"].get("iam.gke.io/gcp-service-account")
        for account in recording.of_type("kubernetes:core/v1:ServiceAccount")
        if account.inputs["metadata"].get("annotations")
    }
    assert annotated == {READER, WRITER}


@pytest.mark.parametrize("preview", [True, False])
def test_without_iam_no_role_is_given_and_every_one_that_is_needed_is_listed(preview: bool) -> None:
    recording = run_program("prod", config={**EVERYTHING, "projectNumber": "123456789012"}, preview=preview)
    assert iam_kinds(recording) == set()
    found = bindings(recording)
    for role in gke.NODE_ROLES:
        assert iam.command("project", PROJECT, role, f"serviceAccount:{NODES}") in found
    agent = "serviceAccount:service-123456789012@compute-system.iam.gserviceaccount.com"
    assert iam.command("key", KEY, "roles/cloudkms.cryptoKeyEncrypterDecrypter", agent) in found
    bucket = "my-project-prod-models"
    assert iam.command("bucket", bucket, buckets.READER, f"serviceAccount:{READER}") in found
    assert iam.command("bucket", bucket, buckets.WRITER, f"serviceAccount:{WRITER}") in found
    stack = f"serviceAccount:{POOL}[r1-10p8d/dynamo-serving]"
    assert iam.command("service account", READER, "roles/iam.workloadIdentityUser", stack) in found
    assert len(found) == len(set(found)) == len(gke.NODE_ROLES) + 1 + 2 + 2


def test_the_list_has_what_the_program_would_give_itself() -> None:
    """The same settings with and without the right to write: what is written is what is listed."""
    dranet = {**shipped("prod")["dynamo-a4x:cluster"], "rdma": "dranet", "dranetNetworkAdmin": True}
    shared: dict[str, Any] = {"cluster": dranet, "encryption": {"disks": KEY}}
    accounts = {"nodeServiceAccount": NODES}
    wrote = run_program("prod", config={**shared, "encryption": {"disks": KEY, "grant": True}, "identities": accounts})
    listed = bindings(run_program("prod", config={**shared, "identities": {**accounts, "iam": "none"}}))
    fields = {"projects": ("project", "project"), "storage": ("bucket", "bucket"), "kms": ("key", "cryptoKeyId")}
    made: list[str] = []
    for grant in wrote.resources:
        if grant.type in iam_kinds(wrote):
            on, field = fields[grant.type.partition(":")[2].partition("/")[0]]
            made.append(iam.command(on, grant.inputs[field], grant.inputs["role"], grant.inputs["member"]))  # pyright: ignore[reportArgumentType] - a key of the table
    roles = [iam.command("project", PROJECT, role, f"serviceAccount:{NODES}") for role in gke.NODE_ROLES]
    assert sorted(listed) == sorted([*made, *roles])


def test_the_options_of_a_cluster_reach_it_and_two_are_said_also_where_they_are_off() -> None:
    plain = run_program("prod").of_type("gcp:container/cluster:Cluster")[0].inputs
    assert plain["costManagementConfig"] == {"enabled": False}
    assert plain["binaryAuthorization"] == {"evaluationMode": "DISABLED"}
    assert not {"fleet", "authenticatorGroupsConfig"} & {key for key, value in plain.items() if value is not None}
    asked = {
        "costAllocation": True,
        "fleetProject": "fleet-project",
        "securityGroup": "gke-security-groups@example.com",
        "binaryAuthorization": "PROJECT_SINGLETON_POLICY_ENFORCE",
    }
    config = {"cluster": {**shipped("prod")["dynamo-a4x:cluster"], **asked}}
    given = run_program("prod", config=config).of_type("gcp:container/cluster:Cluster")[0].inputs
    assert {key: value for key, value in given.items() if plain.get(key) != value} == {
        "costManagementConfig": {"enabled": True},
        "fleet": {"project": "fleet-project"},
        "authenticatorGroupsConfig": {"securityGroup": "gke-security-groups@example.com"},
        "binaryAuthorization": {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
    }


@pytest.mark.parametrize(
    ("email", "project"),
    [
        (NODES, PROJECT),
        ("nodes@proj.example.com.iam.gserviceaccount.com", "example.com:proj"),
        ("123456789012-compute@developer.gserviceaccount.com", None),
    ],
)
def test_the_owner_of_an_account_is_read_from_its_email(email: str, project: str | None) -> None:
    iam.check_account(email)
    assert iam.project_of(email) == project


@pytest.mark.parametrize("email", ["gke-nodes", "serviceAccount:" + NODES, "a@example.com", f"{NODES} "])
def test_what_is_no_account_is_refused(email: str) -> None:
    with pytest.raises(RuleError):
        iam.check_account(email)


def test_an_account_of_another_project_is_accepted_with_a_warning() -> None:
    config = put(shipped("prod"), "identities.nodeServiceAccount", "nodes@other-project.iam.gserviceaccount.com")
    (said,) = [text for text in checks.warnings(parse(config, "prod")) if "identities" in text]
    assert "iam.disableCrossProjectServiceAccountUsage" in said
    own = put(shipped("prod"), "identities.nodeServiceAccount", NODES)
    assert [text for text in checks.warnings(parse(own, "prod")) if "identities" in text] == []


def test_whoever_gives_the_accounts_is_told_their_roles() -> None:
    found = [one.command for one in identities.node_account(NODES, PROJECT)]
    assert found[0] == f"gcloud iam service-accounts create gke-nodes --project {PROJECT}"
    assert [command for command in found for role in gke.NODE_ROLES if role in command] == found[1:3]
    (writer,) = identities.model_account("identities.modelWriter", WRITER, buckets.WRITER, "bucket")
    assert writer.command == iam.command("bucket", "bucket", buckets.WRITER, f"serviceAccount:{WRITER}")

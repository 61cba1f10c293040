"""The bootstrap program: what it makes, who gets which right, and its settings."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml

from bootstrap import settings, trust
from bootstrap.roles import GRANTED, IDENTITIES, READS_SECRETS
from reference import gke
from tests.conftest import recorded
from tests.recorder import ROOT, ProgramFailedError, Recording, run_program
from tools import bootstrap_reference

FOLDER: Final = ROOT / "bootstrap"
CONFIG: Final[Mapping[str, Any]] = yaml.safe_load((FOLDER / "Pulumi.team.yaml").read_text("utf-8"))["config"]
KEY: Final = "dynamo-a4x-bootstrap:"


def built(**config: Any) -> Recording:
    """The program with the shipped config and changes to it."""
    changes = {f"{KEY}{name}": value for name, value in config.items()}
    return run_program("team", root=FOLDER, secrets={}, config=changes)


@pytest.fixture(scope="module")
def program() -> Recording:
    return built()


def _grants(program: Recording, identity: str) -> set[tuple[str, str]]:
    """(what, role) of everything that an identity's account is a member of."""
    member = f"serviceAccount:dynamo-a4x-{identity}@my-state-project.iam.gserviceaccount.com"
    where = ("project", "bucket", "cryptoKeyId")
    return {
        (next(str(r.inputs[key]) for key in where if key in r.inputs), r.inputs["role"])
        for r in program.resources
        if r.inputs.get("member") == member
    }


# --- state and key ----------------------------------------------------------------------------------------


def test_the_state_is_private_versioned_and_never_emptied_by_a_destroy(program: Recording) -> None:
    bucket = program.find("gcp:storage/bucket:Bucket")
    assert bucket.inputs["uniformBucketLevelAccess"] is True
    assert bucket.inputs["publicAccessPrevention"] == "enforced"
    assert bucket.inputs["versioning"] == {"enabled": True}
    assert bucket.inputs.get("forceDestroy") in (None, False)


def test_age_alone_removes_no_version_of_the_state(program: Recording) -> None:
    [rule] = program.find("gcp:storage/bucket:Bucket").inputs["lifecycleRules"]
    assert rule["action"] == {"type": "Delete"}
    assert rule["condition"] == {"withState": "ARCHIVED", "daysSinceNoncurrentTime": 90, "numNewerVersions": 20}


def test_the_key_rotates_and_a_destroy_leaves_it(program: Recording) -> None:
    key = program.find("gcp:kms/cryptoKey:CryptoKey")
    assert key.inputs["rotationPeriod"] == "7776000s"
    assert program.outputs["secretsProvider"] == f"gcpkms://{key.id}"


@pytest.mark.parametrize("protect", [True, False])
def test_protection_covers_what_cannot_be_had_again(protect: bool) -> None:
    covered = {r.type.rsplit(":", 1)[-1] for r in built(protect=protect).resources if r.protect}
    kinds = {"Bucket", "KeyRing", "CryptoKey", "WorkloadIdentityPool", "WorkloadIdentityPoolProvider", "Account"}
    assert covered == (kinds if protect else set())


# --- rights -----------------------------------------------------------------------------------------------


def test_each_identity_has_exactly_the_rights_of_the_table(program: Recording) -> None:
    key = program.find("gcp:kms/cryptoKey:CryptoKey").id
    for name, rights in IDENTITIES.items():
        expected = {("my-org-pulumi-state", rights.state.role), (key, rights.key.role)}
        expected |= {("my-project", grant.role) for grant in rights.roles}
        if rights.custom:
            expected.add(("my-project", f"projects/my-project/roles/{rights.custom.id}"))
        assert _grants(program, name) == expected


def test_nobody_has_a_role_on_the_project_of_state_and_key(program: Recording) -> None:
    assert [r for r in program.of_type("gcp:projects/iAMMember:IAMMember") if r.inputs["project"] != "my-project"] == []


def test_each_project_with_an_environment_gets_the_same_rights() -> None:
    two = built(projects=["my-project", "my-other-project"])
    for name in IDENTITIES:
        roles = {project: set[str]() for project in ("my-project", "my-other-project")}
        for where, role in _grants(two, name):
            if where in roles:
                roles[where].add(role.replace(f"projects/{where}/", ""))
        assert roles["my-project"] == roles["my-other-project"] != set()


def test_only_who_deploys_can_write_and_only_the_drift_check_reads_secrets_beside_it(program: Recording) -> None:
    for name in ("previewer", "drift"):
        assert {role for _, role in _grants(program, name) if role.startswith("roles/")} == {
            "roles/storage.objectViewer",
            "roles/cloudkms.cryptoKeyDecrypter",
            "roles/compute.viewer",
            "roles/container.viewer",
        }
        custom = program.find(name=f"{name}-my-project-role").inputs["permissions"]
        assert all(permission.rpartition(".")[2] in {"connect", "get", "getIamPolicy", "list"} for permission in custom)
        assert not {permission for permission in custom if permission.startswith("storage.objects.")}
        assert (set(READS_SECRETS) <= set(custom)) == (name == "drift")
        assert any("secrets" in permission for permission in custom) == (name == "drift")


def test_no_identity_has_a_basic_role_or_a_key(program: Recording) -> None:
    roles = {str(r.inputs["role"]) for r in program.resources if "role" in r.inputs}
    assert not roles & {"roles/owner", "roles/editor", "roles/viewer"}
    assert not program.of_type("gcp:serviceaccount/key:Key")


SERVICES: Final = {
    "gcp:compute/": "roles/compute.admin",
    "gcp:container/": "roles/container.admin",
    "kubernetes:": "roles/container.admin",
    "gcp:projects/service:": "roles/serviceusage.serviceUsageAdmin",
    "gcp:projects/iAMMember:": "roles/resourcemanager.projectIamAdmin",
    "gcp:serviceaccount/": "roles/iam.serviceAccountAdmin",
    "gcp:storage/": "roles/storage.admin",
}
"""Kinds that the main program registers -> the role that creates them."""


@pytest.fixture(scope="module")
def environments() -> list[Recording]:
    """The main program: dev, prod, and prod with Google service accounts for its pods."""
    return [recorded("dev"), recorded("prod"), run_program("prod", config={"workloadIdentity": "serviceAccount"})]


def test_the_deployer_may_do_what_the_main_program_does_and_no_more(environments: list[Recording]) -> None:
    kinds = {r.type for run in environments for r in run.resources if r.type.startswith(("gcp:", "kubernetes:"))}
    needed = {role for kind in kinds for prefix, role in SERVICES.items() if kind.startswith(prefix)}
    assert {kind for kind in kinds if not kind.startswith(tuple(SERVICES))} == set()
    # Pools run as the nodes' account, which whoever creates them must be allowed to use.
    assert {grant.role for grant in IDENTITIES["deployer"].roles} == needed | {"roles/iam.serviceAccountUser"}
    assert {grant.role for grant in IDENTITIES["deployer"].roles} == set(gke.DEPLOYER_ROLES)


def test_the_deployer_may_grant_the_roles_that_the_main_program_grants_and_no_other(
    program: Recording, environments: list[Recording]
) -> None:
    given = {str(r.inputs["role"]) for run in environments for r in run.of_type("gcp:projects/iAMMember:IAMMember")}
    assert given <= set(GRANTED)
    assert set(GRANTED) - given <= {gke.DRANET_ROLE}
    for r in program.of_type("gcp:projects/iAMMember:IAMMember"):
        limited = r.inputs["role"] == "roles/resourcemanager.projectIamAdmin"
        assert ("condition" in r.inputs) == limited
        if limited:
            expression = r.inputs["condition"]["expression"]
            assert expression.startswith("api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([")
            assert [part for part in expression.split("'") if part.startswith("roles/")] == list(GRANTED)


def test_a_project_that_holds_both_state_and_an_environment_is_warned_of() -> None:
    [(severity, message)] = built(projects=None).logs
    assert severity == "warning"
    assert "gcp:project = 'my-state-project' also holds an environment" in message


# --- outputs ----------------------------------------------------------------------------------------------


def test_the_outputs_are_the_variables_of_the_workflows_and_the_commands_that_set_them(program: Recording) -> None:
    variables = program.outputs["variables"]
    assert set(variables) == {
        "WORKLOAD_IDENTITY_PROVIDER",
        "PULUMI_BACKEND_URL",
        "PREVIEWER_ACCOUNT",
        "DRIFT_ACCOUNT",
        "DEPLOYER_ACCOUNT",
    }
    assert variables["PULUMI_BACKEND_URL"] == "gs://my-org-pulumi-state"
    # The action takes the project's number, which the pool's own name has.
    assert variables["WORKLOAD_IDENTITY_PROVIDER"].startswith("projects/123456789012/locations/global/")
    commands = [shlex.split(command) for command in program.outputs["setVariables"]]
    start = ["gh", "variable", "set"]
    assert {
        c[3]: c[-1] for c in commands if c[:3] == start and c[4:7] == ["--repo", "my-org/dynamo-a4x", "--body"]
    } == {**variables}


# --- settings ---------------------------------------------------------------------------------------------


def _changed(**changes: Any) -> dict[str, Any]:
    made = copy.deepcopy(dict(CONFIG))
    for name, value in changes.items():
        made[name if ":" in name else f"{KEY}{name}"] = value
    return {key: value for key, value in made.items() if value is not None}


GITHUB: Final = CONFIG[f"{KEY}github"]

BAD: Final[list[tuple[dict[str, Any], str]]] = [
    ({"stateBucket": None}, "stateBucket = (not set)\n    rule: this key is required"),
    ({"stateBucket": "gs://state"}, "stateBucket = 'gs://state'\n    rule: a bucket's name has 3 to 63"),
    ({"gcp:project": "P"}, "gcp:project = 'P'\n    rule: a project id has 6 to 30"),
    ({"gcp:region": "us"}, "gcp:region = 'us'\n    rule: not a region of Google Cloud"),
    ({"projects": ["my-project", "my-project"]}, "rule: each is listed once, and 'my-project' is listed again"),
    ({"identityPool": "gcp-github"}, "identityPool = 'gcp-github'\n    rule: a pool's id has 4 to 32"),
    ({"keyRing": "a/b"}, "keyRing = 'a/b'\n    rule: a key ring's name has up to 63"),
    ({"keyRotationDays": 0}, "keyRotationDays = 0\n    rule: must be greater than or equal to 1"),
    ({"oldVersionsDays": 1}, "oldVersionsDays = 1\n    rule: must be greater than or equal to 7"),
    (
        {"github": {**GITHUB, "repositoryId": 1}},
        "github.repositoryId = 1\n    rule: must be a string\n    fix: put it in",
    ),
    (
        {"github": {**GITHUB, "ownerId": "my-org"}},
        "github.ownerId = 'my-org'\n    rule: an owner's id is a whole number",
    ),
    (
        {"github": {**GITHUB, "repository": "x"}},
        "github.repository = 'x'\n    rule: a repository is written OWNER/NAME",
    ),
    *(
        ({"github": {**GITHUB, "repository": name}}, f"github.repository = '{name}'\n    rule: a repository is written")
        for name in ("o/..", "o/.", "-o/r", "o-/r", "a--b/r", "o/r/s", "o/a b")
    ),
    ({"github": {**GITHUB, "branch": "main"}}, "github.branch = 'main'\n    rule: this key does not exist"),
    ({"github": {**GITHUB, "brnch": "main"}}, "github.brnch = 'main'\n    rule: this key does not exist"),
    ({"stateBukket": "x"}, "fix: did you mean 'stateBucket'?"),
    ({"dynamo-a4x:keyRing": "x"}, "dynamo-a4x:keyRing = 'x'\n    rule: keys of this program need the prefix"),
]


@pytest.mark.parametrize(("change", "said"), BAD)
def test_a_wrong_config_is_reported_with_key_value_rule_and_fix(change: dict[str, Any], said: str) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.parse(_changed(**change), "team")
    message = str(caught.value)
    assert said in message
    assert message.startswith("1 problem in the config of stack 'team'; no resource was registered.")
    assert "\n    fix: " in message


def test_every_problem_is_in_one_message_and_no_resource_is_registered() -> None:
    with pytest.raises(ProgramFailedError) as caught:
        built(stateBucket="x", keyRing="a/b", unknown=1)
    assert str(caught.value).startswith("3 problems in the config of stack 'team'; no resource was registered.")
    assert caught.value.recording.resources == []


@pytest.mark.parametrize("key", ["dynamo-a4x:hfToken", "dynamo-a4x:keyRotationDays"])
def test_the_value_of_a_secret_in_the_wrong_place_is_not_shown(key: str) -> None:
    """Whatever its name says: one of the two is a key of this program, which is no secret."""
    with pytest.raises(ProgramFailedError) as caught:
        run_program("team", root=FOLDER, secrets={key: "made-up-value"})
    assert "made-up-value" not in str(caught.value)
    assert key.partition(":")[2] in str(caught.value)


def test_numbers_and_truths_are_read_as_the_engine_passes_them() -> None:
    found = settings.parse(_changed(keyRotationDays="30", protect="false"), "team")
    assert (found.key_rotation_days, found.protect) == (30, False)


def test_the_reference_page_is_what_the_program_says() -> None:
    assert bootstrap_reference.DOCUMENT.read_text(encoding="utf-8") == bootstrap_reference.page()
    assert all(role in bootstrap_reference.page() for role in gke.DEPLOYER_ROLES)


def test_every_identity_has_a_workflow() -> None:
    assert list(trust.WORKFLOWS) == list(IDENTITIES)

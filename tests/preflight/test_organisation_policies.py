"""Organisation policies: how their lists are read, and that a config which follows the fixes violates none."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from preflight.checks import organisation
from preflight.cloud import CloudError, OrgPolicy
from preflight.results import Outcome
from preflight.site import Site
from reference.organisation_policies import CONSTRAINTS
from tests import stacks
from tests.preflight.healthy import HealthyCloud

KEYS = "projects/company-keys/locations/us-central1/keyRings/r/cryptoKeys"
OWN = "my-project.iam.gserviceaccount.com"
FOLLOWED: dict[str, Any] = {
    "dynamo-a4x:workloadIdentity": "serviceAccount",
    "dynamo-a4x:identities": {
        "nodeServiceAccount": f"nodes@{OWN}",
        "modelReader": f"reader@{OWN}",
        "modelWriter": f"writer@{OWN}",
    },
    "dynamo-a4x:encryption": {use: f"{KEYS}/{use}" for use in ("disks", "secrets", "bucket", "volumes")},
    "dynamo-a4x:cluster": {
        **stacks.config("prod")["dynamo-a4x:cluster"],
        "securityGroup": "gke-security-groups@example.com",
    },
}


def looked(policies: dict[str, OrgPolicy], **changes: Any) -> Outcome:
    """What the check says of `prod` under some policies, with `changes` of its config."""
    found = settings.parse({**stacks.config("prod"), **changes}, "prod")
    cloud: Any = HealthyCloud(found)
    cloud.org_policy = lambda _, name: policies.get(name, OrgPolicy())
    return organisation.policies(Site(found, cloud))


@pytest.mark.parametrize(
    ("policy", "value", "wrong"),
    [
        (OrgPolicy(), "us-central1", False),
        (OrgPolicy(enforced=True), "x", True),
        (OrgPolicy(denies_all=True), "x", True),
        (OrgPolicy(allowed=frozenset({"us-central1"})), "us-central1", False),
        (OrgPolicy(allowed=frozenset({"in:us-central1-locations"})), "us-central1", False),
        (OrgPolicy(allowed=frozenset({"in:eu-locations"})), "us-central1", False),  # only Google can expand it
        (OrgPolicy(allowed=frozenset({"europe-west4"})), "us-central1", True),
        (OrgPolicy(denied=frozenset({"in:us-central1-locations"})), "us-central1", True),
        (OrgPolicy(denied=frozenset({"is:compute.googleapis.com"})), "compute.googleapis.com", True),
        (OrgPolicy(denied=frozenset({"compute.googleapis.com"})), "storage.googleapis.com", False),
        (OrgPolicy(allowed=frozenset({"under:projects/keys"})), "projects/keys", False),
        (OrgPolicy(allowed=frozenset({"under:folders/1"})), "projects/keys", False),
        (OrgPolicy(allowed=frozenset({"projects/other"})), "projects/keys", True),
    ],
)
def test_a_list_is_read_as_google_writes_it(policy: OrgPolicy, value: str, wrong: bool) -> None:
    assert organisation.violates(policy, value) is wrong


@pytest.mark.parametrize(
    ("constraint", "policy"),
    [
        ("iam.disableServiceAccountCreation", OrgPolicy(enforced=True)),
        ("container.managed.enableSecretsEncryption", OrgPolicy(enforced=True)),
        ("container.managed.enableGoogleGroupsRBAC", OrgPolicy(enforced=True)),
        (
            "gcp.restrictNonCmekServices",
            OrgPolicy(denied=frozenset(f"{name}.googleapis.com" for name in ("compute", "container", "storage"))),
        ),
    ],
)
def test_the_key_that_a_fix_names_is_what_the_policy_asks_for(constraint: str, policy: OrgPolicy) -> None:
    outcome = looked({constraint: policy})
    assert outcome.status == "fail"
    assert constraint in outcome.finding
    assert looked({constraint: policy}, **FOLLOWED).status == "pass"


@pytest.mark.parametrize(
    "dynamo",
    [
        {"mode": "create", "version": "1.5.1"},
        {"mode": "create", "version": "1.0.2", "nats": {"mode": "adopt", "address": "nats://nats.messaging.svc:4222"}},
    ],
    ids=["a release without volumes", "an adopted NATS"],
)
def test_no_key_is_asked_for_where_nothing_is_encrypted(dynamo: dict[str, Any]) -> None:
    keys = {use: key for use, key in FOLLOWED["dynamo-a4x:encryption"].items() if use != "volumes"}
    policy = {"gcp.restrictNonCmekServices": OrgPolicy(denied=frozenset({"compute.googleapis.com"}))}
    changes = {**FOLLOWED, "dynamo-a4x:encryption": keys, "dynamo-a4x:stacks": []}
    assert looked(policy, **changes).status == "fail"
    assert looked(policy, **{**changes, "dynamo-a4x:dynamo": dynamo}).status == "pass"


def test_keys_of_a_project_that_is_not_allowed_are_refused() -> None:
    policy = {"gcp.restrictCmekCryptoKeyProjects": OrgPolicy(allowed=frozenset({"under:projects/others"}))}
    assert looked(policy).status == "pass"
    assert "projects/company-keys" in looked(policy, **FOLLOWED).finding


def test_what_no_document_says_is_a_warning_and_what_does_not_exist_is_no_policy() -> None:
    everything = {one.name: OrgPolicy(enforced=True) for one in CONSTRAINTS if not one.certain}
    assert looked(everything).status == "warn"
    found = settings.parse(stacks.config("prod"), "prod")
    cloud: Any = HealthyCloud(found)

    def missing(*_: str) -> OrgPolicy:
        raise CloudError("missing", "Not found")

    cloud.org_policy = missing
    assert organisation.policies(Site(found, cloud)).status == "pass"


@pytest.mark.parametrize("trouble", ["denied", "off"])
def test_without_the_right_there_is_one_line(trouble: Any) -> None:
    found = settings.parse(stacks.config("prod"), "prod")
    cloud: Any = HealthyCloud(found)
    asked: list[str] = []

    def refuse(_: str, constraint: str) -> OrgPolicy:
        asked.append(constraint)
        raise CloudError(trouble, "Permission 'orgpolicy.policy.get' denied")

    cloud.org_policy = refuse
    outcome = organisation.policies(Site(found, cloud))
    assert (outcome.status, len(asked)) == ("skip", 1)
    assert outcome.finding.startswith("not read: ")

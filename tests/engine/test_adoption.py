"""What an environment adopts and cannot read: one message with key, value, rule and fix, and nothing is made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal import Rehearsal
from rehearsal.simulator.gcp.rules import BUCKET, CLUSTER
from tests.resilience import life
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal("dev") as made:
        yield made


def _refusal(rehearsal: Rehearsal, answer: str) -> str:
    """The one cause that a preview ends with, when Google Cloud answers every question of the program so."""
    rehearsal.cloud.faults.clear()
    rehearsal.cloud.faults.fail(lambda call: call.op == "invoke", answer)
    before = len(rehearsal.state.journal)
    error = life.failed(rehearsal.preview)
    rehearsal.cloud.faults.clear()
    assert error is not None
    assert len(error.causes) == 1
    assert {entry.op for entry in rehearsal.state.journal[before:]}.isdisjoint({"create", "update", "delete"})
    return error.causes[0]


@pytest.mark.parametrize(
    ("kind", "key", "what"),
    [(BUCKET, "modelBucket.name", "bucket"), (CLUSTER, "cluster.name", "GKE cluster in us-central1")],
)
def test_what_is_adopted_and_does_not_exist_is_named_with_its_key(
    rehearsal: Rehearsal, kind: str, key: str, what: str
) -> None:
    (resource,) = rehearsal.state.find(kind)
    rehearsal.state.remove(resource.key)
    error = life.failed(rehearsal.preview)
    rehearsal.state.add(resource)
    assert error is not None
    (cause,) = error.causes
    assert cause.startswith(f"{key} = {resource.outputs['name']!r} rule: there is no such {what}")
    assert "fix: Correct the name, or set its mode to create" in cause


NO_BUCKET = (
    "googleapi: Error 403: you@example.com does not have storage.buckets.get access to the bucket. Permission "
    "'storage.buckets.get' denied on resource (or it may not exist)., forbidden"
)
NO_GROUPS = (
    "googleapi: Error 403: Required 'compute.instanceGroupManagers.list' permission for "
    "'projects/p/zones/z/instanceGroupManagers/g', forbidden"
)
NO_API = (
    "googleapi: Error 403: Kubernetes Engine API has not been used in project 1 before or it is disabled. Enable it by "
    "visiting https://console.developers.google.com/apis/api/container.googleapis.com/overview?project=1"
)
NO_LOGIN = "No credentials loaded: google: could not find default credentials. dial tcp 169.254.169.254:80: i/o timeout"
NO_NETWORK = (
    'Get "https://storage.googleapis.com/storage/v1/b/x": oauth2: cannot fetch token: dial tcp: lookup '
    "oauth2.googleapis.com: no such host"
)


@pytest.mark.parametrize(
    ("answer", "rule", "fix"),
    [
        (NO_BUCKET, "the caller lacks storage.buckets.get", "--role=roles/storage.admin"),
        (NO_GROUPS, "lacks compute.instanceGroupManagers.list", "Grant roles/compute.viewer"),
        (NO_API, "API container.googleapis.com is off in project my-project", "gcloud services enable container."),
        (NO_LOGIN, "Google Cloud does not accept the credentials", "gcloud auth application-default login"),
        (NO_NETWORK, "Google Cloud was not reached", "Check network and proxy"),
        ("googleapi: Error 500: Internal error encountered., backendError", "cannot be read", "python -m preflight"),
    ],
    ids=["bucket", "cluster", "api", "credentials", "network", "other"],
)
def test_a_reading_that_google_cloud_refuses_says_why_and_what_to_do(
    rehearsal: Rehearsal, answer: str, rule: str, fix: str
) -> None:
    cause = _refusal(rehearsal, answer)
    assert cause.startswith("modelBucket.name = 'my-project-models' rule: ")
    assert rule in cause
    assert fix in cause


def test_once_it_can_be_read_the_environment_is_previewed(rehearsal: Rehearsal) -> None:
    assert rehearsal.preview().changed

"""The check of a mirror: every image is there for the architectures of its nodes, and the nodes may read it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import settings
from preflight import google_cloud, registry
from preflight.checks import plan
from preflight.checks.mirrors import node_account
from preflight.cloud import CloudError, Image
from preflight.results import Outcome
from preflight.run import run
from preflight.site import Site
from reference import mirrors
from reference.naming import gcp_labels
from settings import Settings
from tests import stacks
from tests.preflight.healthy import HealthyCloud
from tests.preflight.test_preflight import http
from tests.recorder import run_program

PLACE = "us-docker.pkg.dev/other/mirror"
RUNTIME = f"{PLACE}/nvidia/ai-dynamo/sglang-runtime:0.7.0"
NODES = "a4x-prod-nodes@my-project.iam.gserviceaccount.com"


def _settings(environment: str = "prod", place: str = PLACE) -> Settings:
    config = stacks.config(environment)
    config["dynamo-a4x:images"] = {"mirrors": {"nvcr.io": place}}
    return settings.parse(config, environment)


class _Cloud(HealthyCloud):
    """A cloud whose registry lacks images, and whose repository has readers."""

    def __init__(self, settings: Settings, lacks: tuple[str, ...] = (), readers: tuple[str, ...] = ()) -> None:
        super().__init__(settings)
        self.lacks = lacks
        self.may_read = frozenset(readers)
        self.asked: list[str] = []

    def image(self, reference: str) -> Image:
        self.asked.append(reference)
        if any(reference.endswith(lacking) for lacking in self.lacks):
            raise CloudError("missing", "no such image")
        return super().image(reference)

    def readers(self, project: str, location: str, repository: str) -> frozenset[str]:
        assert (project, location, repository) == ("other", "us", "mirror")
        return self.may_read


def _of(found: Settings, cloud: Any) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in run(plan(Site(found, cloud)), limit=60)}


def test_every_image_is_asked_of_the_mirror_and_none_of_a_mirrored_registry() -> None:
    found = _settings()
    cloud = _Cloud(found, readers=(f"serviceAccount:{NODES}",))
    outcomes = _of(found, cloud)
    assert outcomes[f"mirror {PLACE}"].status == "pass"
    assert "it has all 3 images" in outcomes[f"mirror {PLACE}"].finding
    assert RUNTIME in cloud.asked
    assert not [reference for reference in cloud.asked if reference.startswith("nvcr.io")]
    assert "image python:3.12-slim" in outcomes
    assert "image sglang-runtime:0.7.0" not in outcomes


def test_a_missing_image_is_named_with_the_command_that_lists_its_source() -> None:
    found = _settings()
    lacking = _Cloud(found, lacks=("sglang-runtime:0.7.0",), readers=("allUsers",))
    outcome = _of(found, lacking)[f"mirror {PLACE}"]
    assert outcome.status == "fail"
    assert outcome.finding == "it lacks 1 of 3 images: nvidia/ai-dynamo/sglang-runtime:0.7.0"
    assert "python -m artifacts --stack prod" in outcome.fix


def test_an_image_without_the_architecture_of_its_nodes_is_missing() -> None:
    found = _settings()
    cloud: Any = _Cloud(found, readers=("allUsers",))
    cloud.image = lambda _: Image(frozenset({"amd64"}))
    outcome = _of(found, cloud)[f"mirror {PLACE}"]
    assert outcome.status == "fail"
    assert "sglang-runtime:0.7.0 for arm64" in outcome.finding


def test_nodes_that_may_not_read_the_mirror_are_named_with_the_command_of_the_grant() -> None:
    found = _settings()
    cloud: Any = _Cloud(found)
    # Before the first up there is nobody to give the role to.
    assert _of(found, cloud)[f"mirror {PLACE}"].status == "warn"
    own = HealthyCloud(_settings("dev")).cluster("my-project", "us-central1", "a4x-prod")
    cloud.cluster = lambda *_: replace(own, labels=gcp_labels("prod"))
    site = Site(found, cloud)
    outcome = next(r.outcome for r in run(plan(site), limit=60) if r.name == f"mirror {PLACE}")
    assert outcome.status == "fail"
    expected = next(
        p
        for p in mirrors.prerequisites(found.mirrors, [*found.mirrors.places.values()], NODES)
        if mirrors.READER in p.what
    )
    assert outcome.fix == expected.command
    assert expected.check == f"mirror {PLACE}"
    assert NODES in outcome.finding


@pytest.mark.parametrize(
    "place", ["us-docker.pkg.dev/my-project/mirror", "registry.example/mirror", "us-docker.pkg.dev/my-project/mirror/x"]
)
def test_readers_are_asked_for_only_where_others_give_the_right(place: str) -> None:
    found = _settings(place=place)
    cloud: Any = _Cloud(found)
    cloud.readers = lambda *_: pytest.fail("asked")
    assert _of(found, cloud)[f"mirror {place}"].status == "pass"


def test_the_account_of_the_nodes_is_the_programs() -> None:
    found = _settings()
    made = run_program("prod").find("gcp:serviceaccount/account:Account", "foundation-gke-nodes-account")
    assert node_account(Site(found, HealthyCloud(found))) == NODES
    assert NODES.partition("@")[0] == made.inputs["accountId"]
    adopted = _settings("dev")
    assert node_account(Site(adopted, HealthyCloud(adopted))) is None


@pytest.mark.parametrize(
    ("place", "repository"),
    [
        ("us-docker.pkg.dev/p/r", mirrors.Repository("p", "us", "r")),
        ("europe-west4-docker.pkg.dev/p/r/deep/er", mirrors.Repository("p", "europe-west4", "r")),
        ("us-docker.pkg.dev/example.com/p/r", mirrors.Repository("example.com:p", "us", "r")),
        ("us-docker.pkg.dev/example.com/p", None),
        ("registry.example/p/r", None),
        ("gcr.io/p/r", None),
    ],
)
def test_a_place_names_its_repository(place: str, repository: mirrors.Repository | None) -> None:
    assert mirrors.repository(place) == repository


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("us-docker.pkg.dev", True),
        ("gcr.io", True),
        ("registry.example", False),
        ("us-docker.pkg.dev.example", False),
        ("xgcr.io", False),
    ],
)
def test_credentials_of_google_go_to_google_alone_and_only_if_it_asks(host: str, sent: bool) -> None:
    url = f"GET {host}/v2/p/r/x/manifests/1"
    with http({url: {"status": 403, "body": {}}}) as recorded, pytest.raises(CloudError, match="wants a login"):
        registry.image(f"{host}/p/r/x:1", 1.0, lambda: "secret")
    headers = [request.headers.get("Authorization") for request in recorded.requests]
    assert headers == ([None, "Bearer secret"] if sent else [None])
    with http({url: {"status": 200, "body": {"manifests": []}}}) as recorded:
        registry.image(f"{host}/p/r/x:1", 1.0, lambda: pytest.fail("asked"))
    assert len(recorded.requests) == 1


def test_members_of_every_role_that_pulls_may_read() -> None:
    policy = {
        "bindings": [
            {"role": "roles/artifactregistry.reader", "members": ["a"]},
            {"role": "roles/artifactregistry.writer", "members": ["b"]},
            {"role": "roles/artifactregistry.reader", "members": ["c"], "condition": {"expression": "false"}},
            {"role": "roles/viewer", "members": ["d"]},
        ]
    }
    url = "GET artifactregistry.googleapis.com/v1/projects/p/locations/us/repositories/r:getIamPolicy"
    with http({url: {"status": 200, "body": policy}}):
        cloud = google_cloud.GoogleCloud("my-project", credentials=google_cloud.user_credentials.Credentials(token="x"))
        assert cloud.readers("p", "us", "r") == {"a", "b"}

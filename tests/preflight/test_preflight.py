"""Every check against recorded answers, through the real libraries down to HTTP; no network.

`tests/data/preflight/healthy-*.json` hold all answers for one stack that is ready. Every other file there is one
thing gone wrong: it lists only the answers that differ, and what each check then says. A check that is not
listed must say what it says in the healthy set, so that one fault is told once.

The answers were written from the field names in Google's published references, not captured from a project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

pytest.importorskip(
    "google.cloud.compute_v1", reason="preflight's libraries are missing: pip install -r requirements-preflight.txt"
)
pytest.importorskip("google.cloud.container_v1", reason="pip install -r requirements-preflight.txt")

from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials
from google.protobuf.json_format import ParseError

import settings
from preflight import google_cloud, kubernetes, registry, scheduler
from preflight.__main__ import main, read
from preflight.checks import nodes, plan
from preflight.cloud import CloudError, Definition, Deployment, Node, Pod
from preflight.google_cloud import GoogleCloud
from preflight.results import Outcome
from preflight.run import run
from preflight.site import Site
from reference import vulnerabilities
from reference.capacity import quantity
from reference.registry import PYTHON_IMAGE
from settings import stack_file
from settings.isolation import Isolation
from settings.node_pools import NodePool
from settings.pods import Pods
from tests import stacks
from tests.conftest import recorded
from tests.preflight.healthy import HealthyCloud, kind
from tests.recorder import ROOT, Recording, run_program
from tools.platform_team import EXAMPLE

DATA = ROOT / "tests" / "data" / "preflight"
SETS = sorted(path.stem for path in DATA.glob("*.json"))
HEALTHY = [name for name in SETS if name.startswith("healthy-")]
FAULTS = [name for name in SETS if name not in HEALTHY]
NEVER_FAIL = {"quota nat", "dranet agent", "vulnerabilities"}
"""Checks that warn at most, by design."""
NEVER_PASS = {"vulnerabilities"}
"""Checks that warn at least: every release that there is has known vulnerabilities."""


class RecordedHttp:
    """Answers HTTP requests from a table; what is not in it is kept in `unknown`."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.unknown: list[str] = []
        self.requests: list[requests.PreparedRequest] = []
        self.unbounded: list[str] = []

    def send(self, request: requests.PreparedRequest, timeout: Any) -> requests.Response:
        url = urlsplit(str(request.url))
        pairs = sorted((k, v) for k, v in parse_qsl(url.query) if not k.startswith("$"))
        short = f"{request.method} {url.hostname}{url.path}"
        exact = f"{short}?{'&'.join(f'{k}={v}' for k, v in pairs)}"
        self.requests.append(request)
        if not isinstance(timeout, int | float | tuple):
            self.unbounded.append(short)
        answer = self.answers.get(exact, self.answers.get(short))
        if answer is None:
            self.unknown.append(exact)
            answer = {"status": 400, "body": {"error": {"code": 400, "message": f"not recorded: {exact}"}}}
        response = requests.Response()
        response.status_code = answer["status"]
        response.request, response.url = request, str(request.url)
        response.headers["content-type"] = "application/json"
        response._content = answer.get("text", json.dumps(answer.get("body"))).encode()
        return response


@contextmanager
def http(answers: Mapping[str, Any]) -> Iterator[RecordedHttp]:
    """Every HTTP request of this process is answered from `answers`."""
    recorded = RecordedHttp(answers)

    def send(_: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        return recorded.send(request, options.get("timeout"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", send)
        patch.setattr(google_cloud, "PAUSE_SECONDS", 0.0)
        yield recorded


def load(name: str) -> dict[str, Any]:
    """A set of answers; a fault's set on top of its base."""
    content: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    if "base" in content:
        content["responses"] = {**load(content["base"])["responses"], **content["responses"]}
    return content


@cache
def inspect(name: str) -> tuple[dict[str, Outcome], RecordedHttp]:
    """What every check says of the set `name`, and the requests that were made."""
    content = load(name)
    settings = read(content["stack"], DATA)
    with http(content["responses"]) as recorded:
        site = Site(settings, GoogleCloud(settings.project, credentials=AnonymousCredentials()))
        results = list(run(plan(site), limit=30))
    return {result.name: result.outcome for result in results}, recorded


def fake_google(settings: Any, timeout: float) -> GoogleCloud:
    return GoogleCloud(settings.project, timeout, AnonymousCredentials())


# --- recorded sets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEALTHY)
def test_a_ready_project_passes_every_check(name: str) -> None:
    found, _ = inspect(name)
    assert {check for check, o in found.items() if o.status in {"warn", "fail"}} == NEVER_PASS
    assert sum(outcome.status == "pass" for outcome in found.values()) >= 10


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_changes_exactly_the_checks_that_own_it(name: str) -> None:
    content = load(name)
    found, _ = inspect(name)
    healthy, _ = inspect(content["base"])
    for check, expected in content["expect"].items():
        outcome = found[check]
        assert outcome.status == expected["status"], outcome
        assert expected["finding"] in outcome.finding
        assert expected["fix"] in outcome.fix
    gate_failed = content["expect"].get("project", {}).get("status") == "fail"
    others = {check for check in found if check not in content["expect"]}
    changed = {check: found[check] for check in others if found[check] != healthy[check]}
    if gate_failed:
        assert all(o == Outcome("skip", "not checked: project failed") for o in changed.values())
    else:
        assert changed == {}


@pytest.mark.parametrize("name", SETS)
def test_every_question_is_recorded_bounded_in_time_and_a_reading_one(name: str) -> None:
    _, recorded = inspect(name)
    assert recorded.unknown == []
    assert recorded.unbounded == []
    writes = {str(r.url) for r in recorded.requests if r.method != "GET"}
    assert all(url.endswith((":testIamPermissions", ":getIamPolicy")) for url in writes)


@pytest.mark.parametrize("name", SETS)
def test_whoever_has_no_pass_has_a_finding_and_whoever_warns_or_fails_a_fix(name: str) -> None:
    for outcome in inspect(name)[0].values():
        assert outcome.finding
        assert "\n" not in outcome.finding + outcome.fix
        assert bool(outcome.fix) == (outcome.status in {"warn", "fail"})
        assert "itself broke" not in outcome.finding


def test_every_check_is_seen_to_pass_and_to_fail() -> None:
    passes = {check for name in SETS for check, outcome in inspect(name)[0].items() if outcome.status == "pass"}
    fails = {check for name in SETS for check, outcome in inspect(name)[0].items() if outcome.status == "fail"}
    known = {check for name in SETS for check in inspect(name)[0]}
    # The login has tests of its own below.
    by_kind = {kind(check) for check in fails} | {"credentials"}
    assert {kind(check) for check in known} - by_kind == NEVER_FAIL
    assert {kind(check) for check in known} - {kind(check) for check in passes} == NEVER_PASS


def test_shared_questions_are_asked_once() -> None:
    _, recorded = inspect("healthy-dev")
    asked = [str(r.url) for r in recorded.requests if "/clusters/a4x-dev" in str(r.url)]
    assert len(asked) == 1


# --- what depends on the clock or on a key of the config ---------------------------------------------------


def judged(name: str, check: str, answers: Mapping[str, Any] | None = None, **changes: Any) -> Outcome:
    """What one check says of a set when some answers, or some keys of the config, are others."""
    content = load(name)
    settings = read(content["stack"], DATA).model_copy(update=changes)
    with http({**content["responses"], **(answers or {})}):
        site = Site(settings, GoogleCloud(settings.project, credentials=AnonymousCredentials()))
        (found,) = (each for each in plan(site) if each.name == check)
        (result,) = run([found], limit=30)
    return result.outcome


RESERVATION = "GET compute.googleapis.com/compute/v1/projects/my-project/zones/us-central1-b/reservations/a4x"


@pytest.mark.parametrize(("days", "status"), [(-1, "fail"), (3, "warn"), (30, "pass")])
def test_a_reservation_that_ends_soon_warns_and_one_that_ended_fails(days: int, status: str) -> None:
    body = dict(load("healthy-prod")["responses"][RESERVATION]["body"])
    body["deleteAtTime"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    outcome = judged("healthy-prod", "reservation a4x-0", {RESERVATION: {"status": 200, "body": body}})
    assert outcome.status == status


def test_without_principal_grants_a_bucket_with_acls_warns_only() -> None:
    outcome = judged("bucket-without-uniform-access", "bucket", workload_identity="serviceAccount")
    assert outcome.status == "warn"


def test_permissions_for_what_others_provide_are_not_asked_for() -> None:
    key = "POST cloudresourcemanager.googleapis.com/v3/projects/my-project:testIamPermissions"
    found = judged("healthy-company", "permissions", {key: {"status": 200, "body": {}}})
    asked = [
        json.loads(cast("bytes", request.body))["permissions"]
        for name in ("healthy-company", "healthy-prod")
        for request in inspect(name)[1].requests
        if str(request.url).partition("?")[0].endswith("projects/my-project:testIamPermissions")
    ]
    assert set(asked[1]) - set(asked[0]) == {
        "serviceusage.services.enable",
        "iam.serviceAccounts.create",
        "iam.serviceAccounts.actAs",
        "resourcemanager.projects.setIamPolicy",
        "storage.buckets.setIamPolicy",
    }
    assert not set(asked[0]) - set(asked[1])
    assert "serviceUsageAdmin" not in found.fix
    assert "projectIamAdmin" not in found.fix


def test_missing_shards_only_warn_when_the_program_downloads_them() -> None:
    bucket = read("dev", DATA).model_bucket.model_copy(update={"download": True})
    outcome = judged("model-shard-missing", "model deepseek-ai/DeepSeek-R1", model_bucket=bucket)
    assert outcome.status == "warn"
    assert "the download Job fetches them" in outcome.finding


def test_a_created_bucket_that_nobody_fills_warns() -> None:
    bucket = read("prod", DATA).model_bucket.model_copy(update={"download": False})
    outcome = judged("healthy-prod", "model deepseek-ai/DeepSeek-R1", model_bucket=bucket)
    assert outcome.status == "warn"
    assert "pods wait for it" in outcome.finding


def test_an_exact_build_must_be_offered_as_it_stands() -> None:
    cluster = read("prod", DATA).cluster
    offered = cluster.model_copy(update={"version": "1.35.2-gke.1842001"})
    withdrawn = cluster.model_copy(update={"version": "1.35.2-gke.184"})
    assert judged("healthy-prod", "gke version", cluster=offered).status == "pass"
    assert judged("healthy-prod", "gke version", cluster=withdrawn).status == "fail"


@pytest.mark.parametrize(
    ("name", "version", "status"),
    [
        ("healthy-dev", "0.7.0", "pass"),
        ("kai-webhooks-left", "0.7.0", "fail"),
        ("kai-webhooks-left", "1.0.2", "pass"),
        ("kai-of-somebody-else", "0.7.0", "fail"),
    ],
)
def test_without_kai_its_kinds_are_in_the_way_of_an_operator_that_looks_for_them(
    name: str, version: str, status: str
) -> None:
    settings = read("dev", DATA)
    dynamo = settings.dynamo.model_copy(update={"version": version})
    kai = settings.kai.model_copy(update={"mode": "none"})
    assert judged(name, "kai", kai=kai, dynamo=dynamo).status == status


@pytest.mark.parametrize(("version", "status"), [("0.7.0", "pass"), ("1.2.1", "warn"), ("1.5.1", "fail")])
def test_a_kai_of_others_older_than_dynamo_takes_fails(version: str, status: str) -> None:
    settings, key = read("mixed", DATA), "GET gke-1a2b3c4d.us-central1.gke.goog/apis/apps/v1/deployments"
    runs = json.dumps(load("kai-of-an-unknown-release")["responses"][key]["body"]).replace(":nightly", ":v0.16.8")
    dynamo = settings.dynamo.model_copy(update={"version": version})
    outcome = judged("healthy-mixed", "kai", {key: {"status": 200, "body": json.loads(runs)}}, dynamo=dynamo)
    assert outcome.status == status, outcome
    if status == "fail":
        assert f"Dynamo {version} and its Grove take KAI 0.17.0 and newer" in outcome.finding


def test_a_version_that_was_not_run_warns() -> None:
    cluster = read("prod", DATA).cluster.model_copy(update={"version": "1.36", "channel": "RAPID"})
    outcome = judged("healthy-prod", "gke version", cluster=cluster)
    assert outcome.status == "warn"
    assert outcome.finding == "RAPID in us-central1 offers 1.36.1-gke.1002000 for 1.36, which was not run"


def test_a_version_outside_the_window_fails_although_it_is_offered() -> None:
    cluster = read("prod", DATA).cluster.model_copy(update={"version": "1.33"})
    key = next(key for key in load("healthy-prod")["responses"] if "serverConfig" in key)
    body = json.dumps(load("healthy-prod")["responses"][key]["body"]).replace("1.35.", "1.33.")
    outcome = judged("healthy-prod", "gke version", {key: {"status": 200, "body": json.loads(body)}}, cluster=cluster)
    assert outcome.status == "fail"
    assert "1.33 stands for 1.33." in outcome.finding


def test_a_rack_left_to_gke_that_is_degraded_warns() -> None:
    key = (
        "GET compute.googleapis.com/compute/v1/projects/capacity/zones/us-central1-b/reservations/a4x/"
        "reservationBlocks/a4x-block-0001/reservationSubBlocks"
    )
    body = json.loads(json.dumps(load("healthy-mixed")["responses"][key]["body"]))
    for rack in body["items"]:
        rack["healthInfo"]["healthStatus"] = "DEGRADED"
    assert judged("healthy-mixed", "sub-block a4x-1", {key: {"status": 200, "body": body}}).status == "warn"


def test_a_reservation_shared_by_the_project_s_number_lets_the_project_in() -> None:
    key = RESERVATION.replace("my-project", "capacity")
    body = dict(load("healthy-mixed")["responses"][key]["body"])
    body["shareSettings"] = {"shareType": "SPECIFIC_PROJECTS", "projectMap": {"1": {"projectId": "123456789012"}}}
    assert judged("healthy-mixed", "reservation a4x-1", {key: {"status": 200, "body": body}}).status == "pass"


def test_a_quota_that_is_exactly_enough_is_enough() -> None:
    key = "GET compute.googleapis.com/compute/v1/projects/my-project/regions/us-central1"
    for limit, status in ((1800.0, "pass"), (1799.0, "fail")):
        quota = {"metric": "HDB_TOTAL_GB", "limit": limit, "usage": 0.0}
        answer = {"status": 200, "body": {"quotas": [quota]}}
        assert judged("healthy-prod", "quota hyperdisk", {key: answer}).status == status


def test_boot_disks_of_the_configured_size_are_counted() -> None:
    key = "GET compute.googleapis.com/compute/v1/projects/my-project/regions/us-central1"
    [domain] = read("prod", DATA).created_domains
    larger = domain.model_copy(update={"pool": NodePool.model_validate({"bootDiskGb": 500})})
    quota = {"metric": "HDB_TOTAL_GB", "limit": 8999.0, "usage": 0.0}
    answer = {"status": 200, "body": {"quotas": [quota]}}
    outcome = judged("healthy-prod", "quota hyperdisk", {key: answer}, domains=(larger,))
    assert (outcome.status, "9000 needed" in outcome.finding) == ("fail", True)


def test_only_bindings_of_exactly_the_role_are_members_of_it() -> None:
    role = "roles/storage.objectViewer"
    bindings = [
        {"role": role, "members": ["user:a"]},
        {"role": "roles/storage", "members": ["user:b"]},
        {"members": ["user:c"]},
    ]
    answer = {"status": 200, "body": {"bindings": bindings}}
    with http({"GET storage.googleapis.com/storage/v1/b/weights/iam?optionsRequestedPolicyVersion=3": answer}):
        cloud = GoogleCloud("my-project", credentials=AnonymousCredentials())
        assert cloud.bucket_members("weights", role) == {"user:a"}


def test_a_network_profile_that_belongs_to_another_zone_fails() -> None:
    key = "GET compute.googleapis.com/compute/v1/projects/my-project/global/networkProfiles/us-central1-b-vpc-roce"
    body = json.dumps(load("healthy-prod")["responses"][key]["body"]).replace(
        "zones/us-central1-b", "zones/us-central1-c"
    )
    outcome = judged("healthy-prod", "rdma profile us-central1-b", {key: {"status": 200, "body": json.loads(body)}})
    assert (outcome.status, "belongs to us-central1-c, not to us-central1-b" in outcome.finding) == ("fail", True)


@pytest.mark.parametrize(("others", "room"), [(1, True), (2, False)])
def test_a_node_takes_no_more_pods_than_it_is_made_for(others: int, room: bool) -> None:
    node = Node("n", ready=True, schedulable=True, gpus=0, taints=frozenset(), cpu=16000, memory=64 * 2**30, pods=2)
    there = [Pod("default", str(index), "n", gpus=0, cpu=0, memory=0) for index in range(others)]
    assert nodes._has_room(node, nodes.CHECK, there) is room


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("0.11.0", ""), ("0.12.0", "nvidia"), ("0.13.4", "nvidia"), ("0.15.3", "nvidia"), ("0.16.0", ""), ("0.17.0", "")],
)
def test_the_runtime_class_of_gpu_pods_is_that_of_the_release(version: str, wanted: str) -> None:
    assert scheduler._runtime_class(version, {}) == wanted


@pytest.mark.parametrize(("version", "waits"), [("v0.9.4", True), ("0.11.3", True), ("0.12.0", False), ("edge", False)])
def test_a_kai_before_0_12_is_seen_to_wait_for_a_kind_of_the_gpu_operator(version: str, waits: bool) -> None:
    image = {"image": f"ghcr.io/nvidia/kai-scheduler/operator:{version}"}
    operator = {
        "metadata": {"namespace": "kai"},
        "spec": {"template": {"spec": {"containers": [image]}}},
    }

    def ask(path: str, **_: str) -> list[object]:
        if path.startswith("/apis/nvidia.com"):
            raise CloudError("missing", "not found")
        return [operator] if path.endswith("/deployments") else []

    assert scheduler.kai_in(ask).waits_for_cluster_policy is waits


def test_deployments_and_definitions_are_read_as_the_api_server_writes_them() -> None:
    container = {"image": "registry:5000/grove/grove-operator:v0.1.0-alpha.3"}
    item = {"metadata": {"namespace": "grove"}, "spec": {"template": {"spec": {"containers": [container]}}}}
    assert kubernetes.deployment(item) == Deployment("grove", container["image"], available=False)
    assert kubernetes.deployment({**item, "status": {"availableReplicas": 1}}).available
    versions = [{"name": "v1alpha1", "served": True}, {"name": "v1beta1", "served": False}]
    assert kubernetes.definition({"spec": {"versions": versions}}) == Definition(frozenset({"v1alpha1"}))
    service = {"name": "webhook", "namespace": "dynamo", "path": "/convert", "port": 443}
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": {"service": service}}}
    full = {"spec": {"versions": versions, "conversion": conversion}, "status": {"storedVersions": ["v1beta1"]}}
    assert kubernetes.definition(full) == Definition(
        frozenset({"v1alpha1"}), frozenset({"v1beta1"}), "webhook in dynamo"
    )


@pytest.mark.parametrize("challenge", ['Bearer realm="http://registry.example.com/token"', 'Basic realm="x"', ""])
def test_no_token_is_fetched_without_encryption(challenge: str) -> None:
    with http({}) as recorded, pytest.raises(CloudError, match="wants a login"):
        registry._token(challenge, 1.0)
    assert recorded.requests == []


def test_one_check_alone_is_asked_behind_the_gates_only(capsys: pytest.CaptureFixture[str]) -> None:
    with http(load("project-missing")["responses"]):
        code = main(["--stack", "prod", "--root", str(DATA), "--only", "bucket"], fake_google)
    shown = capsys.readouterr().out
    assert (code, "not checked: project failed" in shown) == (1, True), shown


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_fault_of_the_service_is_no_answer_and_is_tried_twice(code: int) -> None:
    key = "GET storage.googleapis.com/storage/v1/b/models"
    with http({key: {"status": code, "body": {"error": {"code": code, "message": "later"}}}}) as recorded:
        with pytest.raises(CloudError) as raised:
            GoogleCloud("my-project", credentials=AnonymousCredentials()).bucket("models")
        assert (raised.value.trouble, len(recorded.requests)) == ("no answer", 2)


# --- shapes -----------------------------------------------------------------------------------------------

SHAPES = (
    (r"/reservationSubBlocks/[^/]+$", "compute_v1", "ReservationSubBlocksGetResponse"),
    (r"/reservationSubBlocks$", "compute_v1", "ReservationSubBlocksListResponse"),
    (r"/reservationBlocks$", "compute_v1", "ReservationBlocksListResponse"),
    (r"/reservations/[^/]+$", "compute_v1", "Reservation"),
    (r"/global/networks$", "compute_v1", "NetworkList"),
    (r"/subnetworks/[^/]+$", "compute_v1", "Subnetwork"),
    (r"/subnetworks/[^/]+/getIamPolicy$", "compute_v1", "Policy"),
    (r"/networkProfiles/[^/]+$", "compute_v1", "NetworkProfile"),
    (r"/instanceGroupManagers/[^/]+$", "compute_v1", "InstanceGroupManager"),
    (r"compute/v1/projects/[^/]+/regions/[^/]+$", "compute_v1", "Region"),
    (r"compute/v1/projects/[^/]+$", "compute_v1", "Project"),
    (r"/serverConfig$", "container_v1", "ServerConfig"),
    (r"/clusters/[^/]+$", "container_v1", "Cluster"),
    (r"/clusters$", "container_v1", "ListClustersResponse"),
)


def test_recorded_answers_use_only_fields_that_google_s_libraries_know() -> None:
    """The libraries skip unknown fields in silence, so a misspelt one would make a recording worthless."""
    seen: set[str] = set()
    for name in SETS:
        for request, answer in load(name)["responses"].items():
            service = request.partition(" ")[2].partition(".")[0]
            if service not in {"compute", "container"} or answer["status"] != 200:
                continue
            package, kind = next((package, kind) for shape, package, kind in SHAPES if re.search(shape, request))
            message = getattr(getattr(google_cloud, package), kind)
            message.from_json(json.dumps(answer["body"]), ignore_unknown_fields=False)
            seen.add(kind)
    assert seen == {kind for _, _, kind in SHAPES}


def test_a_misspelt_field_would_be_seen() -> None:
    with pytest.raises(ParseError):
        google_cloud.compute_v1.Reservation.from_json(
            '{"specificReservationNeeded": true}', ignore_unknown_fields=False
        )


# --- credentials ------------------------------------------------------------------------------------------


def login(monkeypatch: pytest.MonkeyPatch, found: Any) -> Outcome:
    monkeypatch.delenv(google_cloud.ACCESS_VARIABLE, raising=False)
    monkeypatch.setattr(google_cloud.google.auth, "default", found)
    settings = read("dev", DATA)
    with http({}):
        site = Site(settings, GoogleCloud(settings.project))
        return next(run(plan(site)[:1], limit=30)).outcome


def test_without_credentials_the_user_is_reported_to_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(**_: Any) -> Any:
        raise auth_errors.DefaultCredentialsError("Your default credentials were not found.")

    outcome = login(monkeypatch, absent)
    assert (outcome.status, outcome.fix) == ("fail", "log in: gcloud auth application-default login")


def test_expired_credentials_are_reported_like_absent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    class Expired(AnonymousCredentials):
        @property
        def valid(self) -> bool:
            return False

        def refresh(self, request: Any) -> None:  # noqa: ARG002 - the library's signature
            raise auth_errors.RefreshError("Reauthentication is needed.")

    outcome = login(monkeypatch, lambda **_: (Expired(), None))
    assert outcome.status == "fail"
    assert "Reauthentication is needed" in outcome.finding


def test_a_person_s_credentials_name_the_project_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(google_cloud.ACCESS_VARIABLE, raising=False)
    person = Credentials(token="t")
    monkeypatch.setattr(google_cloud.google.auth, "default", lambda **_: (person, None))
    cloud = GoogleCloud("my-project")
    assert cloud.login() == "a person's credentials"
    assert cloud._login().quota_project_id == "my-project"


def test_a_ready_token_goes_before_the_default_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(google_cloud.ACCESS_VARIABLE, "ya29.ready")
    answers = load("healthy-dev")["responses"]
    with http(answers) as recorded:
        GoogleCloud("my-project").project("my-project")
    assert recorded.requests[0].headers["authorization"] == "Bearer ya29.ready"


# --- transport --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("Name or service not known"), requests.Timeout("read timed out")]
)
def test_a_network_that_is_down_is_one_readable_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def send(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(HTTPAdapter, "send", send)
    settings = read("dev", DATA)
    site = Site(settings, GoogleCloud(settings.project, credentials=AnonymousCredentials()))
    results = {r.name: r.outcome for r in run(plan(site), limit=30)}
    assert results["project"].status == "fail"
    assert results["project"].finding.startswith("no answer: ")
    assert "0x" not in results["project"].finding
    assert results["bucket"] == Outcome("skip", "not checked: project failed")


def test_a_service_that_recovers_is_asked_twice_and_passes() -> None:
    answers = dict(load("healthy-dev")["responses"])
    key = "GET cloudresourcemanager.googleapis.com/v3/projects/my-project"
    good, calls = answers[key], []

    class Recovering(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            if name == key and not calls:
                calls.append(name)
                return {"status": 503, "body": {"error": {"code": 503, "message": "later"}}}
            return super().get(name, default)

    with http(Recovering(answers)):
        found = GoogleCloud("my-project", credentials=AnonymousCredentials()).project("my-project")
    assert (found.number, len(calls)) == (good["body"]["name"].rpartition("/")[2], 1)


def test_a_list_without_end_is_refused() -> None:
    url = "GET storage.googleapis.com/storage/v1/b/models/o"
    with http({url: {"status": 200, "body": {"items": [], "nextPageToken": "again"}}}), pytest.raises(CloudError):
        GoogleCloud("my-project", credentials=AnonymousCredentials()).files("models", "m")


def test_the_ip_endpoint_is_trusted_by_the_cluster_s_own_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes | bool] = []

    def send(_: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        verify = options["verify"]
        seen.append(Path(verify).read_bytes() if isinstance(verify, str) else verify)
        response = requests.Response()
        response.status_code, response.request, response._content = 200, request, b'{"items": []}'
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    content = load("healthy-dev")["responses"]
    key = "GET container.googleapis.com/v1/projects/my-project/locations/us-central1/clusters/a4x-dev"
    plain = {**content[key]["body"], "controlPlaneEndpointsConfig": {}}
    message: Any = google_cloud.container_v1.Cluster.from_json(json.dumps(plain))
    cluster = google_cloud._cluster(message)
    assert GoogleCloud("my-project", credentials=AnonymousCredentials()).nodes(cluster, "a4x-0") == []
    assert cluster.host == "203.0.113.10"
    assert seen == [b"-----BEGIN"]


# --- what the program really makes ------------------------------------------------------------------------


def test_the_quotas_are_counted_from_what_the_program_makes(prod: Recording) -> None:
    from preflight.checks import capacity  # noqa: PLC0415 - beside its only use

    def count(kind: str) -> int:
        return sum(resource.type == f"gcp:compute/{kind}" for resource in prod.resources)

    assert count("network:Network") == len(capacity.SUBNETS)
    assert count("subnetwork:Subnetwork") == sum(capacity.SUBNETS.values())
    assert count("firewall:Firewall") == sum(capacity.FIREWALLS.values())
    assert count("router:Router") == sum(capacity.ROUTERS.values())
    pools = {r.inputs["name"]: r.inputs for r in prod.resources if r.type == "gcp:container/nodePool:NodePool"}
    (domain,) = (pool for name, pool in pools.items() if name != "system")
    assert domain["nodeConfig"]["diskSizeGb"] == NodePool().boot_disk_gb
    assert domain["nodeConfig"]["diskType"] == "hyperdisk-balanced"


def test_the_names_and_marks_are_those_of_the_program(prod: Recording) -> None:
    settings = read("prod", stacks.FOLDER)
    site = Site(settings, GoogleCloud(settings.project, credentials=AnonymousCredentials()))
    made = [r.inputs for r in prod.resources if r.type == "gcp:compute/network:Network"]
    assert sorted(network["name"] for network in made) == sorted(site.own_networks())
    mark = f"of GKE cluster {settings.cluster.name}"
    device = [network["description"] for network in made]
    assert all(mark in description for description in device), device
    cluster = next(r for r in prod.resources if r.type == "gcp:container/cluster:Cluster")
    bucket = next(r for r in prod.resources if r.type == "gcp:storage/bucket:Bucket")
    assert site.is_own(cluster.inputs["resourceLabels"])
    assert site.is_own(bucket.inputs["labels"])


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_pods_that_need_a_system_node_are_those_of_the_program(stack: str) -> None:
    made = [r.inputs["spec"]["template"]["spec"] for r in recorded(stack).of_type("Job")]
    assert len(made) == {"dev": 1, "prod": 2}[stack]
    for pod in made:
        (container,) = pod["containers"]
        guest = nodes.DOWNLOAD if container["name"] == "download" else nodes.CHECK
        asked = container["resources"]["requests"]
        assert (quantity(asked["cpu"]) * 1000, quantity(asked["memory"])) == (guest.size.cpu, guest.size.memory)
        assert pod["nodeSelector"] == {"kubernetes.io/arch": nodes.AMD64}
        assert container["image"] == PYTHON_IMAGE
        assert not pod.get("tolerations")
    tolerant = run_program(stack, config={"dynamo": {"mode": "create", "systemTolerations": True}})
    for job in tolerant.of_type("Job"):
        pod = job.inputs["spec"]["template"]["spec"]
        assert not pod.get("nodeSelector")
        assert {entry["key"] for entry in pod["tolerations"]} == {"kubernetes.io/arch", "nvidia.com/gpu"}


def test_known_vulnerabilities_warn_with_the_worst_of_them_and_what_protects_and_none_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = judged("healthy-prod", "vulnerabilities")
    assert found.status == "warn"
    assert "CVE-2026-93034 (SGLang 0.5.4.post3, 9.8)" in found.finding
    assert "Dynamo 1.3.0 (NVIDIA's bulletin 5842 of 2026-08-04)" in found.fix
    assert "isolation.ingress restricts 3 of them to the stacks' own pods" in found.finding
    open_to_all = judged("healthy-prod", "vulnerabilities", isolation=Isolation(ingress=False))
    assert "every pod of the cluster can exploit" in open_to_all.finding
    assert "set isolation.ingress: true" in open_to_all.fix
    monkeypatch.setattr(vulnerabilities, "KNOWN", ())
    assert judged("healthy-prod", "vulnerabilities").status == "pass"


@pytest.mark.parametrize(("version", "said"), [("v0.12.17", True), ("v0.13.4", False), ("nightly", False)])
def test_an_adopted_kai_of_a_release_with_known_vulnerabilities_warns(version: str, said: bool) -> None:
    found = settings.parse(stacks.config("dev") | {"dynamo-a4x:kai": {"mode": "adopt"}}, "dev")
    cloud: Any = HealthyCloud(found)
    running = cloud.kai(cloud.cluster("my-project", "us-central1", "a4x-dev"))
    cloud.kai = lambda _: replace(running, version=version)
    (check,) = (each for each in plan(Site(found, cloud)) if each.name == "kai")
    outcome = check.look()
    assert ("CVE-2026-24177, CVE-2026-24176" in outcome.finding) == said


# --- the documentation ------------------------------------------------------------------------------------


def test_the_example_in_the_docs_is_what_the_recorded_set_gives(capsys: pytest.CaptureFixture[str]) -> None:
    with http(load("sub-block-held-by-another-pool")["responses"]):
        code = main(["--stack", "prod", "--root", str(DATA)], fake_google)
    shown = capsys.readouterr().out
    page = (ROOT / "docs" / "reference" / "preflight.md").read_text(encoding="utf-8")
    assert code == 1
    assert shown.strip() in page, shown


def test_the_docs_have_a_row_for_every_check() -> None:
    page = (ROOT / "docs" / "reference" / "preflight.md").read_text(encoding="utf-8")
    section = page.partition("\n## The checks\n")[2].partition("\n## ")[0]
    rows = {
        name for row in re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE) for name in row.strip("`").split("`, `")
    }
    company = settings.parse(stack_file.read(EXAMPLE), "company")
    known = {check for name in HEALTHY for check in inspect(name)[0]}
    known |= {check.name for check in plan(Site(company, HealthyCloud(company)))}
    assert {row.removesuffix(" NAME") for row in rows} == {kind(check) for check in known}


def test_json_says_the_same_as_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with http(load("reservation-missing")["responses"]):
        code = main(["--stack", "prod", "--root", str(DATA), "--json"], fake_google)
    document = json.loads(capsys.readouterr().out)
    assert (code, document["exitCode"], document["counts"]["fail"]) == (1, 1, 1)
    (failing,) = (check for check in document["checks"] if check["status"] == "fail")
    assert failing["name"] == "reservation a4x-0"


NODES = "GET gke-1a2b3c4d.us-central1.gke.goog/api/v1/nodes"


def _x86(cpu: str, memory: str, count: int, **taint: str) -> dict[str, Any]:
    node = {
        "metadata": {"name": "x86"},
        "spec": {"taints": [taint] if taint else []},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}, "conditions": []},
    }
    return {
        f"{NODES}?labelSelector=kubernetes.io/arch=amd64&limit=500": {"status": 200, "body": {"items": [node] * count}}
    }


@pytest.mark.parametrize(
    ("answers", "status", "finding"),
    [
        (_x86("15890m", "60904948Ki", 9), "pass", "9 fit on 9 x86 nodes, the stacks take 9"),
        (_x86("15890m", "60904948Ki", 8), "warn", "8 fit on 8 x86 nodes, the stacks take 9"),
        (_x86("95", "380Gi", 2), "pass", "14 fit on 2 x86 nodes"),
        (_x86("95", "380Gi", 2, key="team", effect="NoSchedule"), "warn", "0 fit on 2 x86 nodes"),
    ],
)
def test_frontends_on_the_system_side_are_counted_on_the_x86_nodes_that_they_tolerate(
    answers: Mapping[str, Any], status: str, finding: str
) -> None:
    [stack] = read("dev", DATA).stacks
    placed = stack.model_copy(update={"frontend": stack.frontend.model_copy(update={"placement": "system"})})
    outcome = judged("healthy-dev", "frontends", answers, stacks=(placed,))
    assert (outcome.status, finding in outcome.finding) == (status, True)
    # A tainted node takes them as soon as pods.systemTolerations says so.
    tolerant = Pods.model_validate_json('{"systemTolerations": [{"key": "team", "operator": "Exists"}]}')
    outcome = judged("healthy-dev", "frontends", answers, stacks=(placed,), pods=tolerant)
    assert f"{finding.replace('0 fit', '14 fit')}" in outcome.finding


@pytest.mark.parametrize(
    ("before", "cpu"),
    [
        ([], 2000),
        ([{"cpu": "3"}], 3000),
        ([{"cpu": "1", "sidecar": True}], 3000),
        ([{"cpu": "1", "sidecar": True}, {"cpu": "3"}], 4000),
        ([{"cpu": "3"}, {"cpu": "1", "sidecar": True}], 3000),
    ],
)
def test_a_pod_asks_for_what_the_scheduler_counts(before: list[dict[str, Any]], cpu: int) -> None:
    """An init container runs beside the sidecars before it."""

    def container(entry: dict[str, Any]) -> dict[str, Any]:
        policy = {"restartPolicy": "Always"} if entry.get("sidecar") else {}
        return {"resources": {"requests": {"cpu": entry["cpu"]}}, **policy}

    spec = {
        "nodeName": "n",
        "initContainers": [container(entry) for entry in before],
        "containers": [container({"cpu": "2"})],
    }
    assert kubernetes.pod({"metadata": {"namespace": "a", "name": "b"}, "spec": spec}).cpu == cpu

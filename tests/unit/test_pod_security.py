"""What pods may do: no more than they need, and what a stack's `security` says."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from manifests import launch
from manifests.graph import Security
from reference import gke
from reference.dynamo import PROFILES, DynamoProfile
from rehearsal.simulator.kubernetes.pod_security import violations
from tests import graphs, stacks
from tests.conftest import recorded
from tests.pods import described, standard_of
from tests.recorder import Recording, run_program

LAYOUT = "deepseek-r1-fp8-1p1d"
WORKERS = ("Prefill", "Decode")
ENVIRONMENTS = ["dev", "prod"]


PLAIN = Security()


def services(security: Security = PLAIN, **changes: Any) -> dict[str, Any]:
    return graphs.spec(LAYOUT, security=security, **changes)["services"]


def variables(service: Any) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in service.get("envs", ())}


def with_security(**said: Any) -> Recording:
    [stack] = stacks.config("dev")["dynamo-a4x:stacks"]
    domains = [{**domain, "fabricTest": {}} for domain in stacks.config("dev")["dynamo-a4x:domains"]]
    return run_program("dev", config={"stacks": [{**stack, "security": said}], "domains": domains})


@pytest.mark.parametrize("version", PROFILES)
def test_a_pod_has_a_token_only_where_discovery_asks_the_api_server(version: str) -> None:
    for component in graphs.describe(LAYOUT, PROFILES[version]).components.values():
        assert component.pod["spec"]["automountServiceAccountToken"] is bool(PROFILES[version].pod_rules)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_account_of_the_program_gives_a_token_to_a_pod_that_does_not_ask(environment: str) -> None:
    recording = recorded(environment)
    accounts = recording.of_type("ServiceAccount")
    assert len(accounts) >= 2
    for account in accounts:
        if account.inputs["metadata"].get("namespace"):
            assert account.inputs["automountServiceAccountToken"] is False, account.name
    asking = {pod.name for pod in described(recording) if pod.spec.get("automountServiceAccountToken") is not False}
    assert all(name.startswith(("readiness-check", "nccl")) for name in asking), asking


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_hub_token_is_only_where_the_hub_is_asked(environment: str) -> None:
    for pod in described(recorded(environment)):
        said = any(entry["name"] == "HF_TOKEN" for c in pod.spec["containers"] for entry in c.get("env", ()))
        assert said == pod.name.startswith("download-"), pod.name
    for role, service in recorded(environment).find("DynamoGraphDeployment").inputs["spec"]["services"].items():
        assert ("envFromSecret" in service) == (role == "Frontend")


def test_a_release_whose_frontends_do_not_ask_the_hub_has_no_token_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DynamoProfile, "frontend_asks_hub", False)
    for profile in PROFILES.values():
        monkeypatch.setitem(profile.__dict__, "frontend_asks_hub", False)
    recording = run_program("dev")
    assert "hf-token-secret" not in {secret.inputs["metadata"]["name"] for secret in recording.of_type("Secret")}
    assert all("envFromSecret" not in service for service in services().values())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_a_download_can_write_to_the_bucket(environment: str) -> None:
    seen = 0
    for pod in described(recorded(environment)):
        buckets = {volume["name"]: volume["csi"] for volume in pod.spec.get("volumes", ()) if "csi" in volume}
        download = pod.name.startswith("download-")
        for bucket in buckets.values():
            assert bucket.get("readOnly", False) is not download, pod.name
        for container in pod.spec["containers"]:
            mounts = [mount for mount in container.get("volumeMounts", ()) if mount["name"] in buckets]
            seen += len(mounts)
            assert all(mount.get("readOnly", False) is not download for mount in mounts), pod.name
    assert seen >= 4


def test_nodes_have_no_role_on_cloud_storage() -> None:
    assert not [role for role in gke.NODE_ROLES if "storage" in role]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_namespace_says_what_it_enforces_and_lets_its_own_pods_in(environment: str) -> None:
    recording = recorded(environment)
    for space in recording.of_type("Namespace"):
        modes = {key.partition("/")[2] for key in space.inputs["metadata"]["labels"] if "pod-security" in key}
        assert modes, space.name
    pods = list(described(recording))
    assert [pod.name for pod in pods if violations(standard_of(recording, pod.namespace), pod.spec)] == []
    assert {standard_of(recording, pod.namespace) for pod in pods if pod.name.startswith("download-")} <= {"restricted"}
    small = [pod for pod in pods if pod.name.startswith("readiness-check") or pod.name.endswith("-bench")]
    assert len(small) == 2
    assert [violations("restricted", pod.spec) for pod in small] == [[], []]


def test_a_company_says_itself_what_its_namespaces_watch() -> None:
    said = {"pod-security.kubernetes.io/warn": "privileged", "pod-security.kubernetes.io/enforce": "privileged"}
    for space in run_program("prod", config={"metadata": {"namespaceLabels": said}}).of_type("Namespace"):
        assert said.items() <= space.inputs["metadata"]["labels"].items()


def test_labels_of_a_company_are_for_no_namespace_that_is_only_read() -> None:
    said = {"pod-security.kubernetes.io/warn": "privileged"}
    config = {"metadata": {"namespaceLabels": said}, "namespaces": {"create": False}}
    assert run_program("dev", config=config).of_type("NetworkPolicy")


def test_workers_without_privileges_have_what_rdma_needs_and_no_more() -> None:
    plain, less = services(), services(Security(privileged_workers=False))
    assert less["Frontend"] == plain["Frontend"]
    for role in WORKERS:
        container = less[role]["extraPodSpec"]["mainContainer"]
        context = container["securityContext"]
        assert context == {"runAsUser": 0, "capabilities": {"add": ["IPC_LOCK", "SYS_RESOURCE"]}}
        assert container["args"] == [launch.script(privileged=False)]
        assert plain[role]["extraPodSpec"]["mainContainer"]["securityContext"] == {"privileged": True}


def test_the_script_raises_the_limit_of_locked_memory_only_where_nobody_else_does() -> None:
    assert "ulimit" not in launch.script(privileged=True)
    lines = launch.script(privileged=False).splitlines()
    assert lines.index("ulimit -l unlimited") < next(i for i, line in enumerate(lines) if "dynamo.sglang" in line)
    assert subprocess.run(["bash", "-n"], input="\n".join(lines), text=True, check=False).returncode == 0  # noqa: S607


@pytest.mark.parametrize("privileged", [None, True, False])
def test_a_fabric_test_has_the_rights_of_the_workers_that_follow(privileged: bool | None) -> None:
    recording = with_security(**({} if privileged is None else {"privilegedWorkers": privileged}))
    [test] = [pod for pod in described(recording) if pod.name == "fabric-test"]
    [worker] = [pod for pod in described(recording) if pod.name.endswith("/Decode")]
    context = test.spec["containers"][0]["securityContext"]
    assert context == worker.spec["containers"][0]["securityContext"]
    assert ("privileged" in context) == (privileged is not False)
    assert ("ulimit" in test.spec["containers"][0]["command"][2]) == (privileged is False)


def test_offline_workers_ask_no_hub_whatever_their_layout_says() -> None:
    offline = services(Security(offline_workers=True))
    for role in WORKERS:
        assert {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}.items() <= variables(offline[role]).items()
        assert "HF_HUB_OFFLINE" not in variables(services()[role])
    assert "HF_HUB_OFFLINE" not in variables(offline["Frontend"])


def test_the_system_port_listens_on_the_pods_own_address() -> None:
    bound = services(Security(bind_to_pod_address=True))
    for role in WORKERS:
        assert variables(bound[role])["DYN_SYSTEM_HOST"] == {"fieldRef": {"fieldPath": "status.podIP"}}
        names = [entry["name"] for entry in bound[role]["envs"]]
        assert len(names) == len(set(names))
        assert "DYN_SYSTEM_HOST" not in variables(services()[role])


def test_restricted_frontends_satisfy_the_standard_and_keep_their_own_variables() -> None:
    frontend = services(Security(restricted_frontends=True), frontend_environment={"DYN_ROUTER_MODE": "kv"})["Frontend"]
    pod = {**frontend["extraPodSpec"], "containers": [frontend["extraPodSpec"]["mainContainer"]]}
    assert violations("restricted", pod) == []
    assert variables(frontend).items() >= {"DYN_ROUTER_MODE": "kv", "HOME": "/tmp", "USER": "nonroot"}.items()  # noqa: S108
    plain = services()["Frontend"]["extraPodSpec"]
    assert violations("restricted", {**plain, "containers": [plain["mainContainer"]]}) != []


def test_a_release_whose_own_recipes_are_not_privileged_is_not_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = PROFILES["0.7.0"]
    monkeypatch.setitem(profile.__dict__, "privileged_workers", False)
    [worker] = [pod for pod in described(run_program("dev")) if pod.name.endswith("/Decode")]
    assert "privileged" not in worker.spec["containers"][0]["securityContext"]
    [worker] = [pod for pod in described(with_security(privilegedWorkers=True)) if pod.name.endswith("/Decode")]
    assert worker.spec["containers"][0]["securityContext"] == {"privileged": True}

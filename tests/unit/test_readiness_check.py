"""What `pulumi up` ends with: the hashes on the pods, and the Job that waits for them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.serving import pod_templates
from manifests import graph
from readiness import config as readiness_config
from readiness import package
from reference import machines
from reference.machines import A4X
from reference.naming import TEMPLATE_ANNOTATION
from reference.registry import PYTHON_IMAGE
from tests import graphs
from tests.conftest import recorded
from tests.recorder import Recording, Resource, run_program

ROLES = tuple(graph.SERVICES)


def _spec() -> dict[str, Any]:
    return graphs.spec("deepseek-r1-fp8-10p8d")


def _hashes(spec: Mapping[str, Any], queue: str = "team") -> dict[str, str]:
    async def resolve() -> dict[str, str]:
        stamped = pod_templates.stamp(spec, {"queue": queue})
        return {role: str(await value.future()) for role, value in stamped.hashes.items()}

    return asyncio.run(resolve())


def _main(service: dict[str, Any]) -> dict[str, Any]:
    return service["extraPodSpec"]["mainContainer"]


FIELDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "image": lambda s: _main(s).update(image="image:3"),
    "environment": lambda s: s.setdefault("envs", []).append({"name": "X", "value": "1"}),
    "environment from a secret": lambda s: s.update(envFromSecret="other"),
    "arguments": lambda s: s["extraPodSpec"]["volumes"].append({"name": "x", "configMap": {"name": "another-hash"}}),
    "command": lambda s: _main(s).update(args=["exec true"]),
    "liveness probe": lambda s: s.update(livenessProbe={"periodSeconds": 61}),
    "readiness probe": lambda s: s.update(readinessProbe={"periodSeconds": 61}),
    "startup probe": lambda s: _main(s).update(startupProbe={"periodSeconds": 31}),
    "toleration": lambda s: s["extraPodSpec"]["tolerations"].append({"key": "x", "operator": "Exists"}),
    "shared memory": lambda s: s.update(sharedMemory={"size": "81Gi"}),
    "node selector": lambda s: s["extraPodSpec"]["nodeSelector"].update(x="y"),
    "affinity": lambda s: s["extraPodSpec"].update(affinity={"podAntiAffinity": {}}),
    "resource claim": lambda s: s["extraPodSpec"].update(resourceClaims=[{"name": "x"}]),
    "resources": lambda s: s["resources"].update(limits={"cpu": "6"}),
    "volume mount": lambda s: _main(s)["volumeMounts"].append({"name": "x", "mountPath": "/x"}),
    "security context": lambda s: _main(s).update(securityContext={"privileged": "other"}),
    "service account": lambda s: s["extraPodSpec"].update(serviceAccountName="other"),
    "pull secret": lambda s: s["extraPodSpec"].update(imagePullSecrets=[{"name": "other"}]),
    "priority": lambda s: s["extraPodSpec"].update(priorityClassName="other"),
    "annotation": lambda s: s["extraPodMetadata"]["annotations"].update(x="y"),
    "label": lambda s: s["extraPodMetadata"]["labels"].update(x="y"),
    "nodes of a replica": lambda s: s.update(multinode={"nodeCount": 3}),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("field", FIELDS)
def test_a_change_of_one_roles_pods_changes_its_hash_and_no_others(role: str, field: str) -> None:
    before, changed = _hashes(_spec()), _spec()
    FIELDS[field](changed["services"][graph.SERVICES[role]])
    after = _hashes(changed)
    assert {name for name in ROLES if before[name] != after[name]} == {role}


def test_replica_counts_change_no_hash() -> None:
    changed = _spec()
    for service in changed["services"].values():
        service["replicas"] += 1
    assert _hashes(changed) == _hashes(_spec())


def test_what_all_pods_are_made_from_changes_every_hash() -> None:
    before = _hashes(_spec())
    spec = {**_spec(), "envs": [{"name": "X", "value": "1"}]}
    for after in (_hashes(spec), _hashes(_spec(), queue="other")):
        assert not {*before.values()} & {*after.values()}


def test_the_pods_carry_the_hash_and_all_else_stays() -> None:
    spec = _spec()
    untouched = copy.deepcopy(spec)

    async def annotations() -> dict[str, str]:
        stamped = pod_templates.stamp(spec, {"queue": "team"})
        found: dict[str, str] = {}
        for role, name in graph.SERVICES.items():
            mine = stamped.spec["services"][name]["extraPodMetadata"]["annotations"]
            found[role] = str(await mine.pop(TEMPLATE_ANNOTATION).future())
        assert stamped.spec == untouched
        return found

    assert asyncio.run(annotations()) == _hashes(untouched)
    assert spec == untouched


def _job(recording: Recording, name: str = "") -> Resource:
    return next(r for r in recording.of_type("Job") if r.name.endswith(f"{name}-readiness-job"))


def _config(recording: Recording) -> readiness_config.Config:
    (found,) = [r for r in recording.of_type("ConfigMap") if r.name.endswith("-readiness-config")]
    return readiness_config.parse(found.inputs["data"][package.CONFIG_KEY])


def test_the_check_wants_what_the_graph_is_reported_to_make(deployed: Recording) -> None:
    config, made = _config(deployed), deployed.find("DynamoGraphDeployment").inputs
    assert (config.namespace, config.deployment) == (made["metadata"]["namespace"], made["metadata"]["name"])
    assert set(config.roles) == set(graph.SERVICES)
    for role, wanted in config.roles.items():
        service = made["spec"]["services"][graph.SERVICES[role]]
        assert wanted.pods == service["replicas"] * service.get("multinode", {}).get("nodeCount", 1)
        assert wanted.template == service["extraPodMetadata"]["annotations"][TEMPLATE_ANNOTATION]
    stacks = deployed.outputs["stacks"]
    (facts,) = stacks.values()
    assert (config.url, config.model) == (facts["endpoint"], facts["model"])
    assert config.job in facts["readiness"]
    assert config.next.startswith("pulumi up")


def test_the_graph_itself_is_not_waited_for(deployed: Recording) -> None:
    annotations = deployed.find("DynamoGraphDeployment").inputs["metadata"]["annotations"]
    assert annotations["pulumi.com/skipAwait"] == "true"
    assert "pulumi.com/waitFor" not in annotations


def test_a_job_that_failed_runs_again_in_the_next_up(deployed: Recording) -> None:
    job = _job(deployed)
    assert job.delete_before_replace
    assert job.replace_on_changes == ("#initerror",)
    assert job.inputs["metadata"]["name"] == "readiness-check"


def test_the_check_runs_once_and_its_end_is_kept(deployed: Recording) -> None:
    spec = _job(deployed).inputs["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert {"podFailurePolicy", "ttlSecondsAfterFinished", "completions", "parallelism"}.isdisjoint(spec)
    assert "terminationMessagePath" not in spec["template"]["spec"]["containers"][0]
    assert "initContainers" not in spec["template"]["spec"]
    assert "schedulerName" not in spec["template"]["spec"]


def test_each_deadline_lets_the_one_before_it_speak(deployed: Recording) -> None:
    job, config = _job(deployed), _config(deployed)
    limit = job.inputs["spec"]["activeDeadlineSeconds"]
    assert config.unschedulable < config.deadline < limit
    assert int((job.custom_timeouts or {})["create"].removesuffix("s")) > limit


def test_the_checks_pod_has_no_privilege(deployed: Recording) -> None:
    pod = _job(deployed).inputs["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"] == PYTHON_IMAGE
    account = next(r for r in deployed.of_type("ServiceAccount") if r.name.endswith("-readiness-service-account"))
    assert account.inputs["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is True


def test_the_checks_account_may_do_what_the_check_asks_and_nothing_else(deployed: Recording) -> None:
    role = next(r for r in deployed.of_type("Role") if r.name.endswith("-readiness-role"))
    rules = [(tuple(r["apiGroups"]), tuple(r["resources"]), tuple(r["verbs"])) for r in role.inputs["rules"]]
    assert rules == [(tuple(r["api_groups"]), tuple(r["resources"]), tuple(r["verbs"])) for r in package.RULES]
    binding = next(r for r in deployed.of_type("RoleBinding") if r.name.endswith("-readiness-role-binding"))
    (subject,) = binding.inputs["subjects"]
    assert subject["name"] == _job(deployed).inputs["spec"]["template"]["spec"]["serviceAccountName"]


def test_the_config_map_holds_every_file_of_the_package(deployed: Recording) -> None:
    (found,) = [r for r in deployed.of_type("ConfigMap") if r.name.endswith("-readiness-config")]
    assert found.inputs["data"].keys() == {*package.source_files(), package.CONFIG_KEY}
    # A ConfigMap may have 1 MiB.
    assert sum(map(len, found.inputs["data"].values())) < 500_000
    volumes = _job(deployed).inputs["spec"]["template"]["spec"]["volumes"]
    mounted = {item["path"] for volume in volumes for item in volume["configMap"]["items"]}
    assert mounted == {*(f"readiness/{name}" for name in package.source_files()), package.CONFIG_KEY}


def _content(recording: Recording) -> str:
    value = _job(recording).inputs["spec"]["template"]["metadata"]["annotations"]["dynamo-a4x/readiness-check"]
    return str(value)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "example.com/worker:2"},
        {"frontend": {"replicas": 3}},
        {"frontend": {"image": "example.com/frontend:2"}},
        {"readiness": {"deadlineMinutes": 60}},
        {"overrides": {"decode": {"arguments": {"watchdog-timeout": 2000000}}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_what_is_waited_for_is_another_job(change: dict[str, Any]) -> None:
    stack = {"name": "r1-1p1d", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}
    before = run_program("dev", config={"stacks": [stack]})
    after = run_program("dev", config={"stacks": [{**stack, **change}]})
    assert _content(before) != _content(after)


def test_a_change_beside_the_stack_is_no_other_job() -> None:
    other = run_program("dev", config={"draDriver": {"mode": "adopt"}})
    assert _content(other) == _content(recorded("dev"))


def test_without_waiting_there_is_no_check() -> None:
    stack = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0", "wait": False}
    run = run_program("dev", config={"stacks": [stack]})
    assert not [r for r in run.resources if "readiness" in r.name]
    assert "readiness" not in run.outputs["stacks"]["r1"]
    assert run.find("DynamoGraphDeployment")


def test_the_check_runs_on_a_system_node_where_there_are_some() -> None:
    pod = _job(recorded("dev")).inputs["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {machines.ARCH_KEY: "amd64"}
    assert not pod.get("tolerations")
    run = run_program("dev", config={"dynamo": {"mode": "create", "systemTolerations": True}})
    pod = _job(run).inputs["spec"]["template"]["spec"]
    assert not pod.get("nodeSelector")
    assert pod["tolerations"] == A4X.tolerations()

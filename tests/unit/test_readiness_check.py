"""What `pulumi up` ends with: the hashes on the pods, and the Job that waits for them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from components.serving import pod_templates
from manifests import graph, graph_api
from manifests.graph_api import Graph
from readiness import config as readiness_config
from readiness import package
from reference import machines
from reference.dynamo import PROFILES
from reference.machines import A4X
from reference.naming import TEMPLATE_ANNOTATION
from reference.registry import PYTHON_IMAGE
from tests import graphs
from tests.conftest import recorded
from tests.recorder import Recording, Resource, run_program

ROLES = tuple(graph.SERVICES)


LARGE = "deepseek-r1-fp8-10p8d"


def _graph(version: str = "0.7.0") -> Graph:
    """A graph of which every part can be changed."""
    made = graphs.describe(LARGE, PROFILES[version])
    return replace(made, components={role: copy.deepcopy(one) for role, one in made.components.items()})


def _hashes(made: Graph, queue: str = "team", version: str = "0.7.0") -> dict[str, str]:
    async def resolve() -> dict[str, str]:
        parent: Any = None
        stamped = pod_templates.stamp(parent, "r1", made, {"queue": queue}, PROFILES[version])
        return {role: str(await value.future()) for role, value in stamped.marks.items()}

    return asyncio.run(resolve())


def _changed(made: Graph, role: str, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Graph:
    component: Any = made.components[role]
    change(component.pod["spec"], component.main)
    return made


PODS: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "image": lambda _, main: main.update(image="image:3"),
    "environment": lambda _, main: main.setdefault("env", []).append({"name": "X", "value": "1"}),
    "environment from a secret": lambda _, main: main.update(envFrom=[{"secretRef": {"name": "other"}}]),
    "arguments": lambda pod, _: pod["volumes"].append({"name": "x", "configMap": {"name": "another-hash"}}),
    "command": lambda _, main: main.update(args=["exec true"]),
    "liveness probe": lambda _, main: main.update(livenessProbe={"periodSeconds": 61}),
    "readiness probe": lambda _, main: main.update(readinessProbe={"periodSeconds": 61}),
    "startup probe": lambda _, main: main.update(startupProbe={"periodSeconds": 31}),
    "toleration": lambda pod, _: pod["tolerations"].append({"key": "x", "operator": "Exists"}),
    "node selector": lambda pod, _: pod["nodeSelector"].update(x="y"),
    "affinity": lambda pod, _: pod.update(affinity={"podAntiAffinity": {}}),
    "resource claim": lambda pod, _: pod.update(resourceClaims=[{"name": "x"}]),
    "resources": lambda _, main: main["resources"].update(limits={"cpu": "6"}),
    "volume mount": lambda _, main: main["volumeMounts"].append({"name": "x", "mountPath": "/x"}),
    "security context": lambda _, main: main.update(securityContext={"privileged": "other"}),
    "service account": lambda pod, _: pod.update(serviceAccountName="other"),
    "pull secret": lambda pod, _: pod.update(imagePullSecrets=[{"name": "other"}]),
    "priority": lambda pod, _: pod.update(priorityClassName="other"),
}
FIELDS: dict[str, Callable[[Graph, str], Graph]] = {
    **{name: lambda made, role, change=change: _changed(made, role, change) for name, change in PODS.items()},
    "annotation": lambda made, role: _metadata(made, role, "annotations"),
    "label": lambda made, role: _metadata(made, role, "labels"),
    "nodes of a replica": lambda made, role: _of_component(made, role, nodes=3),
    "shared memory": lambda made, role: _of_component(made, role, shared_memory="81Gi"),
    "runtime version": lambda made, role: _of_component(made, role, runtime_version="1.5.2"),
}


def _metadata(made: Graph, role: str, kind: str) -> Graph:
    made.components[role].pod["metadata"][kind].update(x="y")
    return made


def _of_component(made: Graph, role: str, **fields: Any) -> Graph:
    return replace(made, components={**made.components, role: replace(made.components[role], **fields)})


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("field", FIELDS)
def test_a_change_of_one_roles_pods_changes_its_hash_and_no_others(role: str, field: str) -> None:
    before, after = _hashes(_graph()), _hashes(FIELDS[field](_graph(), role))
    assert {name for name in ROLES if before[name] != after[name]} == {role}


@pytest.mark.parametrize("role", ROLES)
def test_where_a_change_of_one_worker_rolls_both_the_hashes_of_both_change(role: str) -> None:
    """N13: the check would else take the pods of the other role for new ones before they are replaced."""
    before = _hashes(_graph("1.5.1"), version="1.5.1")
    after = _hashes(FIELDS["image"](_graph("1.5.1"), role), version="1.5.1")
    rolled = {"frontend"} if role == "frontend" else {"prefill", "decode"}
    assert {name for name in ROLES if before[name] != after[name]} == rolled


def test_replica_counts_change_no_hash() -> None:
    for version in PROFILES:
        if PROFILES[version].reverts_mix:
            continue
        made = _graph(version)
        more = {role: replace(one, replicas=one.replicas + 1) for role, one in made.components.items()}
        assert _hashes(replace(made, components=more), version=version) == _hashes(made, version=version)


def test_what_all_pods_are_made_from_changes_every_hash() -> None:
    before = _hashes(_graph())
    for after in (_hashes(replace(_graph(), priority_class="other")), _hashes(_graph(), queue="other")):
        assert not {*before.values()} & {*after.values()}


def test_the_pods_carry_the_hash_and_all_else_stays() -> None:
    made, untouched = _graph(), _graph()

    async def annotations() -> dict[str, str]:
        parent: Any = None
        stamped = pod_templates.stamp(parent, "r1", made, {"queue": "team"}, PROFILES["0.7.0"])
        found: dict[str, str] = {}
        for role, component in stamped.graph.components.items():
            found[role] = str(await component.pod["metadata"]["annotations"].pop(TEMPLATE_ANNOTATION).future())
        assert stamped.graph == untouched
        return found

    assert asyncio.run(annotations()) == _hashes(untouched)
    assert made == untouched


@pytest.mark.parametrize("version", PROFILES)
def test_a_mark_never_comes_again_where_an_exact_revert_would_leave_two_kinds_of_pods(version: str) -> None:
    """M11: the random part is drawn for every template, so that a template that comes back gets another mark."""
    recording = run_program("dev", config={"dynamo": {"mode": "create", "version": version}})
    drawn = [r for r in recording.of_type("RandomString") if r.name.endswith("-mark")]
    if not PROFILES[version].reverts_mix:
        assert not drawn
        return
    made = graph_api.components(recording.find("DynamoGraphDeployment").inputs["spec"])
    marks = {role: one.pod["metadata"]["annotations"][TEMPLATE_ANNOTATION] for role, one in made.items()}
    assert len(drawn) == len(ROLES)
    for role, mark in marks.items():
        [own] = [one for one in drawn if one.name.endswith(f"-{role}-mark")]
        assert mark.partition("-")[0] == own.inputs["keepers"]["template"]
        assert mark.partition("-")[2]
    assert {role: one.template for role, one in _config(recording).roles.items()} == marks


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
        assert wanted.replicas == service["replicas"] == wanted.needed
        assert wanted.pods == service["replicas"] * service.get("multinode", {}).get("nodeCount", 1)
        assert wanted.template == service["extraPodMetadata"]["annotations"][TEMPLATE_ANNOTATION]
    stacks = deployed.outputs["stacks"]
    (facts,) = stacks.values()
    assert (config.url, config.model) == (facts["endpoint"], facts["model"])
    assert config.job in facts["readiness"]
    assert config.next.startswith("pulumi up")


@pytest.mark.parametrize(("gang", "prefill"), [("serving", 1), ("whole", 5)])
def test_the_check_insists_on_the_replicas_that_start_together(gang: str, prefill: int) -> None:
    stack = {"name": "r1", "layout": "deepseek-r1-fp8-10p8d", "domain": "a4x-0", "image": "example.com/w:1.5.1"}
    domains = [{"name": "a4x-0", "mode": "adopt", "zone": "us-central1-b", "nodes": 18}]
    config = {"dynamo": {"mode": "create", "version": "1.5.1"}, "stacks": [{**stack, "gang": gang}], "domains": domains}
    recording = run_program("dev", config=config)
    made = graph_api.components(recording.find("DynamoGraphDeployment").inputs["spec"])
    roles = _config(recording).roles
    assert {role: one.needed for role, one in roles.items()} == {"frontend": 1, "prefill": prefill, "decode": 1}
    assert all(roles[role].needed == made[role].min_available for role in ("prefill", "decode"))


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

"""The Job that measures an NVLink domain before its first stack: of what it is made, when it is there, what is told."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from components.serving import fabric_test, rollout_warnings
from fabric import config as fabric_config
from fabric import package
from fabric.config import Config
from reference import naming
from reference.dynamo import PROFILES
from tests.conftest import recorded
from tests.recorder import Recording, Resource, run_program
from tests.unit.configs import shipped

STACK = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}


def domain(test: Any, **more: Any) -> dict[str, Any]:
    return {"name": "a4x-0", "mode": "adopt", "zone": "us-central1-b", "nodes": 4, "fabricTest": test, **more}


@cache
def dev() -> Recording:
    return run_program("dev", config={"domains": [domain({})], "stacks": [STACK]})


@cache
def dranet() -> Recording:
    cluster = {"mode": "adopt", "name": "a4x-dev", "rdma": "dranet"}
    return run_program("dev", config={"cluster": cluster, "domains": [domain({"nodes": 3})], "stacks": [STACK]})


def of_test(recording: Recording) -> list[Resource]:
    return [r for r in recording.resources if r.name.startswith("fabric-")]


def job(recording: Recording) -> Resource:
    (found,) = [r for r in of_test(recording) if r.type.endswith(":Job")]
    return found


def pod(recording: Recording) -> dict[str, Any]:
    return job(recording).inputs["spec"]["template"]["spec"]


def config(recording: Recording) -> Config:
    (found,) = [r for r in of_test(recording) if r.type.endswith(":ConfigMap")]
    return fabric_config.read(found.inputs["data"][package.CONFIG_KEY])


def worker(recording: Recording) -> dict[str, Any]:
    return recording.find("DynamoGraphDeployment").inputs["spec"]["services"]["Decode"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_without_the_key_there_is_no_test_and_nothing_says_so(stack: str) -> None:
    recording = recorded(stack)
    assert of_test(recording) == []
    assert "fabricTests" not in recording.outputs
    assert rollout_warnings.FABRIC not in str([r.inputs for r in recording.of_type("Namespace")])


def test_without_a_stack_there_is_no_test_and_a_warning() -> None:
    recording = run_program("dev", config={"domains": [domain({})], "stacks": []})
    assert of_test(recording) == []
    assert any("domains[0].fabricTest: no stack is placed in domain 'a4x-0'" in text for _, text in recording.logs)


@pytest.mark.parametrize(("recording", "nodes"), [(dev, 4), (dranet, 3)])
def test_each_node_is_tested_once_by_a_job_that_stays(recording: Any, nodes: int) -> None:
    spec = job(recording()).inputs["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", nodes, nodes)
    assert spec["backoffLimit"] == 0
    assert "ttlSecondsAfterFinished" not in spec
    assert pod(recording())["restartPolicy"] == "Never"
    (channel,) = [r for r in of_test(recording()) if r.type.endswith(":ComputeDomain")]
    assert channel.inputs["spec"]["numNodes"] == config(recording()).nodes == nodes


@pytest.mark.parametrize("recording", [dev, dranet])
def test_its_pods_have_what_a_worker_has_of_a_node(recording: Any) -> None:
    mine, its = pod(recording()), worker(recording())
    other = its["extraPodSpec"]
    for key in ("nodeSelector", "tolerations", "affinity", "imagePullSecrets"):
        assert mine[key] == other[key], key
    (container,) = mine["containers"]
    assert container["image"] == other["mainContainer"]["image"]
    assert container["securityContext"] == other["mainContainer"]["securityContext"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": its["resources"]["limits"]["gpu"]}
    assert container["resources"]["claims"] == its["resources"]["claims"]
    assert [claim["name"] for claim in mine["resourceClaims"]] == [claim["name"] for claim in other["resourceClaims"]]
    for volume in ("library-dir-host", "gib"):
        assert _named(mine["volumes"], volume) == _named(other["volumes"], volume)
        assert _named(container["volumeMounts"], volume) == _named(other["mainContainer"]["volumeMounts"], volume)
    nics = job(recording()).inputs["spec"]["template"]["metadata"]["annotations"]
    assert nics.items() <= its["extraPodMetadata"]["annotations"].items()
    assert ("networking.gke.io/interfaces" in nics) == (recording is dev)
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    nccl = {entry["name"]: entry["value"] for entry in its["envs"] if entry["name"].startswith("NCCL_")}
    assert nccl
    assert nccl.items() <= variables.items()


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in entries if entry["name"] == name]
    return found


def test_the_image_is_that_of_the_domains_first_stack() -> None:
    stacks = [{**STACK, "image": "example.com/worker:2"}, {**STACK, "name": "r2"}]
    recording = run_program("dev", config={"domains": [domain({})], "stacks": stacks})
    assert pod(recording)["containers"][0]["image"] == "example.com/worker:2"
    assert pod(dev())["containers"][0]["image"] == PROFILES["0.7.0"].image


def test_its_pods_find_the_code_the_config_and_pod_0() -> None:
    mine, found = pod(dev()), {r.type.rsplit(":", 1)[-1]: r.inputs for r in of_test(dev()) if r.custom}
    data = found["ConfigMap"]["data"]
    items = {
        item["path"]: data[item["key"]] for v in mine["volumes"] for item in v.get("configMap", {}).get("items", [])
    }
    assert items == {**package.source_files(), package.CONFIG_KEY: data[package.CONFIG_KEY]}
    # A ConfigMap may have 1 MiB.
    assert sum(map(len, data.values())) < 200_000
    (container,) = mine["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert container["workingDir"] == mounts["code"]
    assert container["command"][-1].endswith(package.command(mounts["config"]))
    service, labels = found["Service"], job(dev()).inputs["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == labels
    assert mine["subdomain"] == service["metadata"]["name"]
    assert config(dev()).host == f"{job(dev()).inputs['metadata']['name']}-0.{mine['subdomain']}"


def test_what_is_asked_for_reaches_the_pods_and_each_minimum_has_a_default() -> None:
    assert (config(dev()).all_gather, config(dev()).all_reduce) == (200, 250)
    asked = {"nodes": 2, "allGatherGBps": 700, "allReduceGBps": 750}
    recording = run_program("dev", config={"domains": [domain(asked)], "stacks": [STACK]})
    found = config(recording)
    assert (found.nodes, found.all_gather, found.all_reduce, found.gpus) == (2, 700, 750, 4)
    assert found.next == "pulumi up --stack dev"


def test_each_deadline_lets_the_one_before_it_speak() -> None:
    limit = job(dev()).inputs["spec"]["activeDeadlineSeconds"]
    assert config(dev()).longest + fabric_test.START_SECONDS <= limit
    assert int((job(dev()).custom_timeouts or {})["create"].removesuffix("s")) > limit


def test_a_test_that_failed_runs_again_and_one_that_passed_does_not() -> None:
    assert job(dev()).replace_on_changes == ("#initerror",)
    assert job(dev()).ignore_changes == ("spec",)
    assert job(dev()).delete_before_replace


def test_the_stack_and_its_graph_come_after_the_test_and_drivers_before_it() -> None:
    recording = dev()
    stack = [r for r in recording.resources if r.custom and r.name.startswith("r1-") and "identity" not in r.name]
    assert stack
    assert [r for r in stack if not recording.depends_on_transitively(r, job(recording))] == []
    (driver,) = [r for r in recording.of_type("Release") if r.name == "dra-driver-release"]
    assert recording.depends_on_transitively(job(recording), driver)
    platform = [r for r in recording.of_type("Release") if r.name == "dynamo-release"]
    # It runs beside the installation of the platform.
    assert not any(recording.depends_on_transitively(job(recording), release) for release in platform)


def test_in_a_cluster_that_is_made_the_test_waits_for_the_pool_and_the_nccl_plugin() -> None:
    made = {**shipped("prod")["dynamo-a4x:domains"][0], "fabricTest": {}}
    recording = run_program("prod", config={"domains": [made]})
    for needed in ("domain-a4x-0-pool", "gib-installer"):
        (found,) = [r for r in recording.resources if r.name == needed]
        assert recording.depends_on_transitively(job(recording), found), needed
    downloads = [r for r in recording.of_type("Job") if r.name.startswith("download-")]
    assert downloads
    assert not any(recording.depends_on_transitively(job(recording), download) for download in downloads)
    assert job(recording).inputs["spec"]["completions"] == 18


def test_its_namespace_is_its_own_however_long_the_names() -> None:
    (namespace,) = [r for r in of_test(dev()) if r.type.endswith(":Namespace")]
    assert namespace.inputs["metadata"]["name"] == "fabric-test-dev-a4x-0"
    assert len(naming.bounded(f"{naming.FABRIC_NAMESPACE}-{'e' * naming.ENVIRONMENT_MAX}-{'d' * 40}", 63)) <= 63


def test_the_output_has_the_command_that_follows_it() -> None:
    assert (
        dev()
        .outputs["fabricTests"]["a4x-0"]
        .startswith("kubectl logs -n fabric-test-dev-a4x-0 -l job-name=fabric-test")
    )


# What is said before it happens --------------------------------------------------------------------------------------


def namespace(place: str, tested: str = "") -> dict[str, Any]:
    annotations = {
        **rollout_warnings.place("1x1p-1x1d", place),
        **({rollout_warnings.FABRIC: tested} if tested else {}),
    }
    return {"metadata": {"annotations": annotations}}


@pytest.mark.parametrize(
    ("old", "new", "late"),
    [
        (namespace("a4x-0"), namespace("a4x-0", "a4x-0"), True),
        (namespace("a4x-0", "a4x-0"), namespace("a4x-0", "a4x-0"), False),
        (namespace("a4x-0", "a4x-0"), namespace("a4x-0"), False),
        # Into an empty domain that is tested before.
        (namespace("a4x-1"), namespace("a4x-0", "a4x-0"), False),
        (namespace("a4x-1", "a4x-1"), namespace("a4x-0", "a4x-0"), False),
        # A domain's name that ends like another one's.
        (namespace("big-a4x-0"), namespace("a4x-0", "a4x-0"), False),
        ({}, namespace("a4x-0", "a4x-0"), False),
    ],
)
def test_a_test_is_late_only_where_the_stack_is_in_the_domain_already(
    old: dict[str, Any], new: dict[str, Any], late: bool
) -> None:
    told = rollout_warnings.rejection_of_late_test("r1", old, new)
    assert (told is not None) == late
    if told:
        assert [line.strip().split(":")[0] for line in told.splitlines()[1:]] == ["rule", "fix"]

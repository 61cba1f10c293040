"""KAI in the embedded cloud: each way in which one was installed before fails as it does on a real API server.

The number in a test's docstring or comment is that of the observation; the program's own way passes everywhere.
"""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.simulator import ApiError, CloudResource
from rehearsal.simulator.values import Props
from rehearsal.simulator.workloads import blockers, kai
from tests.engine.driver import QUEUE, RELEASE, Driver, role, state_of

CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
SHARD = "kubernetes:kai.scheduler/v1:SchedulingShard"
CONFIG = "kubernetes:kai.scheduler/v1:Config"


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.cluster()
    made.pool()
    made.namespace("serving")
    return made


def platform(cloud: Driver, version: str = "0.7.0", *, bundled: bool, **more: Any) -> CloudResource:
    """The Dynamo platform, with or without the KAI of its chart."""
    values: Props = {"grove": {"enabled": True}, "kai-scheduler": {"enabled": bundled, **more}}
    if version.startswith("0."):
        cloud.release("dynamo-crds", "default", version)
    else:
        switches = {"install": bundled, "enabled": True}
        values = {"global": {"grove": {"install": True}, "kai-scheduler": switches}, "kai-scheduler": more}
    cloud.namespace("dynamo-cloud")
    return cloud.release("dynamo-platform", "dynamo-cloud", version, values=values)


def chart(cloud: Driver, version: str, **values: Any) -> CloudResource:
    """KAI's own chart, as it comes."""
    cloud.namespace("kai-scheduler")
    return cloud.release("kai-scheduler", "kai-scheduler", version, values=values)


def serve(cloud: Driver, **changes: Any) -> CloudResource:
    """A graph whose pods run; raises `Refusal` with what keeps them from it."""
    if not cloud.state.find(QUEUE, where=lambda queue: queue.id == "team"):
        cloud.kube("scheduling.run.ai/v2", "Queue", "team", spec={})
    graph = cloud.graph(f"r1-{cloud.state.text(4)}", **changes)
    reasons = list(blockers.of(cloud.state, graph.scope, graph.outputs))
    if reasons:
        cloud.delete(graph)
        raise ApiError("; ".join(reasons))
    return graph


def cluster_policy(cloud: Driver) -> None:
    scope = cloud.state.find("gcp:container/cluster:Cluster")[0].id
    cloud.state.add(CloudResource(CRD, scope, "clusterpolicies.nvidia.com", {}, {}, origin="seed"))


def job(cloud: Driver, name: str = "job", **pod: Any) -> CloudResource:
    spec: Props = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1"}], **pod}
    return cloud.kube("batch/v1", "Job", name, "serving", spec={"template": {"spec": spec}})


def ids(resources: list[CloudResource]) -> list[str]:
    return sorted(resource.id for resource in resources)


# The program's way


@pytest.mark.parametrize("version", ["0.16.8", "0.17.0"])
def test_one_kai_of_its_own_serves_both_lines_of_dynamo(cloud: Driver, version: str) -> None:
    """K1, K9."""
    cloud.kai(version)
    platform(cloud, bundled=False)
    assert state_of(serve(cloud)) == "successful"


def test_nothing_but_crds_and_one_namespace_stays_of_it_and_pods_can_be_created(cloud: Driver) -> None:
    """K8."""
    release = cloud.kai()
    cloud.delete(cloud.state.find(SHARD)[0])
    cloud.delete(release)
    assert ids([resource for resource in cloud.state.kept() if resource.kind != CRD]) == ["kai-resource-reservation"]
    assert len([resource for resource in cloud.state.kept() if resource.kind == CRD]) == 6
    assert not cloud.state.find(where=lambda resource: "Webhook" in resource.kind or "PriorityClass" in resource.kind)
    job(cloud)


def test_no_gang_of_it_is_evicted_for_one_lost_pod(cloud: Driver) -> None:
    """K3, N18."""
    cloud.kai()
    assert not kai.evicts_gangs(cloud.state, cloud.state.find(SHARD)[0].scope)


# The ways that were there before


def test_the_bundled_kai_of_0_7_never_schedules_a_pod_without_the_gpu_operator(cloud: Driver) -> None:
    """R1."""
    platform(cloud, bundled=True)
    with pytest.raises(ApiError, match=r"operator of KAI 0\.9\.4 ends every 2 minutes: .* ClusterPolicy"):
        serve(cloud)


def test_with_that_kind_it_works_once_its_hook_has_won_the_race(cloud: Driver) -> None:
    """R1's fix, and R10: three of three installs were rolled back."""
    cluster_policy(cloud)
    with pytest.raises(ApiError, match=r"Hook post-install .*connection refused.*rolled back"):
        platform(cloud, bundled=True)


@pytest.mark.parametrize("own", [True, False], ids=["0.12.17", "bundled 0.13.0-rc1"])
def test_gpu_pods_of_these_are_refused_for_a_runtime_class_that_gke_does_not_have(cloud: Driver, own: bool) -> None:
    """R2."""
    if own:
        chart(cloud, "0.12.17")
    platform(cloud, "0.7.0" if own else "1.0.1", bundled=not own)
    with pytest.raises(ApiError, match='RuntimeClass "nvidia" not found'):
        serve(cloud)


@pytest.mark.parametrize(
    ("version", "value", "works"),
    [
        ("0.12.17", '""', True),
        ("0.12.17", "", False),
        ("0.13.0-rc1", '""', True),
        ("0.13.0-rc1", "", False),
        ("0.13.4", "", True),
        ("0.16.8", "nvidia", True),
    ],
)
def test_what_the_value_must_be_for_no_runtime_class_is_the_releases_own(
    cloud: Driver, version: str, value: str, works: bool
) -> None:
    """R2's fix, K1."""
    chart(cloud, version, admission={"gpuPodRuntimeClassName": value})
    if version == "0.16.8":
        cloud.operands()
    platform(cloud, bundled=False)
    if works:
        serve(cloud)
        return
    with pytest.raises(ApiError, match='RuntimeClass "nvidia" not found'):
        serve(cloud)


def test_a_cluster_that_has_the_runtime_class_takes_these_pods(cloud: Driver) -> None:
    cloud.kube("node.k8s.io/v1", "RuntimeClass", "nvidia", handler="nvidia")
    chart(cloud, "0.12.17")
    platform(cloud, bundled=False)
    serve(cloud)


@pytest.mark.parametrize("own", [True, False], ids=["0.12.17", "bundled 0.13.0-rc1"])
def test_after_these_no_pod_can_be_created_and_a_new_up_hangs(cloud: Driver, own: bool) -> None:
    """R3, R13."""
    release = chart(cloud, "0.12.17") if own else platform(cloud, "1.0.1", bundled=True)
    cloud.delete(release)
    kept = ids([resource for resource in cloud.state.kept() if resource.kind != CRD])
    assert {"kai-config", "default", "mutating-kai-admission", "kai-queue-validation-v2"} <= set(kept)
    with pytest.raises(ApiError, match=r'failed calling webhook .* service "admission" not found'):
        job(cloud)
    cloud.namespace("again")
    with pytest.raises(ApiError, match=r"timed out waiting: pods cannot be created"):
        cloud.release("kai-scheduler", "again", "0.17.0")
    cloud.state.remove(cloud.state.find(CONFIG)[0].key)
    job(cloud)


def test_a_later_kai_whose_hooks_did_not_run_leaves_webhooks_for_its_own_pods_only(cloud: Driver) -> None:
    """K8."""
    release = cloud.kai()
    cloud.update(release, {**release.inputs, "disableWebhooks": True})
    cloud.delete(release)
    job(cloud)
    with pytest.raises(ApiError, match="failed calling webhook"):
        job(cloud, "other", schedulerName="kai-scheduler")


@pytest.mark.parametrize("version", ["0.9.4", "0.13.4", "0.16.8"])
def test_other_releases_take_their_config_with_them(cloud: Driver, version: str) -> None:
    """R3, K2."""
    cloud.delete(chart(cloud, version))
    assert not cloud.state.find(CONFIG)
    job(cloud)


def test_a_release_without_a_shard_has_no_scheduler(cloud: Driver) -> None:
    """K6, K8."""
    cloud.kai()
    platform(cloud, bundled=False)
    cloud.delete(cloud.state.find(SHARD)[0])
    with pytest.raises(ApiError, match="there is no SchedulingShard"):
        serve(cloud)
    cloud.shard()
    serve(cloud)


def test_a_queue_is_refused_until_the_operands_were_waited_for(cloud: Driver) -> None:
    """K7."""
    chart(cloud, "0.17.0", defaultShard={"enabled": False})
    with pytest.raises(ApiError, match="failed calling webhook"):
        cloud.kube("scheduling.run.ai/v2", "Queue", "team", spec={})
    with pytest.raises(ApiError, match="failed calling webhook"):
        platform(cloud, bundled=False)
    cloud.operands()
    cloud.kube("scheduling.run.ai/v2", "Queue", "team", spec={})


def test_helm_does_not_change_a_shard_that_an_earlier_release_left(cloud: Driver) -> None:
    """K4, K3."""
    cloud.delete(chart(cloud, "0.13.4"))
    cloud.namespace("second")
    cloud.release(
        "kai-scheduler", "second", "0.17.0", values={"scheduler": {"args": {"default-staleness-grace-period": "-1s"}}}
    )
    shard = cloud.state.find(SHARD)[0]
    assert "args" not in shard.outputs["spec"]
    assert kai.evicts_gangs(cloud.state, shard.scope)


def test_on_a_fresh_cluster_the_charts_values_arrive(cloud: Driver) -> None:
    """K4, M10."""
    chart(cloud, "0.17.0", scheduler={"args": {"default-staleness-grace-period": "-1s"}})
    assert not kai.evicts_gangs(cloud.state, cloud.state.find(SHARD)[0].scope)


def test_a_chart_does_not_take_over_a_shard_made_by_hand(cloud: Driver) -> None:
    """K10."""
    cloud.delete(cloud.kai())
    cloud.namespace("second")
    with pytest.raises(ApiError, match="cannot be imported into the current release"):
        cloud.release("kai-scheduler", "second", "0.17.0")
    cloud.release("kai-scheduler", "second", "0.17.0", values={"defaultShard": {"enabled": False}})


def test_a_second_kai_is_refused(cloud: Driver) -> None:
    cloud.kai()
    cloud.namespace("second")
    with pytest.raises(ApiError, match="invalid ownership metadata"):
        cloud.release("kai-scheduler", "second", "0.17.0")
    with pytest.raises(ApiError, match="invalid ownership metadata"):
        platform(cloud, bundled=True)


def test_claims_are_bound_on_1_36_only_by_a_kai_with_the_right_for_it() -> None:
    for version, bound in (("0.13.4", False), ("0.17.0", True)):
        cloud = Driver()
        cloud.cluster(minMasterVersion="1.36")
        cloud.pool()
        cloud.namespace("serving")
        chart(cloud, version, admission={"gpuPodRuntimeClassName": ""})
        cloud.operands()
        platform(cloud, bundled=False)
        cloud.driver()
        cloud.domain()
        claims: Props = {"resourceClaims": [{"name": "c", "resourceClaimTemplateName": "channel"}]}
        if bound:
            serve(cloud, Decode=role(**claims))
        else:
            with pytest.raises(ApiError, match="may not write resourceclaims/binding"):
                serve(cloud, Decode=role(**claims))


def test_the_operator_of_0_7_hands_pods_to_a_kai_whose_kinds_are_all_that_is_left(cloud: Driver) -> None:
    release = cloud.kai()
    cloud.delete(release)
    platform(cloud, bundled=False)
    scope = cloud.state.find(RELEASE)[0].scope
    assert "dynamo" in ids(cloud.state.find(QUEUE, scope=scope))
    with pytest.raises(ApiError, match="ask for the scheduler kai-scheduler, and none runs"):
        serve(cloud)

"""The platform of each Dynamo release: values on which its chart fails, kinds that others left, what it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal.simulator import ApiError
from rehearsal.simulator.kubernetes import crds
from rehearsal.simulator.values import Props, text
from rehearsal.simulator.workloads import blockers, graphs, operator, platforms
from tests.engine.driver import CURRENT_VALUES, GRAPH, NAMESPACE, RELEASE, Driver, component, role, state_of

CURRENT = ("1.0.2", "1.2.1", "1.5.1")


def _on(version: str, **values: Any) -> Driver:
    cloud = Driver(dynamo_version=version)
    if version.startswith("0."):
        cloud.platform()
    else:
        cloud.current(version, **values)
    return cloud


def _nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(one[key], other[key])
        for key in set(one) & set(other)
        if isinstance(one[key], Mapping) and isinstance(other[key], Mapping)
    }
    return {**one, **other, **both}


def _uninstall(cloud: Driver) -> None:
    for release in cloud.state.find(RELEASE):
        if release.id.split("/")[1] in ("dynamo-platform", "dynamo-crds"):
            cloud.delete(release)


def _install(cloud: Driver, version: str, **values: Any) -> None:
    values = _merged({"global": CURRENT_VALUES}, values)
    if version.startswith("0."):
        cloud.release("dynamo-crds", "default", version)
        values = {"grove": {"enabled": True}}
    cloud.release("dynamo-platform", "dynamo-cloud", version, values=values)


def _delete_crds(cloud: Driver, group: str) -> None:
    for crd in cloud.state.find(crds.CRD):
        if crd.id.endswith(group):
            cloud.state.remove(crd.key)


def _said(cloud: Driver, graph: Any) -> str:
    return "\n".join(blockers.of(cloud.state, graph.scope, graph.outputs))


# Values

REMOVED = (
    *("nats.enabled", "etcd.enabled", "grove.enabled", "kai-scheduler.enabled", "dynamo-operator.nats.enabled"),
    *("dynamo-operator.webhook.enabled", "dynamo-operator.dynamo.mpiRun.sshKeygen"),
)


@pytest.mark.parametrize("path", REMOVED)
@pytest.mark.parametrize("version", ["1.2.1", "1.5.1"])
def test_from_1_2_on_a_value_of_an_earlier_release_is_named_and_nothing_installed(version: str, path: str) -> None:
    with pytest.raises(ApiError, match=f"'{path}' has been removed"):
        _on(version, **_nested(path, False))


@pytest.mark.parametrize("path", ["nats.enabled", "etcd.enabled", "grove.enabled", "kai-scheduler.enabled"])
def test_1_0_takes_the_values_of_earlier_releases(path: str) -> None:
    _on("1.0.2", **_nested(path, True))


def test_a_bundled_kai_beside_a_bundled_grove_has_to_leave_stale_gangs_alone_on_1_5() -> None:
    install = {"kai-scheduler": {"install": True}}
    for grace in (None, "-1"):
        args = (
            {} if grace is None else {"kai-scheduler": _nested("scheduler.args.default-staleness-grace-period", grace)}
        )
        with pytest.raises(ApiError, match="must disable stale PodGroup eviction"):
            _on("1.5.1", **_merged({"global": _merged(CURRENT_VALUES, install)}, args))


@pytest.mark.parametrize(
    ("version", "part", "on"),
    [
        ("0.7.0", "nats", True),
        ("0.7.0", "etcd", True),
        ("1.0.2", "nats", True),
        ("1.0.2", "etcd", False),
        ("1.2.1", "nats", True),
        ("1.2.1", "etcd", False),
        ("1.4.2", "nats", False),
        ("1.5.1", "nats", False),
        ("1.5.1", "grove", False),
    ],
)
def test_what_a_chart_installs_unless_it_is_told(version: str, part: str, on: bool) -> None:
    assert platforms.installs(version, {}, part) is on


def test_pods_need_nats_until_1_3_and_etcd_until_1_0() -> None:
    off: Props = {"global": {**CURRENT_VALUES, "nats": {"install": False}}}
    older, old, new = _on("1.0.2", nats={"enabled": False}), _on("1.2.1", **off), _on("1.5.1", **off)
    assert "nats is off" in _said(older, older.graph())
    assert "nats is off" in _said(old, old.beta("g", component("Decode")))
    assert not _said(new, new.beta("g", component("Decode")))


def test_on_1_5_a_block_of_nats_is_ignored() -> None:
    authorization = {"user": "u", "password": "<< $NATS_PASSWORD >>"}
    cloud = _on("1.5.1", nats={"config": {"merge": {"authorization": authorization}}})
    assert state_of(cloud.beta()) == "successful"


def test_an_operator_that_is_not_told_of_grove_makes_no_pods() -> None:
    cloud = _on("1.5.1", **{"global": {**CURRENT_VALUES, "grove": {"install": False, "enabled": False}}})
    cloud.release("grove-charts", "dynamo-cloud", "0.1.0-alpha.13")
    assert "global.grove.enabled is off" in _said(cloud, cloud.beta())


@pytest.mark.parametrize(
    ("version", "kai", "taken"),
    [
        *(("0.7.0", kai, True) for kai in ("0.12.17", "0.17.0")),
        *(("1.2.1", kai, taken) for kai, taken in (("0.12.17", False), ("0.13.4", True), ("0.17.0", True))),
        *(("1.5.1", kai, taken) for kai, taken in (("0.13.4", False), ("0.16.8", False), ("0.17.0", True))),
    ],
)
def test_which_kai_a_release_takes(version: str, kai: str, taken: bool) -> None:
    cloud = _on(version)
    [release] = [one for one in cloud.state.find(RELEASE) if one.id.endswith("/kai-scheduler")]
    release.outputs["status"]["version"] = kai
    release.inputs["values"]["admission"] = {"gpuPodRuntimeClassName": '""'}
    graph = cloud.graph(Decode=role())
    assert ("the first that this Dynamo supports" in _said(cloud, graph)) is not taken


# Kinds


def _versions(cloud: Driver) -> dict[str, bool]:
    [crd] = [one for one in cloud.state.find(crds.CRD) if one.id.startswith("dynamographdeployments.")]
    return {one["name"]: one["storage"] for one in crd.outputs["spec"]["versions"]}


@pytest.mark.parametrize(
    ("version", "served"),
    [
        ("0.7.0", {"v1alpha1": True}),
        ("1.0.2", {"v1alpha1": True}),
        ("1.2.1", {"v1alpha1": True, "v1beta1": False}),
        ("1.5.1", {"v1alpha1": False, "v1beta1": True}),
    ],
)
def test_which_versions_of_a_graph_a_release_serves_and_stores(version: str, served: dict[str, bool]) -> None:
    assert _versions(_on(version)) == served


def test_a_newer_operator_applies_its_kinds_over_older_ones() -> None:
    cloud = _on("0.7.0")
    _uninstall(cloud)
    _delete_crds(cloud, "grove.io")
    _install(cloud, "1.5.1")
    assert _versions(cloud) == {"v1alpha1": False, "v1beta1": True}
    assert crds.dynamo(cloud.state, cloud.state.find(RELEASE)[0].scope) == "1.5.1"


@pytest.mark.parametrize(("newer", "older"), [("1.5.1", "1.2.1"), ("1.5.1", "0.7.0"), ("1.2.1", "1.0.2")])
def test_an_older_operator_says_which_kinds_to_delete(newer: str, older: str) -> None:
    cloud = _on(newer)
    _uninstall(cloud)
    _delete_crds(cloud, "grove.io")
    with pytest.raises(ApiError, match=f"of Dynamo {newer}, which is newer; delete them: kubectl delete crd dynamo"):
        _install(cloud, older)
    _delete_crds(cloud, ".nvidia.com")
    for release in cloud.state.find(RELEASE):
        if release.id.endswith("/dynamo-crds"):
            cloud.delete(release)
    _install(cloud, older)


def test_helm_leaves_an_older_groves_kinds_and_the_message_says_which_to_delete() -> None:
    cloud = _on("0.7.0")
    _uninstall(cloud)
    with pytest.raises(ApiError, match=r"Grove 0\.1\.0-alpha\.8 finds the CRDs of Grove 0\.1\.0-alpha\.3.*podgangs"):
        _install(cloud, "1.2.1")
    _delete_crds(cloud, "grove.io")
    _install(cloud, "1.2.1")


def test_from_1_5_on_grove_replaces_older_kinds_itself_unless_it_is_told_not_to() -> None:
    cloud = _on("1.2.1")
    _uninstall(cloud)
    with pytest.raises(ApiError, match="finds the CRDs of Grove"):
        _install(cloud, "1.5.1", grove={"crdInstaller": {"enabled": False}})
    _install(cloud, "1.5.1")
    grove = crds.release_of(cloud.state, cloud.state.find(RELEASE)[0].scope, "grove.io/v1alpha1", "PodCliqueSet")
    assert grove == "0.1.0-alpha.13"


def test_without_kinds_an_operator_from_1_0_on_that_may_not_apply_them_names_all_that_are_missing() -> None:
    with pytest.raises(ApiError, match="DynamoGraphDeploymentScalingAdapter, DynamoWorkerMetadata; upgradeCRD is off"):
        _on("1.5.1", **_nested("dynamo-operator.upgradeCRD", False))


# What is left


@pytest.mark.parametrize(("version", "count"), [("0.7.0", {4, 5, 6}), ("1.2.1", {7, 5, 6}), ("1.5.1", {7, 5, 6})])
def test_how_many_kinds_stay(version: str, count: set[int]) -> None:
    cloud = _on(version)
    _uninstall(cloud)
    names = [crd.id.partition(".")[2] for crd in cloud.state.find(crds.CRD)]
    groups = [sum(name.endswith(end) for name in names) for end in ("grove.io", "scheduling.run.ai", "kai.scheduler")]
    dynamo = names.count("nvidia.com")
    assert {dynamo, groups[0], groups[1] + groups[2]} == (count if version != "0.7.0" else {4, 6})


@pytest.mark.parametrize("version", ["1.2.1", "1.5.1"])
def test_what_operators_leave_in_their_own_and_in_the_graphs_namespace(version: str) -> None:
    cloud = _on(version)
    cloud.delete(cloud.beta())
    _uninstall(cloud)
    left = {resource.id for resource in cloud.state.kept()}
    assert {f"dynamo-cloud/{name}" for name in ("mpi-run-ssh-secret", "webhook-server-cert")} < left
    assert {"dynamo-cloud/grove-operator-leader-election", "kube-system/dynamo.nvidia.com"} < left
    assert {f"serving/{name}" for name in ("planner-serviceaccount", "mpi-run-ssh-secret")} < left
    [space] = [one for one in cloud.state.find(NAMESPACE) if one.id == "serving"]
    cloud.state.find(graphs.GRAPH)
    for one in cloud.state.find("kubernetes:grove.io/v1alpha1:PodCliqueSet"):
        cloud.state.remove(one.key)
    cloud.delete(space)
    assert not [one for one in cloud.state.kept() if one.id.startswith("serving/")]


# Pull secrets


@pytest.mark.parametrize(
    ("version", "where", "rolled"),
    [
        ("1.0.2", "service", False),
        ("1.0.2", "pod", True),
        ("1.2.1", "service", True),
        ("1.2.1", "pod", False),
        ("1.5.1", "pod", False),
        ("1.5.1", "nowhere", True),
    ],
)
def test_where_the_lookup_of_pull_secrets_is_turned_off(version: str, where: str, rolled: bool) -> None:
    cloud = _on(version)
    decode: Props = role(imagePullSecrets=[{"name": "first"}])
    decode["extraPodSpec"]["mainContainer"]["image"] = "nvcr.io/nvidia/x:1.5.1"
    off = {operator.SWITCH: "true"}
    decode |= {"service": {"annotations": off}, "pod": {"extraPodMetadata": {"annotations": off}}}.get(where, {})
    secret = '{"auths": {"nvcr.io": {}}}'
    more: Any = {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": secret}}
    cloud.kube("v1", "Secret", "first", "serving", **more)
    graph = cloud.graph(Decode=decode)
    assert operator.restart(cloud.state, graph.scope) == []
    cloud.kube("v1", "Secret", "second", "serving", **more)
    assert bool(operator.restart(cloud.state, graph.scope)) is rolled


def test_from_1_2_on_only_a_secret_that_is_newer_than_the_graph_rolls_it() -> None:
    cloud = _on("1.2.1")
    more: Any = {
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": '{"auths": {"nvcr.io": {}}}'},
    }
    cloud.kube("v1", "Secret", "first", "serving", **more)
    unnamed = role()
    unnamed["extraPodSpec"]["mainContainer"]["image"] = "nvcr.io/nvidia/x:1.5.1"
    graph = cloud.graph(Decode=unnamed)
    assert operator.restart(cloud.state, graph.scope) == []
    assert text(graph.outputs, "metadata.name") == "r1-abcd"


@pytest.mark.parametrize("version", CURRENT)
def test_a_graph_in_the_first_version_serves_on_every_release(version: str) -> None:
    assert state_of(_on(version).graph(Decode=role())) == "successful"
    assert GRAPH == graphs.GRAPH

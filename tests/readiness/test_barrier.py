"""The teardown barrier as its pod runs it: a process, against a Kubernetes API on loopback."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from barrier import config, leftovers, package
from barrier.config import Config
from readiness.config import DEPLOYMENT_LABEL
from tests.readiness import objects as o
from tests.readiness.cluster import Site, site, until

DELETED = {"finalizers": [config.FINALIZER, "example.com/other"], "resourceVersion": "7"}
OWN = f"/apis/apps/v1/namespaces/{o.NAMESPACE}/deployments/teardown-barrier"
CONFIG = Config(stack="r1", deployment="teardown-barrier", poll_seconds=0.05)


def path_of(kind: leftovers.Kind) -> str:
    root = f"/apis/{kind.api}" if kind.group else f"/api/{kind.api}"
    return f"{root}/namespaces/{o.NAMESPACE}/{kind.plural}"


PATHS = {kind.plural: path_of(kind) for kind in leftovers.KINDS}


def named(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as running:
        for path, content in package.source_files().items():
            (tmp_path / "code" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "code" / path).write_text(content)
        (tmp_path / "config").mkdir()
        (tmp_path / "namespace").write_text(o.NAMESPACE)
        (tmp_path / "config" / package.CONFIG_KEY).write_text(CONFIG.dump())
        running.cluster.more = {OWN: {"metadata": {"name": "teardown-barrier", **DELETED}}}
        running.cluster.more |= {path: {"items": []} for path in PATHS.values()}
        yield running


@pytest.fixture
def barrier(state: Site) -> Iterator[subprocess.Popen[str]]:
    process = state.process(package.command(str(state.folder / "config")))
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting until stack r1 is deleted\n"
    yield process
    process.kill()
    process.communicate()


def asked(state: Site, kind: str) -> int:
    return sum(request.path == PATHS[kind] for request in state.cluster.asked)


def left(state: Site, kind: str, *found: dict[str, Any]) -> None:
    state.cluster.more[PATHS[kind]] = {"items": list(found)}


def delete(state: Site) -> None:
    """As Pulumi does, in the background: the object stays while it has finalizers."""
    own = state.cluster.more[OWN]["metadata"]
    state.cluster.more[OWN] = {"metadata": {**own, "deletionTimestamp": o.stamp()}}


def released(state: Site) -> list[Any]:
    """What was patched into the Deployment."""
    return [request.body for request in state.cluster.asked if request.method == "PATCH"]


def test_it_asks_for_nothing_but_itself_before_it_is_deleted(state: Site, barrier: subprocess.Popen[str]) -> None:
    left(state, "podcliquesets")
    looked = asked(state, "podcliquesets")
    time.sleep(0.3)
    assert barrier.poll() is None
    assert asked(state, "podcliquesets") == looked == 1
    assert released(state) == []


@pytest.mark.parametrize("kind", PATHS)
def test_it_lets_go_only_when_the_last_object_of_each_kind_is_gone(
    state: Site, barrier: subprocess.Popen[str], kind: str
) -> None:
    name = "r1-abcd-0-frontend"
    left(state, kind, named(name, **({DEPLOYMENT_LABEL: "r1-abcd"} if kind == "pods" else {})))
    delete(state)
    until(lambda: asked(state, kind) > 4)
    assert released(state) == []
    left(state, kind)
    until(lambda: bool(released(state)))
    # Another finalizer is somebody else's, and a version that has changed meanwhile refuses the patch.
    assert released(state) == [{"metadata": {"finalizers": ["example.com/other"], "resourceVersion": "7"}}]
    # A pod that ended would be started again.
    assert barrier.poll() is None
    ran = state.stop(barrier)
    assert f"1 objects of stack r1 are left: {kind}/{name}" in ran.log
    assert "nothing of stack r1 is left" in ran.log


@pytest.mark.usefixtures("barrier")
def test_it_waits_for_no_pod_of_others_in_the_namespace_and_no_graph_of_another_name(state: Site) -> None:
    left(state, "pods", named("teardown-barrier-7f"), named("x", **{DEPLOYMENT_LABEL: "r10-abcd"}))
    left(state, "podcliquesets", named("other-abcd"), named("r1"))
    delete(state)
    until(lambda: bool(released(state)))


@pytest.mark.parametrize("served", [None, ["podcliques"]])
@pytest.mark.usefixtures("barrier")
def test_a_kind_that_the_cluster_does_not_have_has_no_objects(state: Site, served: list[str] | None) -> None:
    """Its group is unknown, or has other kinds."""
    del state.cluster.more[PATHS["podgangs"]]
    if served is not None:
        state.cluster.more["/apis/scheduler.grove.io"] = {"versions": [{"groupVersion": "scheduler.grove.io/v1"}]}
        state.cluster.more["/apis/scheduler.grove.io/v1"] = {"resources": [{"name": name} for name in served]}
    delete(state)
    until(lambda: bool(released(state)))


def test_a_kind_that_is_served_in_another_version_is_waited_for(state: Site, barrier: subprocess.Popen[str]) -> None:
    del state.cluster.more[PATHS["podcliquesets"]]
    moved = PATHS["podcliquesets"].replace("v1alpha1", "v1")
    state.cluster.more["/apis/grove.io"] = {"versions": [{"groupVersion": "grove.io/v1"}]}
    state.cluster.more["/apis/grove.io/v1"] = {"resources": [{"name": "podcliquesets"}]}
    state.cluster.more[moved] = {"items": [named("r1-abcd")]}
    delete(state)
    until(lambda: sum(request.path == moved for request in state.cluster.asked) > 3)
    assert released(state) == []
    assert barrier.poll() is None
    state.cluster.more[moved] = {"items": []}
    until(lambda: bool(released(state)))


def test_a_version_that_nobody_converts_any_more_is_asked_for_in_the_one_that_is_stored(state: Site) -> None:
    """Dynamo 1.5 stores graphs as v1beta1; with the platform gone v1alpha1 is not answered."""
    asked_first, stored = (
        PATHS["dynamographdeployments"],
        PATHS["dynamographdeployments"].replace("v1alpha1", "v1beta1"),
    )
    versions = [{"groupVersion": "nvidia.com/v1alpha1"}, {"groupVersion": "nvidia.com/v1beta1"}]
    state.cluster.more["/apis/nvidia.com"] = {"versions": versions}
    state.cluster.more["/apis/nvidia.com/v1beta1"] = {"resources": [{"name": "dynamographdeployments"}]}
    state.cluster.more["/apis/nvidia.com/v1alpha1"] = {"resources": [{"name": "dynamographdeployments"}]}
    state.cluster.more[stored] = {"items": [named("r1-abcd")]}
    state.cluster.refuse = lambda request: (500, "conversion webhook failed") if request.path == asked_first else None
    barrier = state.process(package.command(str(state.folder / "config")))
    delete(state)
    until(lambda: sum(request.path == stored for request in state.cluster.asked) > 3)
    assert released(state) == []
    state.cluster.more[stored] = {"items": []}
    until(lambda: bool(released(state)))
    assert "dynamographdeployments/r1-abcd" in state.stop(barrier).log


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_api_that_does_not_answer_never_looks_empty(
    state: Site, barrier: subprocess.Popen[str], status: int
) -> None:
    state.cluster.refuse = lambda request: (status, "not now") if "podcliquesets" in request.path else None
    delete(state)
    until(lambda: asked(state, "podcliquesets") > 4)
    assert released(state) == []
    state.cluster.refuse = lambda _request: None
    until(lambda: bool(released(state)))
    assert "the Kubernetes API says: not now" in state.stop(barrier).log


@pytest.mark.parametrize("what", ["podcliquesets", "deployments"])
def test_what_it_may_not_read_at_the_end_is_said_when_it_starts(state: Site, what: str) -> None:
    state.cluster.refuse = lambda request: (403, "forbidden by nobody") if what in request.path else None
    ran = state.finish(state.process(package.command(str(state.folder / "config"))))
    assert ran.code == 1
    assert ran.log == "the teardown barrier cannot start: forbidden by nobody\n"


@pytest.mark.usefixtures("barrier")
def test_it_asks_for_nothing_that_its_rules_do_not_allow(state: Site) -> None:
    delete(state)
    until(lambda: bool(released(state)))
    used: set[tuple[str, str, str]] = set()
    for request in state.cluster.asked:
        before, after = request.path.split(f"/namespaces/{o.NAMESPACE}/")
        group = before.split("/")[2] if before.startswith("/apis") else ""
        kind, *name = after.split("/")
        verb = "patch" if request.method == "PATCH" else "get" if name else "list"
        used.add((group, kind, verb))
    allowed = {
        (group, kind, verb)
        for rule in package.rules(CONFIG.deployment)
        for group in rule["api_groups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }
    assert used == allowed


def test_nothing_but_the_standard_library_and_its_own_files_are_imported() -> None:
    files = package.source_files()
    for name, content in files.items():
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                imported = [module.replace(".", "/") + ".py", *(f"{module}/{a.name}.py" for a in node.names)]
                known = module.split(".")[0] in sys.stdlib_module_names or any(path in files for path in imported)
                assert known, f"{name} imports {module}"


@pytest.mark.parametrize("content", ["[", "[]", '{"stack": "a"}'])
def test_a_configuration_that_is_not_whole_ends_it_with_the_reason(state: Site, content: str, tmp_path: Path) -> None:
    (tmp_path / "config" / package.CONFIG_KEY).write_text(content)
    ran = state.finish(state.process(package.command(str(tmp_path / "config"))))
    assert ran.code == 1
    assert ran.log.startswith("the teardown barrier cannot start: the configuration ")
    with pytest.raises(config.ConfigError):
        config.parse(content)

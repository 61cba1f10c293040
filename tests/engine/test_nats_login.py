"""The login of NATS in the embedded cloud, which lets in nobody else, and in the real engine, which renews it."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.run import Rehearsal
from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import Props
from rehearsal.simulator.workloads import blockers
from rehearsal.simulator.workloads.serving import GRAPH, RELEASE
from tests import stacks
from tests.engine.driver import Driver, graph_inputs, role
from tests.resilience.proof import needs_engine

pytestmark = pytest.mark.engine

SECRET = "kubernetes:core/v1:Secret"
ASKS: Props = {
    "config": {"merge": {"authorization": {"user": "dynamo", "password": "<< $PW >>"}}},
    "container": {"env": {"PW": {"valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}}},
}


def _login(cloud: Driver, namespace: str, word: str = "correct") -> None:
    cloud.kube("v1", "Secret", "login", namespace, stringData={"username": "dynamo", "password": word})


def _from_secret(**keys: str) -> list[Props]:
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": "login", "key": key}}} for name, key in keys.items()]


LOGS_IN = _from_secret(NATS_AUTH_USERNAME="username", NATS_AUTH_PASSWORD="password")


@pytest.fixture
def cloud() -> Driver:
    """A cluster whose NATS asks for a login."""
    made = Driver()
    made.platform()
    _login(made, "dynamo-cloud")
    release = made.state.find(RELEASE, where=lambda one: one.id.endswith("dynamo-platform"))[0]
    made.update(release, {**release.inputs, "values": {**release.inputs["values"], "nats": ASKS}})
    return made


def _said(cloud: Driver, envs: list[Props]) -> list[str]:
    (cluster,) = cloud.state.find("gcp:container/cluster:Cluster")
    graph = graph_inputs(Decode={**role(), "envs": envs})
    return [reason for reason in blockers.of(cloud.state, cluster.id, graph) if "authorization" in reason]


def test_pods_with_the_login_are_let_in(cloud: Driver) -> None:
    _login(cloud, "serving")
    assert _said(cloud, LOGS_IN) == []


@pytest.mark.parametrize(
    ("envs", "said"),
    [([], "they have no login"), (LOGS_IN[:1], "they have no login"), (LOGS_IN, "they have another login")],
    ids=["none", "a user without a password", "another password"],
)
def test_pods_without_the_login_end(cloud: Driver, envs: list[Props], said: str) -> None:
    _login(cloud, "serving", "another")
    (reason,) = _said(cloud, envs)
    assert "Decode: pods end: NATS of dynamo-cloud/dynamo-platform: authorization violation" in reason
    assert said in reason


def test_a_nats_without_a_login_lets_in_whoever_has_one() -> None:
    cloud = Driver()
    cloud.platform()
    _login(cloud, "serving")
    assert _said(cloud, LOGS_IN) == []


def test_a_nats_whose_secret_is_missing_never_starts() -> None:
    cloud = Driver()
    cloud.cluster()
    cloud.namespace("dynamo-cloud")
    cloud.release("dynamo-crds", "default")
    with pytest.raises(ApiError, match='Secret "login" not found in namespace dynamo-cloud'):
        cloud.release("dynamo-platform", "dynamo-cloud", values={"nats": ASKS})


def _nats(**said: str) -> dict[str, Any]:
    """With a class for the volumes, changes of which the engine ignores, and of nothing else in NATS' configuration."""
    dynamo = {**stacks.config("dev")["dynamo-a4x:dynamo"], "storageClass": "company-ssd"}
    return {"dynamo-a4x:dynamo": {**dynamo, "nats": said}}


@needs_engine
def test_a_living_environment_gets_a_login_and_another_one_and_the_old_one_goes_last() -> None:
    with Rehearsal("dev", config=_nats(login="offered")) as rehearsal:

        def there() -> dict[str, str]:
            found = rehearsal.state.find(SECRET, where=lambda one: "/nats-login-" in one.id)
            return dict(one.id.split("/") for one in found)

        def used() -> dict[str, str]:
            """The Secrets of the server and of the pods, by namespace."""
            (graph,) = rehearsal.state.find(GRAPH)
            (platform,) = rehearsal.state.find(RELEASE, where=lambda one: one.id.endswith("/dynamo-platform"))
            values = platform.inputs["values"]["nats"]
            assert set(values["config"]) == {"merge", "jetstream"}
            (server,) = values["container"]["env"].values()
            (pods,) = {
                entry["valueFrom"]["secretKeyRef"]["name"]
                for service in graph.inputs["spec"]["services"].values()
                for entry in service["envs"]
                if entry["name"].startswith("NATS_AUTH_")
            }
            asks = server["valueFrom"]["secretKeyRef"]["name"]
            return {one.id.split("/")[0]: name for one, name in ((platform, asks), (graph, pods))}

        rehearsal.up()
        assert set(there()) == {"r1-1p1d"}
        rehearsal.set_config(_nats())
        phase = rehearsal.up("it asks for the login")
        assert phase.outputs["natsLogin"].secret
        # The pods have it already.
        steps = {"create dynamo-nats-revision", "create dynamo-nats-secret", "update dynamo-release"}
        assert {f"{step.op} {step.name}" for step in phase.changed} == steps
        before, graph = there(), rehearsal.state.find(GRAPH)[0].id
        assert used() == before
        changed = rehearsal.up("another password", replace=["**dynamo-nats-password"]).changed
        assert used() == there()
        assert all(name != before[space] for space, name in there().items())
        assert rehearsal.state.find(GRAPH)[0].id == graph
        order = [f"{step.op} {step.name}" for step in changed]
        gone = [place for place, said in enumerate(order) if "delete" in said and said.endswith("-nats-secret")]
        assert len(gone) == 2
        assert order.index("update dynamo-release") < order.index("update r1-1p1d-graph") < min(gone)
        rehearsal.up_without_change()

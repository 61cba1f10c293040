"""The fabric test in the real engine: before the first stack, once; again when it failed or the domain was empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi_kubernetes as kubernetes
import pytest

from rehearsal import CloudResource, Phase, Rehearsal, RehearsalError
from rehearsal.simulator.gcp.rules import NODE_POOL
from rehearsal.simulator.kubernetes.jobs import JOB
from rehearsal.simulator.workloads.serving import GRAPH
from tests.resilience import life
from tests.resilience.order import DOMAINS, InvariantChecker, every_part
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

STACK = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}
DOMAIN = {"name": "a4x-0", "mode": "adopt", "zone": "us-central1-b", "nodes": 2}


def config(test: Any, **stack: Any) -> dict[str, Any]:
    domain = DOMAIN if test is None else {**DOMAIN, "fabricTest": test}
    return {DOMAINS: [domain], "dynamo-a4x:stacks": [{**STACK, **stack}]}


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    with life.rehearse("dev", config({})) as found:
        yield found


def pool(rehearsal: Rehearsal) -> str:
    (found,) = rehearsal.state.find(NODE_POOL)
    return found.id


def measuring(rehearsal: Rehearsal) -> list[CloudResource]:
    return rehearsal.state.find(JOB, where=lambda job: job.id.endswith("/fabric-test"))


def uid(rehearsal: Rehearsal) -> str:
    (job,) = measuring(rehearsal)
    return str(job.outputs["metadata"]["uid"])


def jobs(phase: Phase) -> set[str]:
    return {str(step) for step in phase.changed if step.name == "fabric-a4x-0-job"}


def failed_up(rehearsal: Rehearsal) -> str:
    with pytest.raises(RehearsalError) as caught:
        rehearsal.up()
    return "\n".join(caught.value.causes)


def test_it_runs_once_before_the_stack_and_again_when_the_domain_was_empty(rehearsal: Rehearsal) -> None:
    checker = InvariantChecker(rehearsal)
    checker.arm()
    made = [step.name for step in rehearsal.up().changed if step.op == "create"]
    checker.require("up")
    assert made.index("fabric-a4x-0-job") < made.index("r1-namespace") < made.index("r1-graph")
    first = uid(rehearsal)
    rehearsal.up_without_change()
    assert not rehearsal.refresh().changed
    # Under the stack there is no room for another test, whatever changes.
    rehearsal.set_config(config({"nodes": 2, "allReduceGBps": 300}, image="example.com/worker:2"))
    preview = rehearsal.preview()
    assert jobs(preview) == set()
    assert any("all_reduce 250 GB/s) becomes another one (2 nodes, all_gather 200" in w for w in preview.warnings)
    assert jobs(rehearsal.up()) == set()
    assert uid(rehearsal) == first
    rehearsal.up_without_change()
    # The domain is given back, and taken again.
    rehearsal.set_config({"dynamo-a4x:stacks": []})
    gone = [step.name for step in rehearsal.up().changed if step.op == "delete"]
    assert gone.index("r1-namespace") < gone.index("fabric-a4x-0-job") < gone.index("fabric-a4x-0-namespace")
    assert measuring(rehearsal) == []
    rehearsal.set_config(config({"nodes": 2, "allReduceGBps": 300}, image="example.com/worker:2"))
    rehearsal.up()
    assert uid(rehearsal) != first
    (job,) = measuring(rehearsal)
    assert job.inputs["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/worker:2"
    life.require_clean(rehearsal, "after the second test")
    gone = [step.name for step in rehearsal.destroy().changed if step.op == "delete"]
    assert gone.index("r1-graph") < gone.index("fabric-a4x-0-job") < gone.index("dra-driver-release")
    checker.require("destroy")
    life.require_empty(rehearsal, "after the destroy")


def test_a_slow_fabric_stops_the_up_before_the_stack_and_is_tested_again_by_the_next(rehearsal: Rehearsal) -> None:
    rehearsal.state.fabric[pool(rehearsal)] = 143.2
    said = failed_up(rehearsal)
    assert said.startswith(f"{JOB} fabric-a4x-0-job: ")
    assert "[Pod fabric-test-dev-a4x-0/fabric-test-" in said
    assert "is slow: all_gather 143.2 GB/s, at least 200 required, all_reduce 143.2 GB/s, at least 250 required" in said
    assert "pulumi up --stack dev" in said
    assert rehearsal.state.find(GRAPH) == []
    assert rehearsal.state.find("kubernetes:core/v1:Namespace", where=lambda n: n.id == "r1") == []
    # Nothing was repaired: the reason again, and not only that a Job had failed.
    assert "143.2 GB/s" in failed_up(rehearsal)
    rehearsal.state.fabric.clear()
    assert "create" in {step.op for step in rehearsal.up().changed if step.name == "r1-graph"}
    rehearsal.up_without_change()
    life.require_clean(rehearsal, "after the repair")


def test_a_test_that_failed_takes_the_config_as_it_is_then(rehearsal: Rehearsal) -> None:
    """What `ignore_changes` must not keep: a minimum, an image or a number that was wrong."""
    rehearsal.state.cordoned[pool(rehearsal)] = 1
    assert "1 of 2 pods did not come" in failed_up(rehearsal)
    rehearsal.state.cordoned.clear()
    rehearsal.state.fabric[pool(rehearsal)] = 700.0
    rehearsal.set_config(config({"allGatherGBps": 750}, image="example.com/worker:2"))
    assert "all_gather 700.0 GB/s, at least 750 required" in failed_up(rehearsal)
    (job,) = measuring(rehearsal)
    assert job.inputs["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/worker:2"
    rehearsal.set_config(config({"allGatherGBps": 650}, image="example.com/worker:3"))
    rehearsal.up()
    (job,) = measuring(rehearsal)
    assert job.inputs["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/worker:3"
    rehearsal.up_without_change()


def test_without_the_option_a_new_image_would_test_a_domain_that_serves(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of `ignore_changes=["spec"]`: all nodes are taken, so no pod of the test ever runs."""
    make = kubernetes.batch.v1.Job

    def job(*args: Any, **options: Any) -> kubernetes.batch.v1.Job:
        options["opts"].ignore_changes = []
        return make(*args, **options)

    monkeypatch.setattr(kubernetes.batch.v1, "Job", job)
    rehearsal.up()
    rehearsal.set_config(config({}, image="example.com/worker:2"))
    assert "Job was active longer than specified deadline (DeadlineExceeded)" in failed_up(rehearsal)


def test_a_test_that_is_added_under_a_stack_is_refused_and_nothing_is_touched() -> None:
    with life.rehearse("dev", config(None)) as rehearsal:
        rehearsal.up()
        rehearsal.set_config(config({}))
        with pytest.raises(RehearsalError) as caught:
            rehearsal.preview()
        (said,) = caught.value.causes
        assert "domains.a4x-0.fabricTest was added while stack 'r1' is in the domain" in said
        assert "`pulumi up` without them" in said
        assert measuring(rehearsal) == []
        # The way that it names.
        rehearsal.set_config({"dynamo-a4x:stacks": []})
        rehearsal.up()
        rehearsal.set_config(config({}))
        rehearsal.up()
        assert len(measuring(rehearsal)) == 1
        # Taken out again, it leaves the stack alone.
        (graph,) = rehearsal.state.find(GRAPH)
        rehearsal.set_config(config(None))
        rehearsal.up()
        assert measuring(rehearsal) == []
        assert [resource.id for resource in rehearsal.state.find(GRAPH)] == [graph.id]
        life.require_clean(rehearsal, "without the test")


def test_it_runs_in_a_cluster_that_is_made_and_with_dranet_as_well() -> None:
    environment = f"prod{life.DRANET}"
    with life.rehearse(environment, every_part(environment)) as rehearsal:
        rehearsal.up()
        (job,) = measuring(rehearsal)
        assert job.outputs["status"]["succeeded"] == 1
        rehearsal.up_without_change()
        rehearsal.destroy()
        life.require_empty(rehearsal, environment)

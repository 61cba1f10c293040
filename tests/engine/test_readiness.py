"""`pulumi up` and the readiness check, in the real engine: it fails with the reason and runs again when it must."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi_kubernetes as kubernetes
import pytest

from rehearsal import Phase, Rehearsal, RehearsalError
from rehearsal.run import RUNS_AGAIN
from rehearsal.simulator.gcp.rules import NODE_POOL
from rehearsal.simulator.kubernetes.jobs import JOB
from rehearsal.simulator.workloads.serving import GRAPH
from tests.resilience import life
from tests.resilience.proof import needs_engine

pytestmark = needs_engine

STACK = {"name": "r1", "layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}


def stacks(**changes: Any) -> dict[str, Any]:
    return {"dynamo-a4x:stacks": [{**STACK, **changes}]}


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    with life.rehearse("dev", stacks()) as found:
        yield found


def cordon(rehearsal: Rehearsal, nodes: int) -> None:
    (pool,) = rehearsal.state.find(NODE_POOL)
    rehearsal.state.cordoned[pool.id] = nodes


def failed_up(rehearsal: Rehearsal) -> str:
    with pytest.raises(RehearsalError) as caught:
        rehearsal.up()
    return "\n".join(caught.value.causes)


def changed(phase: Phase) -> set[str]:
    """What a phase changed, a readiness check that runs again in the words of the reports."""
    return {RUNS_AGAIN if step.runs_again else str(step) for step in phase.changed}


def test_a_check_that_failed_runs_again_when_only_the_cluster_was_repaired(rehearsal: Rehearsal) -> None:
    cordon(rehearsal, 1)
    said = failed_up(rehearsal)
    assert said.startswith(f"{JOB} r1-readiness-job: ")
    assert "[Pod r1/readiness-check-" in said
    assert "[Error] DynamoGraphDeployment r1/r1-" in said
    assert "2 GPU nodes wanted in node pool a4x-0, 1 of 2 are free pulumi up --stack dev" in said
    # Nobody has repaired anything: the same reason again, not only that the Job had failed before.
    assert "2 GPU nodes wanted in node pool a4x-0, 1 of 2 are free" in failed_up(rehearsal)
    cordon(rehearsal, 0)
    # The guard depends on everything, so it had not been made before.
    assert changed(rehearsal.up()) == {RUNS_AGAIN, "create kubernetes:core/v1:ConfigMap guard-environment"}
    # A day later.
    assert not rehearsal.refresh().changed
    rehearsal.up_without_change()
    life.require_clean(rehearsal, "after the repair")


def test_without_the_trigger_a_check_that_failed_stays_failed(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: what `replace_on_changes=["#initerror"]` is for."""
    make = kubernetes.batch.v1.Job

    def job(*args: Any, **options: Any) -> kubernetes.batch.v1.Job:
        options["opts"].replace_on_changes = []
        return make(*args, **options)

    monkeypatch.setattr(kubernetes.batch.v1, "Job", job)
    cordon(rehearsal, 1)
    failed_up(rehearsal)
    cordon(rehearsal, 0)
    said = failed_up(rehearsal)
    assert "BackoffLimitExceeded" in said
    assert "GPU nodes" not in said


def test_a_change_runs_the_check_again_and_replaces_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.up()
    (graph,) = rehearsal.state.find(GRAPH)
    rehearsal.set_config(stacks(image="example.com/worker:2"))
    for seen in (rehearsal.preview(), rehearsal.up()):
        assert changed(seen) == {RUNS_AGAIN, f"update {GRAPH} r1-graph"}
        assert seen.count()[RUNS_AGAIN] == 1
        assert not {"replace", "create-replacement", "delete-replaced"} & set(seen.count())
    assert [resource.id for resource in rehearsal.state.find(GRAPH)] == [graph.id]
    # R7: with the graph's own status, a change in place that has no room was green and then stuck for good.
    cordon(rehearsal, 1)
    rehearsal.set_config(stacks(image="example.com/worker:3"))
    assert "1 of 2 are free" in failed_up(rehearsal)
    gone = [step.name for step in rehearsal.destroy().changed if step.op == "delete"]
    assert gone.index("r1-readiness-job") < gone.index("r1-graph")
    life.require_empty(rehearsal, "after the destroy")


def test_a_check_whose_job_was_deleted_by_hand_is_made_again(rehearsal: Rehearsal) -> None:
    rehearsal.up()
    (job,) = rehearsal.state.find(JOB)
    rehearsal.state.remove(job.key)
    rehearsal.refresh()
    assert changed(rehearsal.up()) == {f"create {JOB} r1-readiness-job"}


def test_a_stack_that_nobody_waits_for_is_reported_by_the_rehearsal_when_it_cannot_run() -> None:
    with life.rehearse("dev", stacks(wait=False)) as rehearsal:
        cordon(rehearsal, 1)
        said = failed_up(rehearsal)
        assert "never becomes ready, and nothing waits for it: DynamoGraphDeployment r1/r1-" in said
        cordon(rehearsal, 0)
        rehearsal.up_without_change()

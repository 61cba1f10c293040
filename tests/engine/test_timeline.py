"""The timeline of dev from a real rehearsal: every step once, and the engine keeps to the computed order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal.run import Rehearsal
from rehearsal.timeline import OPS, Timeline, failures, graph, observed, paced, tell
from rehearsal.timeline.graph import Op

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal("dev") as run:
        run.up()
        yield run


@pytest.fixture(scope="module")
def timeline(rehearsal: Rehearsal) -> Timeline:
    return paced.watch(rehearsal, seconds=10.0)


def made(rehearsal: Rehearsal) -> set[str]:
    """URNs of the resources that a provider made in the last run."""
    return {step.urn for step in rehearsal.phases[-1].steps if step.op == "create" and made_by_provider(step.kind)}


def made_by_provider(kind: str) -> bool:
    return not kind.startswith(("dynamo-a4x:", "pulumi:"))


def test_every_resource_is_in_the_timeline_once(rehearsal: Rehearsal, timeline: Timeline) -> None:
    assert {urn for urn, task in timeline.plan.tasks.items() if task.custom} == made(rehearsal)
    assert set(timeline.plan.tasks) == {step.urn for step in rehearsal.phases[-1].steps}


@pytest.mark.parametrize("op", OPS)
def test_the_engine_never_contradicts_the_computed_order(timeline: Timeline, rehearsal: Rehearsal, op: Op) -> None:
    seen = timeline.observed[op]
    assert list(seen.contradictions) == []
    assert seen.steps == len(made(rehearsal))


def test_the_engine_lets_steps_overlap_where_the_order_does(timeline: Timeline) -> None:
    assert timeline.observed["up"].overlaps > 0


def test_another_order_would_be_contradicted(timeline: Timeline, rehearsal: Rehearsal) -> None:
    """The negative control of the tests above: a wait that the program has not is missed in what the engine did."""
    tasks = timeline.plan.tasks
    scale = 10.0 / timeline.verdicts["up"].makespan
    graph_urn = next(urn for urn, task in tasks.items() if task.role == "ServingStack/DynamoGraphDeployment")
    bench = next(urn for urn, task in tasks.items() if task.role == "BenchmarkClient/Deployment")
    order = graph.union(timeline.plan.waits, {bench: {graph_urn: 0.0}})
    spans = observed.spans_of(rehearsal.state.journal, "up")
    last = {urn: list(found)[-1:] for urn, found in spans.items()}
    found = observed.compare(order, timeline.verdicts["up"].spans, last, scale)
    assert any(line.startswith(bench) for line in found.contradictions)


def test_dev_has_no_needless_wait_and_none_is_missing(timeline: Timeline) -> None:
    assert failures(timeline) == []


def test_what_is_reported_names_makespan_chain_and_ratio(timeline: Timeline) -> None:
    said = "\n".join(tell(timeline))
    for op in OPS:
        judged = timeline.verdicts[op]
        assert f"{op}: makespan {judged.makespan:.1f} min" in said
        assert all(timeline.name(urn) in said for urn in judged.chain)

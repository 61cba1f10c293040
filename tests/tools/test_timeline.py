"""The timeline's arithmetic, its tables and its picture, on made-up stacks."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.run import ROOT
from rehearsal.simulator.state import Entry
from rehearsal.timeline import compute, draw, durations, failures, graph, needs, observed, tell
from rehearsal.timeline.graph import Span
from rehearsal.timeline.verdict import needless
from tests.conftest import STACKS

KUBERNETES = "kubernetes:core/v1"


@st.composite
def orders(draw: Any, least: int = 1) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """A random order without cycles, its tasks listed in random order, and minutes."""
    count = draw(st.integers(least, 12))
    names = [f"t{index}" for index in range(count)]
    waits = {
        name: dict.fromkeys((other for other in names[:index] if draw(st.booleans())), 0.0)
        for index, name in enumerate(names)
    }
    minutes = {name: float(draw(st.integers(0, 9))) for name in names}
    return {name: waits[name] for name in draw(st.permutations(names))}, minutes


def longest_path(waits: dict[str, dict[str, float]], minutes: dict[str, float]) -> float:
    """By trying every path: another way than the one under test."""

    def ending(task: str) -> float:
        return minutes[task] + max((ending(need) + lag for need, lag in waits[task].items()), default=0.0)

    return max(ending(task) for task in waits)


@given(orders())
def test_makespan_is_the_longest_path(given_order: Any) -> None:
    waits, minutes = given_order
    assert graph.makespan(graph.schedule(waits, minutes)) == longest_path(waits, minutes)


@given(orders())
def test_the_chain_fills_the_makespan_without_a_gap(given_order: Any) -> None:
    waits, minutes = given_order
    spans = graph.schedule(waits, minutes)
    chain = graph.longest_chain(waits, spans)
    assert sum(minutes[task] for task in chain) == graph.makespan(spans)
    assert all(before in waits[task] for before, task in pairwise(chain))


@given(orders(least=2), st.data())
def test_one_more_wait_never_shortens(given_order: Any, data: Any) -> None:
    waits, minutes = given_order
    task, need = data.draw(st.permutations(sorted(waits)))[:2]
    if task in graph.closure(waits)[need]:
        task, need = need, task
    more = {name: {**deps, **({need: 0.0} if name == task else {})} for name, deps in waits.items()}
    assert graph.makespan(graph.schedule(more, minutes)) >= graph.makespan(graph.schedule(waits, minutes))


@given(orders())
def test_the_way_down_takes_as_long_as_the_way_up(given_order: Any) -> None:
    waits, minutes = given_order
    down = graph.schedule(graph.reverse(waits), minutes)
    assert graph.makespan(down) == graph.makespan(graph.schedule(waits, minutes))


@given(orders())
def test_groups_and_few_workers_are_never_faster_and_keep_every_wait(given_order: Any) -> None:
    waits, minutes = given_order
    free = graph.makespan(graph.schedule(waits, minutes))
    by_groups = graph.by_levels(graph.levels(waits), minutes)
    one, two = graph.with_workers(waits, minutes, 1), graph.with_workers(waits, minutes, 2)
    assert graph.makespan(one) == sum(minutes.values())
    assert graph.makespan(graph.with_workers(waits, minutes, len(waits))) == free
    for spans in (by_groups, one, two):
        assert graph.makespan(spans) >= free
        assert all(spans[task].start >= spans[need].end for task, needed in waits.items() for need in needed)


@given(orders(), st.data())
def test_dropping_tasks_that_take_no_time_changes_nothing(given_order: Any, data: Any) -> None:
    waits, minutes = given_order
    idle = [task for task in waits if data.draw(st.booleans())]
    minutes = {**minutes, **dict.fromkeys(idle, 0.0)}
    left = graph.without(waits, idle)
    assert set(left) == set(waits) - set(idle)
    assert graph.makespan(graph.schedule(left, minutes)) == graph.makespan(graph.schedule(waits, minutes))


@given(orders())
def test_a_program_that_waits_for_what_is_necessary_has_no_needless_wait(given_order: Any) -> None:
    waits, minutes = given_order
    chain = graph.longest_chain(waits, graph.schedule(waits, minutes))
    assert needless(waits, waits, minutes, chain) == []


def test_tasks_that_wait_for_each_other_are_named() -> None:
    with pytest.raises(graph.CycleError, match="a, b"):
        graph.in_order({"a": {"b": 0.0}, "b": {"a": 0.0}, "c": {}})


def test_what_works_late_delays_only_its_user() -> None:
    spans = graph.schedule({"grant": {}, "job": {"grant": 2.0}, "other": {"grant": 0.0}}, {"grant": 1.0, "job": 1.0})
    assert spans["job"] == Span(3.0, 4.0)
    assert spans["other"].start == 1.0


def test_of_equal_chains_the_necessary_one_is_reported() -> None:
    waits = {"a": {}, "b": {}, "c": {"a": 0.0, "b": 0.0}}
    spans = graph.schedule(waits, dict.fromkeys(waits, 1.0))
    assert graph.longest_chain(waits, spans) == ["a", "c"]
    assert graph.longest_chain(waits, spans, {"c": ["b"]}) == ["b", "c"]


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:s::p::{kind}::{name}"


def resource(kind: str, name: str, parent: str = "", *deps: str, **inputs: Any) -> dict[str, Any]:
    custom = not kind.startswith("dynamo-a4x:")
    return {
        "urn": urn(kind, name),
        "type": kind,
        "custom": custom,
        "parent": parent,
        "dependencies": list(deps),
        "inputs": inputs,
    }


PLATFORM = urn("dynamo-a4x:platform:DynamoPlatform", "dynamo")
SERVING = urn("dynamo-a4x:serving:ServingStack", "r1")
DOWNLOAD = urn("dynamo-a4x:platform:ModelDownload", "download")
NAMESPACE = urn(f"{KUBERNETES}:Namespace", "dynamo-namespace")
RELEASE = urn("kubernetes:helm.sh/v3:Release", "dynamo-release")
JOB = urn("kubernetes:batch/v1:Job", "download-job")
GRAPH = urn("kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment", "r1-graph")
READINESS = urn("dynamo-a4x:serving:ReadinessCheck", "r1-readiness")
CHECK = urn("kubernetes:batch/v1:Job", "r1-readiness-job")


def small_stack(*, job_waits: tuple[str, ...] = (), graph_waits: tuple[str, ...] = (RELEASE, JOB)) -> dict[str, Any]:
    """A platform, a download, a graph and its readiness check."""
    chart = "https://charts/dynamo-platform-0.7.0.tgz"
    return {
        "deployment": {
            "resources": [
                resource("dynamo-a4x:platform:DynamoPlatform", "dynamo"),
                resource("dynamo-a4x:platform:ModelDownload", "download"),
                resource(f"{KUBERNETES}:Namespace", "dynamo-namespace", PLATFORM),
                resource("kubernetes:helm.sh/v3:Release", "dynamo-release", PLATFORM, NAMESPACE, chart=chart),
                resource("kubernetes:batch/v1:Job", "download-job", DOWNLOAD, *job_waits),
                resource("dynamo-a4x:serving:ServingStack", "r1", "", *graph_waits),
                resource("kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment", "r1-graph", SERVING),
                resource("dynamo-a4x:serving:ReadinessCheck", "r1-readiness"),
                resource("kubernetes:batch/v1:Job", "r1-readiness-job", READINESS, GRAPH),
            ]
        }
    }


def test_a_component_that_waits_holds_its_children_back() -> None:
    judged = compute("s", small_stack()).verdicts["up"]
    assert judged.makespan == pytest.approx(50.1)
    assert list(judged.chain) == [JOB, GRAPH, CHECK]
    assert judged.ratio == pytest.approx(1.0)
    assert failures(compute("s", small_stack())) == []


def test_a_planted_needless_dependency_is_named_with_what_it_costs() -> None:
    timeline = compute("s", small_stack(job_waits=(RELEASE,)))
    judged = timeline.verdicts["up"]
    assert judged.ratio == pytest.approx(55.2 / 50.1)
    (found,) = judged.needless
    assert (found.task, list(found.waits_for)) == (JOB, [RELEASE])
    assert found.saves == pytest.approx(5.1)
    assert any("download-job for dynamo-release" in line for line in failures(timeline))
    assert any("download-job need not wait for dynamo-release" in line for line in tell(timeline))


def test_a_needless_wait_off_the_longest_chain_costs_nothing() -> None:
    timeline = compute("s", small_stack(job_waits=(NAMESPACE,)))
    assert timeline.verdicts["up"].ratio < 1.01


def test_a_needless_wait_beside_a_necessary_one_of_the_same_length_is_not_blamed() -> None:
    stack = small_stack(graph_waits=(RELEASE, JOB, urn("kubernetes:apps/v1:Deployment", "stray")))
    stack["deployment"]["resources"].append(resource("kubernetes:apps/v1:Deployment", "stray"))
    minutes = {urn("kubernetes:apps/v1:Deployment", "stray"): 30.0}
    judged = compute("s", stack, minutes=minutes).verdicts["up"]
    assert list(judged.chain) == [JOB, GRAPH, CHECK]
    assert judged.needless == []


def test_a_wait_that_is_missing_is_named() -> None:
    timeline = compute("s", small_stack(graph_waits=(RELEASE,)))
    assert any("r1-graph does not wait for download-job" in line for line in failures(timeline))


def test_a_dependency_on_a_component_is_one_on_what_stands_below_it() -> None:
    plan = graph.read(small_stack(graph_waits=(PLATFORM, DOWNLOAD)))
    assert {RELEASE, NAMESPACE, JOB} <= set(plan.waits[SERVING])


def test_destroy_goes_by_groups_as_the_engine_does() -> None:
    minutes = {NAMESPACE: 1.0, RELEASE: 2.0, JOB: 7.0, GRAPH: 3.0, CHECK: 0.0}
    judged = compute("s", small_stack(), minutes=minutes).verdicts["destroy"]
    # The job stands in one group with the namespace, which may begin only after the release's group.
    assert judged.own == pytest.approx(10.0)
    assert judged.makespan == pytest.approx(12.0)
    assert judged.engine_ratio == pytest.approx(1.2)
    assert judged.spans[GRAPH].start == pytest.approx(0.0)
    assert list(judged.deciding) == [GRAPH, RELEASE, JOB]


def test_every_row_says_where_its_figures_come_from() -> None:
    assert all(row.source and row.up >= 0 and row.destroy >= 0 for row in durations.ROWS)
    assert durations.ROWS[-1].roles == "*"


def test_the_documentation_has_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "timeline.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in durations.table() if line not in page] == []


def test_every_rule_has_a_reason_and_fits_some_kind_of_row() -> None:
    assert all(rule.reason for rule in needs.RULES)
    keys = [(rule.who, rule.needs, rule.which, rule.ways) for rule in needs.RULES]
    assert len(keys) == len(set(keys))


def entry(op: str, of: str, started: float, ended: float) -> Entry:
    return Entry(op, "k", of, of, of, preview=False, started=started, ended=ended)


def seen(*entries: Entry) -> list[str]:
    order: dict[str, dict[str, float]] = {"a": {}, "b": {"a": 0.0}, "c": {}}
    computed = graph.schedule(order, {"a": 10.0, "b": 10.0, "c": 10.0})
    spans = observed.spans_of(entries, "up")
    return list(observed.compare(order, computed, spans, seconds_per_minute=1.0).contradictions)


def test_an_engine_that_keeps_to_the_order_is_not_blamed() -> None:
    assert seen(entry("create", "a", 0, 10), entry("create", "c", 1, 11), entry("create", "b", 11, 21)) == []


def test_a_step_before_its_need_has_ended_is_seen() -> None:
    said = seen(entry("create", "a", 0, 10), entry("create", "c", 0, 10), entry("create", "b", 9, 19))
    assert said == ["b started before a had ended"]


def test_a_wait_that_the_engine_has_and_the_order_has_not_is_seen() -> None:
    said = seen(entry("create", "a", 0, 10), entry("create", "c", 10, 20), entry("create", "b", 10, 20))
    assert said == ["c waited for a, which the computed order does not say"]


def test_a_step_that_ran_twice_is_seen() -> None:
    said = seen(entry("create", "a", 0, 10), entry("create", "a", 0, 10), entry("create", "c", 0, 10))
    assert said == ["a ran 2 times"]


def test_refused_calls_and_other_operations_are_no_steps() -> None:
    refused = replace(entry("create", "a", 0, 1), refused="no")
    assert observed.spans_of([refused, entry("check", "a", 0, 1), entry("delete", "a", 0, 1)], "up") == {}


def test_the_picture_is_xml_and_holds_every_component(tmp_path: Path) -> None:
    timeline = compute("s<&>", small_stack())
    target = tmp_path / "timeline.svg"
    draw(timeline, target)
    root = ET.fromstring(target.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for name in ("dynamo", "download", "r1"):
        assert sum(text.startswith(name) for text in texts) >= 2, name
    assert list(tmp_path.iterdir()) == [target]


def test_the_picture_stays_within_its_width_and_needs_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "timeline.svg"
    draw(compute("s", small_stack()), target)
    content = target.read_text(encoding="utf-8")
    root = ET.fromstring(content)  # noqa: S314 - our own file
    width = float(root.attrib["width"])
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(rect.attrib.get("x", 0)) + float(rect.attrib["width"]) <= width
    without_namespace = content.replace("http://www.w3.org/2000/svg", "")
    assert not any(word in without_namespace for word in ("<script", "http", "@import", "url("))


@pytest.mark.parametrize("environment", STACKS)
def test_no_text_of_the_documented_pictures_runs_over_the_edge(environment: str) -> None:
    root = ET.parse(ROOT / "docs" / "explanation" / f"timeline-{environment}.svg").getroot()  # noqa: S314 - our own file
    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    assert len(texts) > 30
    for text in texts:
        words, x = "".join(text.itertext()), float(text.attrib["x"])
        # 5.5 px a character: DejaVu Sans, measured on these pictures; headings are short.
        anchor = text.attrib.get("text-anchor", "start")
        left = x - 5.5 * len(words) * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        assert left >= 0, words
        assert left + 5.5 * len(words) <= float(root.attrib["width"]), words


def test_by_hand_everything_comes_in_turn_and_nothing_is_left_out() -> None:
    hand = compute("s", small_stack()).hands["up"]
    assert hand.unplaced == []
    assert hand.makespan == pytest.approx(0.1 + 5.0 + 30.0 + 0.1 + 20.0)
    assert hand.probe == pytest.approx(30.0)
    assert [run.span.start for run in hand.runs[1:]] == [run.span.end for run in hand.runs[:-1]]


def test_what_no_step_of_the_recipe_makes_is_named() -> None:
    stack = small_stack()
    stack["deployment"]["resources"].append(resource(f"{KUBERNETES}:Secret", "stray"))
    assert any("stray is in no step of the recipe" in line for line in failures(compute("s", stack)))

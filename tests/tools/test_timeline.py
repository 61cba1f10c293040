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
from rehearsal.simulator.provider import kind_of
from rehearsal.simulator.state import Entry
from rehearsal.timeline import compute, draw, durations, failures, graph, needs, observed, plan, tell
from rehearsal.timeline.graph import Span
from rehearsal.timeline.verdict import judge, needless
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
def test_groups_are_never_faster_and_keep_every_wait(given_order: Any) -> None:
    waits, minutes = given_order
    spans = graph.schedule(graph.barriers(graph.levels(waits)), minutes)
    assert graph.makespan(spans) >= graph.makespan(graph.schedule(waits, minutes))
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


def test_what_works_late_delays_only_its_user() -> None:
    spans = graph.schedule({"grant": {}, "job": {"grant": 2.0}, "other": {"grant": 0.0}}, {"grant": 1.0, "job": 1.0})
    assert spans["job"] == Span(3.0, 4.0)
    assert spans["other"].start == 1.0


def test_of_equal_chains_the_necessary_one_is_reported() -> None:
    waits = {"a": {}, "b": {}, "c": {"a": 0.0, "b": 0.0}}
    spans = graph.schedule(waits, dict.fromkeys(waits, 1.0))
    assert graph.longest_chain(waits, spans) == ["a", "c"]
    assert graph.longest_chain(waits, spans, {"c": ["b"]}) == ["b", "c"]


def urn(kind: str, name: str, above: str = "") -> str:
    return f"urn:pulumi:s::p::{f'{above}$' if above else ''}{kind}::{name}"


def resource(of: str, *deps: str, parent: str = "", **inputs: Any) -> dict[str, Any]:
    kind = kind_of(of)
    custom = not kind.startswith("dynamo-a4x:")
    return {"urn": of, "type": kind, "custom": custom, "parent": parent, "dependencies": list(deps), "inputs": inputs}


PLATFORM = urn("dynamo-a4x:platform:DynamoPlatform", "dynamo")
SERVING = urn("dynamo-a4x:serving:ServingStack", "r1")
DOWNLOAD = urn("dynamo-a4x:platform:ModelDownload", "download")
NAMESPACE = urn(f"{KUBERNETES}:Namespace", "dynamo-namespace", "dynamo-a4x:platform:DynamoPlatform")
RELEASE = urn("kubernetes:helm.sh/v3:Release", "dynamo-release", "dynamo-a4x:platform:DynamoPlatform")
JOB = urn("kubernetes:batch/v1:Job", "download-job", "dynamo-a4x:platform:ModelDownload")
GRAPH = urn("kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment", "r1-graph", "dynamo-a4x:serving:ServingStack")
READINESS = urn("dynamo-a4x:serving:ReadinessCheck", "r1-readiness")
CONFIG = urn(f"{KUBERNETES}:ConfigMap", "r1-readiness-config", "dynamo-a4x:serving:ReadinessCheck")
CHECK = urn("kubernetes:batch/v1:Job", "r1-readiness-job", "dynamo-a4x:serving:ReadinessCheck")


def small_stack(
    *more: dict[str, Any],
    job_waits: tuple[str, ...] = (),
    graph_waits: tuple[str, ...] = (RELEASE, JOB),
    config_waits: tuple[str, ...] = (GRAPH,),
) -> dict[str, Any]:
    """A platform, a download, a graph and its readiness check."""
    chart = "https://charts/dynamo-platform-0.7.0.tgz"
    volumes = [{"configMap": {"name": "readiness"}}]
    resources = [
        resource(PLATFORM),
        resource(DOWNLOAD),
        resource(NAMESPACE, parent=PLATFORM, metadata={"name": "dynamo"}),
        resource(RELEASE, NAMESPACE, parent=PLATFORM, chart=chart, namespace="dynamo"),
        resource(JOB, *job_waits, parent=DOWNLOAD, metadata={"name": "download"}),
        resource(SERVING, *graph_waits),
        resource(GRAPH, parent=SERVING, metadata={"name": "graph", "namespace": "r1"}),
        resource(READINESS),
        resource(
            CONFIG,
            *config_waits,
            parent=READINESS,
            metadata={"name": "readiness", "namespace": "r1"},
            data={"check.json": '{"graph":"graph"}'},
        ),
        resource(CHECK, CONFIG, parent=READINESS, metadata={"name": "check", "namespace": "r1"}, spec=volumes),
        *more,
    ]
    return {"deployment": {"resources": resources}}


def test_a_component_that_waits_holds_its_children_back() -> None:
    timeline = compute("s", small_stack())
    judged = timeline.verdicts["up"]
    assert judged.makespan == pytest.approx(50.15)
    assert list(judged.chain) == [JOB, GRAPH, CONFIG, CHECK]
    assert judged.ratio == pytest.approx(1.0)
    assert failures(timeline) == []


def test_a_planted_needless_dependency_is_named_with_what_it_costs() -> None:
    timeline = compute("s", small_stack(job_waits=(RELEASE,)))
    judged = timeline.verdicts["up"]
    assert judged.ratio == pytest.approx(55.25 / 50.15)
    (found,) = judged.needless
    assert (found.task, found.need) == (JOB, RELEASE)
    assert found.saves == pytest.approx(5.1)
    assert any("needless waits: download-job for dynamo-release" in line for line in failures(timeline))
    assert any("download-job need not wait for dynamo-release" in line for line in tell(timeline))


def test_a_needless_wait_off_the_longest_chain_costs_nothing_and_is_superfluous() -> None:
    timeline = compute("s", small_stack(job_waits=(NAMESPACE,)))
    assert timeline.verdicts["up"].ratio < 1.01
    assert failures(timeline) == ["download-job waits for dynamo-namespace, and no rule asks for it"]


def test_a_needless_wait_beside_a_necessary_one_of_the_same_length_is_not_blamed() -> None:
    stray = urn("kubernetes:batch/v1:Job", "a-stray")
    judged = compute("s", small_stack(resource(stray), graph_waits=(RELEASE, stray, JOB))).verdicts["up"]
    assert judged.minutes[stray] == judged.minutes[JOB]
    assert list(judged.chain) == [JOB, GRAPH, CONFIG, CHECK]
    assert judged.needless == []


def test_a_wait_that_is_missing_is_named() -> None:
    timeline = compute("s", small_stack(graph_waits=(RELEASE,)))
    assert any("r1-graph does not wait for download-job" in line for line in failures(timeline))


def test_a_wait_for_what_a_task_names_is_missed_though_nothing_recorded_says_so() -> None:
    timeline = compute("s", small_stack(config_waits=()))
    assert any("up: r1-readiness-config does not wait for r1-graph" in line for line in failures(timeline))


def test_a_wait_for_a_whole_component_is_for_the_sake_of_one_of_it() -> None:
    whole = small_stack(graph_waits=(NAMESPACE, RELEASE, JOB))
    assert failures(compute("s", whole)) == []
    graph_alone = small_stack(resource(urn(f"{KUBERNETES}:Secret", "key"), NAMESPACE, RELEASE))
    assert failures(compute("s", graph_alone)) == ["key waits for dynamo, and no rule asks for it"]


def test_what_a_rule_asks_for_through_another_is_not_superfluous() -> None:
    assert failures(compute("s", small_stack(config_waits=(GRAPH, JOB)))) == []


def test_a_dependency_on_a_component_is_one_on_what_stands_below_it() -> None:
    read = plan.read(small_stack(graph_waits=(PLATFORM, DOWNLOAD)))
    assert {RELEASE, NAMESPACE, JOB} <= set(read.waits[SERVING])


def test_an_object_names_another_in_its_own_namespace_or_in_none() -> None:
    def config_map(namespace: str) -> plan.Named:
        return plan.named_of("", f"{KUBERNETES}:ConfigMap", {"metadata": {"name": "a", "namespace": namespace}}, {})

    pod = {"metadata": {"namespace": "r1"}, "spec": [{"url": "http://a.b:1/c"}]}
    named = plan.named_of("", "kubernetes:batch/v1:Job", pod, {})
    assert named.refers_to(config_map("r1"))
    assert not named.refers_to(config_map("r2"))
    assert named.refers_to(plan.named_of("", "gcp:storage/bucket:Bucket", {"name": "c"}, {}))
    assert not named.refers_to(plan.named_of("", "gcp:storage/bucket:Bucket", {"name": "r"}, {}))


@pytest.mark.parametrize("member", ["principal://iam/projects/1/subject/ns/r1/sa/serving", "serviceAccount:a@b.com"])
def test_a_grant_is_named_by_the_service_account_that_it_is_for(member: str) -> None:
    grant = plan.named_of("", "gcp:storage/bucketIAMMember:BucketIAMMember", {"member": member}, {})
    metadata = {"name": "serving", "namespace": "r1", "annotations": {"iam.gke.io/gcp-service-account": "a@b.com"}}
    account = plan.named_of("", f"{KUBERNETES}:ServiceAccount", {"metadata": metadata}, {})
    assert account.refers_to(grant)
    other = {"metadata": {"name": "serving", "namespace": "r2"}}
    assert not plan.named_of("", f"{KUBERNETES}:ServiceAccount", other, {}).refers_to(grant)


def test_destroy_goes_by_groups_as_the_engine_does() -> None:
    read = plan.read(small_stack())
    minutes = {**dict.fromkeys(read.tasks, 0.0), NAMESPACE: 1.0, RELEASE: 2.0, JOB: 7.0, GRAPH: 3.0}
    judged = judge(read.waits, needs.necessary(read, "destroy"), minutes, "destroy")
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


def test_every_rule_has_a_reason_and_stands_once() -> None:
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


def test_the_picture_names_every_component_stays_within_its_width_and_needs_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "timeline.svg"
    draw(compute("s<&>", small_stack()), target)
    assert list(tmp_path.iterdir()) == [target]
    content = target.read_text(encoding="utf-8")
    root = ET.fromstring(content)  # noqa: S314 - our own file
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for component in ("dynamo", "download", "r1", "r1-readiness"):
        assert texts.count(component) == 2, component
    bars = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert all(
        float(bar.attrib.get("x", 0)) + float(bar.attrib["width"]) <= float(root.attrib["width"]) for bar in bars
    )
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

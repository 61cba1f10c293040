"""The check as its Job runs it: a process, against a Kubernetes API and an endpoint on loopback."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from readiness import endpoint, message, package
from readiness.__main__ import main
from readiness.config import Config
from readiness.endpoint import Reply
from tests.readiness import objects as o
from tests.readiness.cluster import FAST, Cluster, Drip, Request, Site, completion, site, until

NEXT = "Next: kubectl -n serving get pods"
READY = "pods ready: frontend 2 of 2, prefill 1 of 1, decode 2 of 2"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as running:
        running.cluster.pods = o.all_ready()
        yield running


# The end that is wanted


def test_it_succeeds_when_pods_are_ready_and_the_model_answers(state: Site) -> None:
    ran = state.run()
    assert ran.code == 0, ran.log
    assert ran.message.startswith("ready after ")
    assert ran.message.rstrip().endswith(f"{READY}; the model answers: 3 tokens, finish_reason stop")


def test_it_is_safe_to_run_twice(state: Site) -> None:
    assert [state.run().code for _ in range(2)] == [0, 0]


def test_it_asks_for_one_short_completion_of_the_model(state: Site) -> None:
    state.run()
    [asked] = state.endpoint.asked
    assert asked["model"] == o.MODEL
    assert asked["max_tokens"] <= 64
    assert asked["stream"] is False


def test_the_endpoint_is_not_asked_before_all_pods_are_ready(state: Site) -> None:
    state.cluster.pods[-1] = o.loading("decode")
    process = state.start()
    until(lambda: len(state.cluster.asked) > 20)
    assert not state.endpoint.asked
    state.cluster.pods[-1] = o.ready("decode")
    assert state.finish(process).code == 0


# A stack without all its replicas

NO_NODE = "no node for pod p2 (prefill): no GPUs"
SERVES = {
    role: {"replicas": replicas, "template": f"new-{role}", "minimum": minimum}
    for role, replicas, minimum in (("frontend", 2, 1), ("prefill", 2, 1), ("decode", 2, 2))
}


def test_a_degraded_stack_that_answers_is_a_success_that_says_what_is_missing(state: Site) -> None:
    state.cluster.pods.append(o.without_node("prefill", "no GPUs", name="p2"))
    ran = state.run(roles=SERVES)
    assert ran.code == 0, ran.log
    cause = f"degraded: prefill 1 of 2 replicas: {NO_NODE}"
    pods = "pods ready: frontend 2 of 2, prefill 1 of 2 (1 without a node), decode 2 of 2"
    assert ran.lines == [cause, f"{pods}; the model answers: 3 tokens, finish_reason stop", NEXT]
    # what Pulumi shows of a Job that succeeds
    assert state.cluster.shown[-1] == cause
    assert [event["type"] for event in state.cluster.events.values()] == ["Warning"]
    assert cause in ran.log


def test_a_degraded_stack_that_does_not_answer_fails_and_says_what_is_missing(state: Site) -> None:
    state.cluster.pods.append(o.without_node("prefill", "no GPUs", name="p2"))
    state.endpoint.completion = lambda _body: (200, completion(""))
    ran = state.run(roles=SERVES)
    assert ran.code == 1
    assert ran.lines[0].startswith("the model gave 3 empty answers: ")
    assert f"degraded: prefill 1 of 2 replicas: {NO_NODE}" in ran.lines


def test_a_degraded_stack_whose_event_cannot_be_written_is_a_success(state: Site) -> None:
    state.cluster.pods.append(o.without_node("prefill", "no GPUs", name="p2"))
    state.cluster.refuse = lambda request: (403, "events is forbidden") if request.method != "GET" else None
    assert state.run(roles=SERVES).code == 0


def test_everything_is_waited_for_while_it_may_come(state: Site) -> None:
    state.cluster.pods.append(o.loading("prefill"))
    process = state.start(roles=SERVES)
    until(lambda: len(state.cluster.asked) > 40)
    assert not state.endpoint.asked
    state.cluster.pods[-1] = o.ready("prefill")
    ran = state.finish(process)
    assert ran.code == 0
    assert ran.message.startswith("ready after ")


# What the endpoint answers


@pytest.mark.parametrize(
    "answer",
    [
        completion("ready"),
        completion(None, reasoning_content="The user wants"),
        completion("", reasoning_content="Hm", finish="length"),
    ],
)
def test_content_or_reasoning_is_an_answer(state: Site, answer: dict[str, Any]) -> None:
    state.endpoint.completion = lambda _body: (200, answer)
    assert state.run().code == 0


@pytest.mark.parametrize(
    "answer", [completion(""), completion(None), completion("  \n"), {"choices": []}, {}, "", "null"]
)
def test_an_answer_with_nothing_in_it_is_a_split_domain(state: Site, answer: Any) -> None:
    state.endpoint.completion = lambda _body: (200, answer)
    ran = state.run()
    assert ran.code == 1
    assert ran.lines[0].startswith(
        "the model gave 3 empty answers: a split NVLink domain answers 200 without content; the last answer"
    )
    assert ran.lines[-1] == NEXT
    assert len(state.endpoint.asked) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (completion("ready", finish="error"), "HTTP 200 with finish_reason error"),
        (completion("ready", tokens=0), "HTTP 200 with usage.completion_tokens 0"),
    ],
)
def test_an_answer_that_is_none_fails(state: Site, answer: dict[str, Any], said: str) -> None:
    state.endpoint.completion = lambda _body: (200, answer)
    ran = state.run()
    assert ran.code == 1
    assert ran.lines[0].startswith(f"no answer of the model can be used, 3 times; the last one: {said}: ")


def test_an_empty_answer_now_and_then_passes(state: Site) -> None:
    answers = iter([completion(""), completion(""), completion("ready")])
    state.endpoint.completion = lambda _body: (200, next(answers))
    assert state.run().code == 0


def test_errors_of_the_endpoint_are_asked_again(state: Site) -> None:
    answers = iter(
        [(500, "boom"), (503, {"error": "overloaded"}), (404, "no route"), (429, "slow"), (200, completion("x"))]
    )
    models = iter([(500, "boom"), (200, {"data": []}), (200, "no json"), *[(200, {"data": [{"id": o.MODEL}]})] * 9])
    state.endpoint.models, state.endpoint.completion = lambda: next(models), lambda _body: next(answers)
    assert state.run().code == 0


def test_a_model_that_is_not_listed_is_named_at_the_deadline(state: Site) -> None:
    state.endpoint.models = lambda: (200, {"data": [{"id": "one"}]})
    ran = state.run(deadlineSeconds=1)
    assert ran.code == 1
    assert ran.lines[0] == (
        f"not answering after 1 s, with all pods ready; the last answer: /v1/models does not list {o.MODEL}, but one"
    )


def test_an_endpoint_that_refuses_connections_is_asked_until_the_deadline(state: Site) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    ran = state.run(deadlineSeconds=1, url=f"http://127.0.0.1:{port}")
    assert ran.lines[0].endswith(f"the last answer: GET http://127.0.0.1:{port}/v1/models: connection refused")


@pytest.mark.parametrize("slow", ["silent", "dripping"])
def test_a_slow_answer_is_bounded(state: Site, slow: str) -> None:
    def answer(_body: dict[str, Any]) -> tuple[int, Any]:
        if slow == "silent":
            time.sleep(5)
        return 200, Drip()

    state.endpoint.completion = answer
    begun = time.monotonic()
    ran = state.run(deadlineSeconds=1)
    assert time.monotonic() - begun < 6
    assert ran.lines[0].endswith("/v1/chat/completions: no answer within 1 s")


def test_a_pod_that_crashes_while_the_endpoint_is_asked_is_seen(state: Site) -> None:
    state.endpoint.completion = lambda _body: (503, "no workers")
    process = state.start()
    until(lambda: len(state.endpoint.asked) > 2)
    state.cluster.pods[-1] = o.without_node("decode", "no GPUs", name="d2")
    ran = state.finish(process)
    assert ran.lines[0] == "no node for pod d2 (decode): no GPUs"


# Failures


def test_a_failure_tells_cause_state_and_next_command(state: Site) -> None:
    state.cluster.pods[-1] = o.without_node("decode", "no nodes with enough resources", name="d2")
    ran = state.run()
    assert ran.code == 1
    assert ran.lines == [
        "no node for pod d2 (decode): no nodes with enough resources",
        "pods ready: frontend 2 of 2, prefill 1 of 1, decode 1 of 2 (1 without a node)",
        NEXT,
    ]
    assert ran.message.rstrip() in ran.log


def test_the_log_has_the_last_words_of_a_container_without_a_message(state: Site) -> None:
    ended = {"exitCode": 1, "reason": "Error"}
    state.cluster.pods[-1] = o.crashed("decode", 1, ended, name="d2")
    state.cluster.logs["d2"] = "loading\nRuntimeError: NCCL error: unhandled system error\n"

    def crash(cluster: Cluster, _request: Request) -> None:
        cluster.pods[-1]["status"]["containerStatuses"][0]["restartCount"] += 1

    state.cluster.before = crash
    ran = state.run()
    assert ran.lines[0].startswith("container main of pod d2 (decode) keeps crashing (")
    assert ran.lines[-2:] == ["RuntimeError: NCCL error: unhandled system error", NEXT]
    [asked] = [request for request in state.cluster.asked if request.path.endswith("/log")]
    assert asked.query["previous"] == ["true"]
    assert asked.query["container"] == ["main"]


def test_the_message_fits_the_termination_log(state: Site) -> None:
    long = "語" * 3000
    ended = {"exitCode": 1, "reason": "Error", "message": f"{long}\nlast {long}"}
    state.cluster.pods[-1] = o.crashed("decode", 1, ended, name="d2")

    def crash(cluster: Cluster, _request: Request) -> None:
        cluster.pods[-1]["status"]["containerStatuses"][0]["restartCount"] += 1

    state.cluster.before = crash
    ran = state.run()
    assert 3000 < len(ran.message.encode()) <= message.LIMIT
    assert ran.lines[-1] == NEXT


def test_the_deadline_says_what_was_missing(state: Site) -> None:
    state.cluster.pods[-1] = o.loading("decode")
    ran = state.run(deadlineSeconds=1)
    assert ran.code == 1
    assert ran.lines[0] == (
        "not ready after 1 s: pods ready: frontend 2 of 2, prefill 1 of 1, decode 1 of 2 (1 loading weights)"
    )


# The Kubernetes API


def test_errors_of_the_kubernetes_api_are_waited_out(state: Site) -> None:
    broken = iter([(500, "etcdserver: leader changed"), (503, "shutting down"), (429, "too many requests")] * 3)
    state.cluster.refuse = lambda _request: next(broken, None)
    assert state.run().code == 0


def test_a_token_that_is_replaced_is_read_again(state: Site) -> None:
    state.cluster.pods[-1] = o.loading("decode")
    process = state.start()
    until(lambda: len(state.cluster.asked) > 8)
    state.cluster.token = "second-token"
    (state.folder / "token").write_text("second-token")
    state.cluster.pods[-1] = o.ready("decode")
    assert state.finish(process).code == 0


def test_an_api_that_is_away_for_good_is_named_at_the_deadline(state: Site) -> None:
    state.api_port = 1
    ran = state.run(deadlineSeconds=1)
    assert ran.code == 1
    assert ran.lines[0] == "not ready after 1 s, and the Kubernetes API cannot be read: connection refused"


def test_another_authoritys_certificate_is_not_accepted(state: Site) -> None:
    with site((other := state.folder / "other", other.mkdir())[0]):
        (state.folder / "ca.crt").write_bytes((other / "ca.crt").read_bytes())
    ran = state.run(deadlineSeconds=1)
    assert ran.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in ran.lines[0]
    assert not state.cluster.asked


@pytest.mark.parametrize("status", [401, 403])
def test_what_the_role_does_not_allow_is_named_soon(state: Site, status: int) -> None:
    words = 'pods is forbidden: User "system:serviceaccount:serving:readiness-check" cannot list resource "pods"'
    state.cluster.refuse = lambda request: (status, words) if request.path.endswith("/pods") else None
    ran = state.run()
    assert ran.code == 1
    assert ran.lines[0] == f"the check lacks permission to read what it needs: {words}"


def test_a_role_that_comes_late_is_waited_for(state: Site) -> None:
    refused = iter([(403, "forbidden")] * 4)
    state.cluster.refuse = lambda _request: next(refused, None)
    assert state.run().code == 0


def test_an_api_server_that_restarts_is_waited_for_and_what_was_seen_stays_told(state: Site) -> None:
    """It is away, and then forbids everything until it has read its roles (seen on Kubernetes 1.34.4)."""
    state.cluster.pods[-1] = o.loading("decode")
    process = state.start()
    until(lambda: len(state.cluster.shown) == 1)
    state.cluster.refuse = lambda request: (403, "pods is forbidden") if request.method == "GET" else None
    until(lambda: len(state.cluster.shown) == 2)
    state.cluster.pods[-1] = o.ready("decode")
    state.cluster.refuse = lambda _request: None
    assert state.finish(process).code == 0
    assert "decode 1 of 2 (1 loading weights); the Kubernetes API says: pods is forbidden; " in state.cluster.shown[1]


def test_a_graph_that_is_not_there_is_no_error(state: Site) -> None:
    state.cluster.graph = None
    assert state.run().code == 0


def test_a_cluster_without_grove_is_no_error(state: Site) -> None:
    state.cluster.refuse = lambda request: (404, "not found") if request.path.endswith("/podcliques") else None
    assert state.run().code == 0


def test_a_cluster_without_kai_is_no_error(state: Site) -> None:
    state.cluster.groups = None
    assert state.run().code == 0


def test_the_message_of_the_gang_is_read(state: Site) -> None:
    state.cluster.pods = [o.unseen("decode", name="d1", group="r1-0")]
    state.cluster.groups = [o.pod_group("r1-0", "OverLimit: the queue has no more GPUs")]
    assert state.run().lines[0] == "no node for pod d1 (decode): OverLimit: the queue has no more GPUs"


CONVERSION = (
    "conversion webhook for nvidia.com/v1beta1, Kind=DynamoGraphDeployment failed: Post "
    '"https://dynamo-platform-webhook-service.dynamo-cloud.svc:443/convert?timeout=30s": '
    'service "dynamo-platform-webhook-service" not found'
)
V1BETA1 = f"/apis/nvidia.com/v1beta1/namespaces/{o.NAMESPACE}/dynamographdeployments/{o.DEPLOYMENT}"


@pytest.mark.parametrize("silent", [False, True], ids=["away", "not answering"])
def test_a_conversion_webhook_that_is_away_does_not_hide_the_graph(state: Site, silent: bool) -> None:
    """N16: the version that is not stored cannot be read, the other can."""

    def refuse(request: Request) -> tuple[int, str] | None:
        if "/v1alpha1/" not in request.path or "dynamographdeployments" not in request.path:
            return None
        if silent:
            time.sleep(0.4)
        return 500, CONVERSION

    state.cluster.pods, state.cluster.refuse = [], refuse
    state.cluster.more[V1BETA1] = o.graph("failed", "queue 'x' not found")
    ran = state.run(bounds=FAST | {"api_request": 0.2 if silent else 1.0})
    assert ran.lines[0] == "the graph r1 is failed: queue 'x' not found"


def test_a_graph_that_cannot_be_read_at_all_does_not_end_the_wait(state: Site) -> None:
    state.cluster.refuse = lambda request: (500, CONVERSION) if "dynamographdeployments" in request.path else None
    assert state.run().code == 0


def test_it_asks_for_nothing_that_its_rules_do_not_allow(state: Site) -> None:
    state.cluster.pods = [o.crashed("decode", 1, {"exitCode": 1})]

    def crash(cluster: Cluster, _request: Request) -> None:
        # only once both lines of the log were written
        if cluster.shown:
            cluster.pods[1:] = [o.gated("prefill")]
        if len(cluster.shown) > 1:
            cluster.pods[0]["status"]["containerStatuses"][0]["restartCount"] += 1

    state.cluster.before = crash
    state.run()
    verbs = {"GET": "list", "POST": "create", "PATCH": "patch"}
    used: set[tuple[str, str, str]] = set()
    for request in state.cluster.asked:
        before, after = request.path.split(f"/namespaces/{o.NAMESPACE}/")
        group = before.split("/")[2] if before.startswith("/apis") else ""
        kind, *name = after.split("/")
        if request.method == "GET" and name:
            used.add((group, "/".join([kind, *name[1:]]), "get"))
        else:
            used.add((group, kind, verbs[request.method]))
    allowed = {
        (group, kind, verb)
        for rule in package.RULES
        for group in rule["api_groups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }
    assert used == allowed


# Progress


def test_each_change_is_one_line_of_the_log_and_of_one_event_on_the_job(state: Site) -> None:
    state.cluster.pods = [o.gated("decode")]
    process = state.start()
    until(lambda: len(state.cluster.shown) == 1)
    state.cluster.pods = [*o.all_ready()[:3], o.loading("decode"), o.loading("decode")]
    until(lambda: len(state.cluster.shown) == 2)
    until(lambda: len(state.cluster.asked) > 40)
    state.cluster.pods = o.all_ready()
    ran = state.finish(process)
    assert ran.code == 0
    assert state.cluster.shown == [line for line in ran.log.splitlines() if "min left" in line]
    assert state.cluster.shown[0] == (
        "pods ready: frontend 0 of 2 (2 not created yet), prefill 0 of 1 (1 not created yet), "
        "decode 0 of 2 (1 waiting for the gang, 1 not created yet); 0 h 00 min left"
    )
    assert "decode 0 of 2 (2 loading weights)" in state.cluster.shown[1]
    [event] = state.cluster.events.values()
    assert event["type"] == "Warning"
    assert event["involvedObject"] == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": "readiness-check",
        "namespace": "serving",
        "uid": "job-uid",
    }
    assert event["count"] == len(state.cluster.shown) >= 2


def test_lines_keep_their_distance(state: Site) -> None:
    def change(cluster: Cluster, _request: Request) -> None:
        cluster.pods[-1] = o.loading("decode") if time.monotonic() % 0.5 < 0.25 else o.gated("decode")

    state.cluster.before = change
    ran = state.run(deadlineSeconds=3, bounds=FAST | {"progress": 1.0, "poll": 0.1})
    assert 2 <= len([line for line in ran.log.splitlines() if "min left" in line]) <= 4


def test_an_event_that_has_lived_its_hour_is_made_again(state: Site) -> None:
    state.cluster.pods[-1] = o.gated("decode")
    process = state.start()
    until(lambda: len(state.cluster.events) == 1)
    state.cluster.events.clear()
    state.cluster.pods[-1] = o.loading("decode")
    until(lambda: len(state.cluster.events) == 1)
    state.cluster.pods[-1] = o.ready("decode")
    assert state.finish(process).code == 0


def test_an_event_that_cannot_be_written_stops_nothing(state: Site) -> None:
    state.cluster.refuse = lambda request: (403, "events is forbidden") if request.method != "GET" else None
    state.cluster.pods[-1] = o.gated("decode")
    process = state.start()
    until(lambda: len(state.cluster.asked) > 20)
    state.cluster.pods[-1] = o.loading("decode")
    until(lambda: len(state.cluster.asked) > 40)
    state.cluster.pods[-1] = o.ready("decode")
    ran = state.finish(process)
    assert ran.code == 0
    assert ran.log.count("the progress event cannot be written: events is forbidden") == 1


# The process


def test_a_stopped_check_says_what_it_waited_for(state: Site) -> None:
    state.cluster.pods[-1] = o.loading("decode")
    process = state.start()
    until(lambda: len(state.cluster.shown) == 1)
    ran = state.stop(process)
    assert ran.code == 1
    assert ran.lines[0].startswith("stopped after ")
    assert ran.lines[0].endswith("pods ready: frontend 2 of 2, prefill 1 of 1, decode 1 of 2 (1 loading weights)")
    assert ran.lines[-1] == NEXT
    assert "Traceback" not in ran.log


def test_a_check_that_is_stopped_in_the_middle_of_a_question_ends_at_once(state: Site) -> None:
    def silent(_body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(3)
        return 200, ""

    state.endpoint.completion = silent
    process = state.start(bounds=FAST | {"completion_request": 60})
    until(lambda: len(state.endpoint.asked) == 1)
    begun = time.monotonic()
    ran = state.stop(process)
    assert time.monotonic() - begun < 2
    assert ran.code == 1
    assert ran.lines[0].startswith("stopped after ")


def test_a_faulty_configuration_is_a_message(state: Site) -> None:
    ran = state.run(url="nowhere")
    assert ran.code == 1
    assert ran.lines[0] == "the readiness check cannot begin: url: must be http://host:port, is 'nowhere'"
    assert "Traceback" not in ran.log


def test_a_fault_of_the_check_itself_is_a_message_and_a_traceback_in_the_log(
    state: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fault(_config: Config) -> Reply:
        raise KeyError("choices")

    monkeypatch.setattr(endpoint, "ask", fault)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(state.api_port))
    config, written = state.folder / "check.json", state.folder / "termination-log"
    config.write_text(json.dumps(state.configuration()))
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = main([str(config), "--service-account", str(state.folder), "--termination-log", str(written)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 1
    assert written.read_text().splitlines()[0] == "the readiness check itself broke: KeyError: 'choices'"
    assert "Traceback" not in written.read_text()
    assert "Traceback" in capsys.readouterr().out


def test_without_a_termination_log_the_exit_code_and_the_log_remain(state: Site) -> None:
    (state.folder / "termination-log").mkdir()
    process = state.start()
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "the termination message cannot be written" in log

"""What the check says of each state, and how long it believes that the state passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness import verdict
from readiness.config import Bounds
from readiness.endpoint import Reply, judge_completion
from readiness.snapshot import Snapshot
from readiness.web import Answer
from tests.readiness import objects as o
from tests.readiness.time_passes import End, hold, retried, unchanged

HOUR = 3600.0
KAI = "PodSchedulingErrors: Resources were not found for pod serving/r1-0-prefill-x due to: "
NO_GPUS = "no nodes with enough resources were found: 2 node(s) didn't have enough resources: GPUs. \nanother line."
WHOLE = o.config()


def failed(end: End) -> verdict.Failed:
    assert isinstance(end.verdict, verdict.Failed), end
    return end.verdict


def waits(state: Snapshot, seconds: float = HOUR, **more: Any) -> verdict.Waiting:
    end = hold(WHOLE, state, seconds, **more)
    assert isinstance(end.verdict, verdict.Waiting), end
    return end.verdict


def judge(state: Snapshot) -> verdict.Verdict:
    return verdict.judge(WHOLE, state, verdict.Memory.begin(0.0, o.NOW), 0.0)[0]


# What it waits for


def test_all_pods_ready_and_new_is_ready() -> None:
    assert isinstance(judge(o.state(o.all_ready())), verdict.PodsReady)


@pytest.mark.parametrize("status", ["pending", "failed", ""])
def test_the_graphs_status_does_not_matter_once_all_pods_are_as_wanted(status: str) -> None:
    assert isinstance(judge(o.state(o.all_ready(), of=o.graph(status, "desired=5, available=4"))), verdict.PodsReady)


def test_a_graph_that_says_successful_is_not_ready_while_a_pod_is_missing() -> None:
    waits(o.state([*o.all_ready()[:-1], o.loading("decode")], of=o.graph("successful")))


def test_a_role_without_any_pod_is_missed() -> None:
    """Counting what exists is no gate: a refused roll has all its pods ready, and no decode."""
    found = judge(o.state(o.all_ready()[:3]))
    assert isinstance(found, verdict.Waiting)
    assert "decode 0 of 2 (2 not created yet)" in found.line


def test_a_pod_of_another_template_keeps_it_waiting_until_it_is_gone() -> None:
    for old in (o.ready("frontend", template="old"), o.ending(o.ready("frontend", template="old"))):
        found = judge(o.state([*o.all_ready(), old]))
        assert isinstance(found, verdict.Waiting)
        assert "1 with an outdated template left" in found.line


def test_a_pod_without_the_annotation_is_one_of_another_template() -> None:
    old = o.ready("frontend")
    del old["metadata"]["annotations"]
    assert isinstance(judge(o.state([*o.all_ready(), old])), verdict.Waiting)


def test_a_pod_of_a_role_that_is_not_wanted_any_more_keeps_it_waiting() -> None:
    assert isinstance(judge(o.state([*o.all_ready(), o.ready("planner")])), verdict.Waiting)


def test_an_old_pod_that_is_over_has_no_processes_and_does_not_count() -> None:
    over = o.pod("frontend", template="old", phase="Failed", reason="Evicted")
    assert isinstance(judge(o.state([*o.all_ready(), over])), verdict.PodsReady)


def test_a_ready_pod_that_is_being_deleted_does_not_count_as_ready() -> None:
    pods = [*o.all_ready()[:-1], o.ending(o.ready("decode"))]
    found = judge(o.state(pods))
    assert isinstance(found, verdict.Waiting)
    assert "decode 1 of 2 (1 not created yet); 1 terminating" in found.line.replace("prefill 1 of 1, ", "")


def test_a_pod_that_is_over_does_not_count_as_ready() -> None:
    over = o.ready("decode")
    over["status"] |= {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], over]), HOUR)
    assert failed(end).cause.startswith("no progress: decode has 1 of 2 pods")
    assert "has terminated: Failed: Evicted: The node was low on resource: memory." in failed(end).words


def test_more_pods_than_wanted_are_given_time_to_go_and_then_accepted() -> None:
    end = hold(WHOLE, o.state([*o.all_ready(), o.ready("prefill")]), HOUR)
    assert isinstance(end.verdict, verdict.PodsReady)
    assert end.at == WHOLE.bounds.settling
    assert "prefill 2 of 1 (1 more than wanted)" in end.verdict.line


def test_pods_that_grove_is_about_to_replace_are_given_time_to_go_and_then_accepted() -> None:
    state = o.state(o.all_ready(), cliques=[o.clique("prefill", 1, grove_hash="g2")])
    end = hold(WHOLE, state, HOUR)
    assert isinstance(end.verdict, verdict.PodsReady)
    assert end.at == WHOLE.bounds.settling


def test_the_time_to_settle_counts_from_the_last_moment_in_which_a_pod_was_missing() -> None:
    """Else a roll that takes longer than that is called ready between two of its steps."""
    between = o.state(o.all_ready(), cliques=[o.clique("prefill", 1, grove_hash="g2")])
    during = o.state([*o.all_ready()[:-1], o.loading("decode")], cliques=[o.clique("prefill", 1, grove_hash="g2")])
    memory = verdict.Memory.begin(0.0, o.NOW)
    for second in range(0, 3000, 5):
        state = between if second % 600 == 595 else during
        found, memory = verdict.judge(WHOLE, state, memory, float(second))
        assert isinstance(found, verdict.Waiting)


def test_pods_that_load_are_waited_for_until_the_deadline() -> None:
    config = replace(WHOLE, deadline=3 * 3600)
    state = o.state([*o.all_ready()[:3], o.loading("decode"), o.loading("decode")])
    end = hold(config, state, 4 * HOUR)
    assert end.at == 3 * 3600
    assert failed(end).cause == (
        "not ready after 180 min: pods ready: frontend 2 of 2, prefill 1 of 1, decode 0 of 2 (2 loading weights)"
    )


def test_a_pod_that_does_not_end_is_named_at_the_deadline() -> None:
    old = o.ending(o.ready("decode", template="old", name="d9"))
    end = hold(replace(WHOLE, deadline=60), o.state([*o.all_ready(), old]), HOUR)
    assert failed(end).cause.endswith("; 1 with an outdated template left, 1 of them terminating")
    assert failed(end).words == "d9 is being deleted and has not terminated"


# When it fails: no node


def test_a_pod_without_a_node_fails_after_the_bound_and_names_the_pod_that_has_no_place() -> None:
    pods = [
        o.without_node("decode", KAI + NO_GPUS + "."),
        o.without_node("frontend", "no nodes with enough resources were found: 1 node(s) didn't match Pod's affinity"),
        o.without_node("frontend", KAI + NO_GPUS + "."),
        o.without_node("prefill", NO_GPUS, name="r1-0-prefill-x"),
    ]
    end = hold(WHOLE, o.state(pods), HOUR)
    assert end.at == WHOLE.unschedulable == 600
    assert failed(end).cause == (
        "no node for pod r1-0-prefill-x (prefill): no nodes with enough resources were found: 2 node(s) didn't have "
        "enough resources: GPUs. another line. (3 more pods wait)"
    )


def test_a_pod_named_by_others_is_named_when_it_is_not_there_itself() -> None:
    end = hold(WHOLE, o.state([o.without_node("decode", KAI + "no GPUs.")]), HOUR)
    assert failed(end).cause == "no node for pod r1-0-prefill-x: no GPUs."


def test_the_bound_of_the_program_is_used() -> None:
    config = replace(WHOLE, unschedulable=1800)
    assert hold(config, o.state([o.without_node("decode", NO_GPUS)]), HOUR).at == 1800


def test_a_surplus_replica_without_a_node_fails_though_all_else_is_ready() -> None:
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], o.without_node("decode", NO_GPUS, name="d2")]), HOUR)
    assert failed(end).cause.startswith("no node for pod d2 (decode): ")


def test_each_pod_has_its_own_time_without_a_node() -> None:
    """In a roll one pod after the other waits for the node that its predecessor still holds."""
    memory = verdict.Memory.begin(0.0, o.NOW)
    states = [o.state([*o.all_ready()[:-1], o.without_node("decode", NO_GPUS)]) for _ in range(10)]
    for second in range(0, 5000, 5):
        found, memory = verdict.judge(WHOLE, states[second // 500], memory, float(second))
        assert isinstance(found, verdict.Waiting)


def test_a_pod_that_no_scheduler_looks_at_is_reported_as_such() -> None:
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], o.unseen("decode", name="d2")]), HOUR)
    assert end.at == 600
    assert failed(end).cause == "pod d2 (decode) has not been considered by its scheduler kai-scheduler"


def test_gated_pods_wait_for_their_gang_without_a_bound() -> None:
    """Later prefill replicas stay gated until the base gang is ready, which may load for an hour."""
    waits(o.state([*o.all_ready()[:3], o.loading("decode"), o.gated("decode")]), 2 * HOUR)


# When it fails: pods that cannot be created


REFUSAL = (
    "pods \"r1-0-decode-x\" is forbidden: ValidatingAdmissionPolicy 'no-decode' with binding 'no-decode' denied "
    "request: privileged containers are not allowed in this namespace"
)


def test_a_refused_pod_fails_with_the_api_servers_words() -> None:
    cliques = [o.clique("decode", 2, errors=[o.create_error("decode", REFUSAL)])]
    end = hold(WHOLE, o.state([o.gated("frontend"), o.gated("prefill")], cliques=cliques), HOUR)
    assert failed(end).cause == f"pods of decode cannot be created (0 of 2 exist): {REFUSAL}"
    assert end.at == 60


def test_in_a_roll_only_the_api_servers_words_are_reported() -> None:
    after = "\n[Operation: Sync, Code: ERR_CONTINUE_RECONCILE_AND_REQUEUE] message: rolling update is not complete"
    cliques = [o.clique("decode", 2, errors=[o.create_error("decode", REFUSAL, after=after)])]
    assert failed(hold(WHOLE, o.state(o.all_ready()[:3], cliques=cliques), HOUR)).cause.endswith("in this namespace")


def test_the_event_alone_is_enough() -> None:
    said = f"(combined from similar events): Error creating pod : {REFUSAL}"
    events = [o.warning("r1-0-decode", "PodCreateFailed", said)]
    state = o.state([o.gated("prefill")], cliques=[o.clique("decode", 2)], events=events)
    assert failed(hold(WHOLE, state, HOUR)).cause == f"pods of decode cannot be created (0 of 2 exist): {REFUSAL}"


def test_an_error_is_not_believed_once_all_pods_exist() -> None:
    """Grove never clears it."""
    cliques = [o.clique("decode", 2, errors=[o.create_error("decode", REFUSAL, at=100)])]
    waits(o.state([*o.all_ready()[:3], o.loading("decode"), o.loading("decode")], cliques=cliques))


def test_an_error_is_not_believed_once_a_pod_was_made_after_it() -> None:
    """A roll weeks later takes pods away again, and the old words are still there."""
    cliques = [o.clique("decode", 2, errors=[o.create_error("decode", REFUSAL, at=-1e6)])]
    waits(o.state([*o.all_ready()[:3], o.loading("decode"), o.ending(o.ready("decode"))], cliques=cliques))


def test_an_error_that_is_not_renewed_is_only_believed_when_a_new_attempt_is_overdue() -> None:
    """The policy was removed before this run; Grove's pause between attempts has grown to a quarter of an hour."""
    cliques = [o.clique("decode", 2, errors=[o.create_error("decode", REFUSAL)])]
    state = o.state([o.gated("frontend"), o.gated("prefill")], cliques=cliques)
    end = hold(WHOLE, state, HOUR, unchanged)
    assert failed(end).cause.endswith("in this namespace")
    assert end.at == WHOLE.bounds.unseen_attempt + WHOLE.bounds.refused


def test_a_webhook_that_does_not_answer_is_given_time_to_come_back() -> None:
    words = (
        'Internal error occurred: failed calling webhook "pods.kai.scheduler": failed to call webhook: Post '
        '"https://admission.kai-scheduler.svc:443/mutate": dial tcp 10.0.0.41:443: connect: connection refused'
    )
    cliques = [o.clique("decode", 2, errors=[o.create_error("decode", words)])]
    state = o.state([o.gated("frontend"), o.gated("prefill")], cliques=cliques)
    waits(state, 890)
    end = hold(WHOLE, state, HOUR)
    assert end.at == WHOLE.bounds.webhook == 900
    assert failed(end).cause.endswith("connection refused")


# When it fails: images


NOT_FOUND = (
    'failed to pull and unpack image "nvcr.io/nvidia/x:1": failed to resolve reference "nvcr.io/nvidia/x:1": '
    "nvcr.io/nvidia/x:1: not found"
)
BACK_OFF = 'Back-off pulling image "nvcr.io/nvidia/x:1"'


@pytest.mark.parametrize(
    "words",
    [
        NOT_FOUND,
        "unexpected status from HEAD request: 401 Unauthorized",
        "denied: requested access to the resource is denied",
    ],
)
def test_an_image_that_the_registry_refuses_fails_within_minutes(words: str) -> None:
    pod = o.waiting("decode", "ErrImagePull", words, name="d2")
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], pod]), HOUR)
    assert failed(end).cause == f"image {o.IMAGE} of pod d2 (decode) cannot be pulled: {words}"
    assert end.at == WHOLE.bounds.image == 180


def test_back_off_and_failed_pull_are_one_trouble() -> None:
    """The kubelet alternates between the two, and each tells the text in its own way."""
    pod = o.waiting("decode", "ImagePullBackOff", f"{BACK_OFF}: ErrImagePull: {NOT_FOUND}", name="d2")
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], pod]), HOUR)
    assert failed(end).cause == f"image {o.IMAGE} of pod d2 (decode) cannot be pulled: ErrImagePull: {NOT_FOUND}"
    assert end.at == 180


def test_a_back_off_without_text_takes_it_from_the_event() -> None:
    pod = o.waiting("decode", "ImagePullBackOff", BACK_OFF, name="d2")
    events = [o.warning("d2", "Failed", f'Failed to pull image "nvcr.io/nvidia/x:1": {NOT_FOUND}')]
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], pod], events=events), HOUR)
    assert NOT_FOUND in failed(end).cause
    assert end.at == 180


def test_a_registry_that_does_not_answer_is_given_more_time() -> None:
    pod = o.waiting("decode", "ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout")
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], pod]), HOUR)
    assert end.at == WHOLE.bounds.registry == 900


def test_a_pull_that_was_repaired_before_this_run_is_given_its_time() -> None:
    """The kubelet waits up to 300 s, pulls for ten minutes, and shows the old words until the image is there."""
    pod = o.waiting("decode", "ImagePullBackOff", f"{BACK_OFF}: ErrImagePull: {NOT_FOUND}")
    waits(o.state([*o.all_ready()[:-1], pod]), 1700, change=unchanged)
    assert hold(WHOLE, o.state([*o.all_ready()[:-1], pod]), HOUR, unchanged).at == WHOLE.bounds.unseen_pull


# When it fails: crashes


TRACEBACK = (
    "Traceback (most recent call last):\n  File main.py, line 88, in worker\n"
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB."
)


def test_a_container_that_keeps_crashing_fails_with_its_last_words() -> None:
    end = {"exitCode": 1, "reason": "Error", "message": TRACEBACK}
    found = hold(WHOLE, o.state([*o.all_ready()[:-1], o.crashed("decode", 1, end, name="d2")]), HOUR)
    assert failed(found).cause == (
        "container main of pod d2 (decode) keeps crashing (4 times, exit code 1): "
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB."
    )
    assert TRACEBACK in failed(found).words
    assert failed(found).log_of is None


def test_between_two_crashes_it_is_reported_as_well() -> None:
    end = {"exitCode": 1, "reason": "Error", "message": TRACEBACK}
    found = hold(WHOLE, o.state([*o.all_ready()[:-1], o.crashed("decode", 2, end, state=o.RUNNING)]), HOUR)
    assert "keeps crashing" in failed(found).cause


def test_a_kill_for_memory_is_named_and_its_log_asked_for() -> None:
    end = {"exitCode": 137, "reason": "OOMKilled"}
    found = hold(WHOLE, o.state([*o.all_ready()[:-1], o.crashed("decode", 1, end, name="d2")]), HOUR)
    assert failed(found).cause == "container main of pod d2 (decode) keeps crashing (4 times, OOMKilled, exit code 137)"
    assert failed(found).log_of == ("d2", "main")


def test_one_crash_is_not_the_end() -> None:
    """A container that once ended and now loads: the weights take longer than any pause between crashes."""
    end = {"exitCode": 1, "reason": "Error"}
    crashed = o.crashed("decode", 1, end, state=o.RUNNING)
    waits(o.state([*o.all_ready()[:-1], crashed]), 2 * HOUR, change=unchanged)


def test_the_number_of_crashes_is_a_bound() -> None:
    crashing = o.state([*o.all_ready()[:-1], o.crashed("decode", 1, {"exitCode": 1})])
    for crashes in (3, 5):
        end = hold(o.config(Bounds(crashes=crashes)), crashing, HOUR)
        assert f"({crashes if crashes == 5 else 4} times" in failed(end).cause
        assert end.at == (180 if crashes == 3 else 240)


def test_crashes_from_before_this_run_do_not_count_alone() -> None:
    """What made them was repaired, and the container loads for an hour."""
    crashed = o.crashed("decode", 12, {"exitCode": 1, "reason": "Error"}, state=o.RUNNING)
    waits(o.state([*o.all_ready()[:-1], crashed]), 2 * HOUR, change=unchanged)


def test_a_crash_of_a_pod_that_is_ready_again_is_forgotten() -> None:
    back = o.ready("decode")
    back["status"]["containerStatuses"][0]["restartCount"] = 5
    assert isinstance(judge(o.state([*o.all_ready()[:-1], back])), verdict.PodsReady)


def test_a_finished_init_container_did_not_crash() -> None:
    pod = o.loading("decode")
    done = {"name": "init", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    pod["status"]["initContainerStatuses"] = [done]
    waits(o.state([*o.all_ready()[:-1], pod]))


def test_an_init_container_that_keeps_crashing_is_reported() -> None:
    pod = o.pod("decode", name="d2")
    pod["status"]["initContainerStatuses"] = [
        {
            **o.container({"waiting": {"reason": "CrashLoopBackOff"}}, restarts=1, last={"exitCode": 2}),
            "name": "sidecar",
        }
    ]
    found = hold(WHOLE, o.state([*o.all_ready()[:-1], pod]), HOUR)
    assert failed(found).cause.startswith("container sidecar of pod d2 (decode) keeps crashing")


def test_a_container_that_cannot_be_made_fails_within_minutes() -> None:
    pod = o.waiting("decode", "CreateContainerConfigError", 'secret "hf-token-secret" not found', name="d2")
    end = hold(WHOLE, o.state([*o.all_ready()[:-1], pod]), HOUR)
    assert failed(end).cause == (
        'container main of pod d2 (decode) cannot start: CreateContainerConfigError: secret "hf-token-secret" not found'
    )
    assert end.at == WHOLE.bounds.container


# When it fails: the graph


def test_a_failed_graph_that_waits_for_a_person_fails_after_a_minute() -> None:
    words = "kai-scheduler queue validation failed: queue 'no-such-queue' not found in cluster"
    end = hold(WHOLE, o.state([], of=o.graph("failed", words)), HOUR, started_at=o.NOW)
    assert failed(end).cause == f"the graph r1 is failed: {words}"
    assert end.at == 60


def test_a_webhook_that_the_operator_cannot_reach_passes() -> None:
    words = 'Internal error occurred: failed calling webhook "pcs.defaulting.webhooks.grove.io": connection refused'
    end = hold(WHOLE, o.state([], of=o.graph("failed", words)), HOUR, started_at=o.NOW)
    assert end.at == WHOLE.bounds.stalled
    assert failed(end).cause.startswith("no progress: ")
    assert words in failed(end).cause


def test_another_message_of_the_graph_begins_another_minute() -> None:
    memory = verdict.Memory.begin(0.0, o.NOW)
    for second in range(0, 300, 5):
        state = o.state([], of=o.graph("failed", f"denied the request: {second // 50}"))
        found, memory = verdict.judge(WHOLE, state, memory, float(second))
        assert isinstance(found, verdict.Waiting)


def test_a_failed_graph_is_no_failure_while_pods_make_progress() -> None:
    memory = verdict.Memory.begin(0.0, o.NOW)
    pods = o.all_ready()
    for second in range(0, 250, 5):
        count = second // 50
        state = o.state(
            [*pods[:count], *[o.loading("decode")] * (5 - count)], of=o.graph("failed", "denied the request")
        )
        found, memory = verdict.judge(WHOLE, retried(state, float(second)), memory, float(second))
        assert isinstance(found, verdict.Waiting)


def test_a_graph_that_failed_long_before_this_run_is_given_time_for_the_next_attempt() -> None:
    """The queue was made before this run; the operator tries again when it has failed about as long again."""
    state = o.state([], of=o.graph("failed", "queue 'x' not found", observed=2))
    assert hold(WHOLE, state, HOUR, unchanged, started_at=o.NOW + 400).at == 400
    assert hold(WHOLE, state, HOUR, unchanged, started_at=o.NOW + 5).at == 60
    most = WHOLE.bounds.stalled  # nothing moves at all
    assert hold(WHOLE, state, HOUR, unchanged, started_at=o.NOW + 90000).at == most


# When it fails: nobody acts


def test_an_old_pod_that_nobody_replaces_fails_after_a_quarter_of_an_hour() -> None:
    """The operator is down, or Grove has ended a roll halfway (an exact revert on alpha.8)."""
    pods = [*o.all_ready()[:-1], o.ready("decode", template="old", name="d2")]
    end = hold(WHOLE, o.state(pods), HOUR)
    assert end.at == 900
    assert failed(end).cause == (
        "no progress: decode has 1 of 2 pods, 1 with an outdated template is left (d2), and no pod is being "
        "created, changed or removed; is the Dynamo operator running, and Grove?"
    )


def test_an_old_pod_that_ends_is_waited_for() -> None:
    waits(o.state([*o.all_ready(), o.ending(o.ready("decode", template="old"))]), 2 * HOUR)


# Progress


@pytest.mark.parametrize(
    ("pod", "doing"),
    [
        (o.gated("decode"), "1 waiting for the gang"),
        (o.unseen("decode"), "1 not scheduled yet"),
        (o.without_node("decode", NO_GPUS), "1 without a node"),
        (o.waiting("decode", "ContainerCreating"), "1 pulling images and mounting"),
        (o.waiting("decode", "ErrImagePull"), "1 without an image"),
        (o.loading("decode"), "1 loading weights"),
        (o.crashed("decode", 1, {"exitCode": 1}), "1 crashed"),
        (o.crashed("decode", 1, {"exitCode": 1}, state=o.RUNNING), "1 loading weights after a crash"),
    ],
)
def test_the_line_says_what_each_pod_is_at(pod: dict[str, Any], doing: str) -> None:
    assert judge(o.state([*o.all_ready()[:-1], pod])).line == (
        f"pods ready: frontend 2 of 2, prefill 1 of 1, decode 1 of 2 ({doing})"
    )


def test_the_line_says_why_a_pod_does_not_start() -> None:
    pod = o.waiting("decode", "ContainerCreating", name="d2")
    events = [o.warning("d2", "FailedMount", "configmap not found"), o.warning("d2", "Unhealthy", "probe", at=9)]
    assert judge(o.state([*o.all_ready()[:-1], pod], events=events)).line.endswith(
        "; d2: FailedMount: configmap not found"
    )


def test_one_crash_at_the_deadline_is_reported_as_one() -> None:
    pod = o.crashed("decode", 1, {"exitCode": 1}, state=o.RUNNING, name="d2")
    config = replace(WHOLE, deadline=60)
    end = hold(config, o.state([*o.all_ready()[:-1], pod]), HOUR, unchanged)
    assert failed(end).cause == "not ready after 60 s: container main of pod d2 (decode) crashed (once, exit code 1)"


# The endpoint


def evaluate_reply(*replies: Reply, bounds: Bounds | None = None) -> verdict.Found:
    config, memory = o.config(bounds), verdict.Memory.begin(0.0, o.NOW)
    found: verdict.Found = verdict.Waiting("")
    for second, reply in enumerate(replies):
        found, memory = verdict.evaluate_reply(
            config, memory, reply, verdict.PodsReady("pods ready: all"), 15.0 * second
        )
        if not isinstance(found, verdict.Waiting):
            break
    return found


def test_a_good_answer_is_the_end() -> None:
    found = evaluate_reply(Reply("later", "HTTP 503"), Reply("empty", "nothing"), Reply("good", "3 tokens"))
    assert isinstance(found, verdict.Answers)


def test_empty_answers_fail_after_some_times_with_their_reason() -> None:
    found = evaluate_reply(*[Reply("empty", 'HTTP 200 without content: {"choices":[]}')] * 8)
    assert isinstance(found, verdict.Failed)
    assert found.cause == (
        "the model gave 8 empty answers: a split NVLink domain answers 200 without content; "
        'the last answer: HTTP 200 without content: {"choices":[]}'
    )
    assert isinstance(evaluate_reply(*[Reply("empty", "")] * 7), verdict.Waiting)


def test_errors_between_empty_answers_do_not_begin_the_count_anew() -> None:
    assert isinstance(evaluate_reply(*[Reply("empty", ""), Reply("later", "HTTP 500")] * 8), verdict.Failed)


def test_errors_are_asked_again_until_the_deadline() -> None:
    found = evaluate_reply(*[Reply("later", "HTTP 503: overloaded")] * 720)
    assert isinstance(found, verdict.Waiting)
    found = evaluate_reply(*[Reply("later", "HTTP 503: overloaded")] * 722)
    assert isinstance(found, verdict.Failed)
    assert found.cause == "not answering after 180 min, with all pods ready; the last answer: HTTP 503: overloaded"


def test_a_request_that_is_refused_fails_after_some_times() -> None:
    found = evaluate_reply(*[Reply("unusable", "HTTP 400 to a completion: bad request")] * 8)
    assert isinstance(found, verdict.Failed)
    assert (
        found.cause
        == "no answer of the model can be used, 8 times; the last one: HTTP 400 to a completion: bad request"
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "unusable"),
        (401, "unusable"),
        (403, "unusable"),
        (404, "later"),  # routes and models appear one after the other, and 1.0.1 says it while decode is missing
        (408, "later"),
        (422, "unusable"),
        (429, "later"),
        (500, "later"),
        (503, "later"),
        (504, "later"),
    ],
)
def test_of_errors_only_a_faulty_request_does_not_pass(status: int, kind: str) -> None:
    assert judge_completion(Answer(status, b"{}")).kind == kind


# Warnings that healthy starts show as well


def test_harmless_warnings_are_never_told() -> None:
    name = "d2"
    pods = [*o.all_ready()[:-1], o.without_node("decode", NO_GPUS, name=name)]
    harmless = [
        o.warning(name, "PodGrouperWarning", "failed to get PodGang serving/r1-0. Err: not found", at=9),
        o.warning(name, "Unhealthy", "Startup probe failed", at=9),
        o.warning(name, "Unschedulable", "no nodes", at=9),
        o.warning("r1", "RollingUpdateNotSupported", "rolling update", at=9),
        o.warning("r1-0-decode", "AllScheduledReplicasLost", "lost", at=9),
        o.warning("r1", "UpdatePodCliqueSet", "the object has been modified", at=9),
    ]
    telling = o.warning(name, "FailedMount", 'MountVolume.SetUp failed for volume "config": not found')
    found = failed(hold(WHOLE, o.state(pods, events=[*harmless, telling]), HOUR))
    assert found.words == 'd2: FailedMount: MountVolume.SetUp failed for volume "config": not found'

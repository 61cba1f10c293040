"""A stack that serves without all its replicas: what counts, what is waited for, and when it is called degraded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness import verdict
from readiness.config import Config
from readiness.endpoint import Reply
from readiness.snapshot import Snapshot
from tests.readiness import objects as o
from tests.readiness.time_passes import End, hold, retried

HOUR = 3600.0
NO_GPUS = "no nodes with enough resources were found: 17 node(s) didn't have enough resources: GPUs."
REFUSAL = 'pods "r1-0-prefill-x" is forbidden: exceeded quota: gpus'
TRACEBACK = {"exitCode": 1, "reason": "Error", "message": "Traceback\nRuntimeError: NCCL error"}
STACK = o.config(frontend=(2, 1, 1), prefill=(3, 2, 1), decode=(1, 2, 1))
WHOLE = replace(STACK, roles={role: replace(one, minimum=0) for role, one in STACK.roles.items()})
"""The same stack where everything starts together."""
PREFILL = range(3)


def decode(make: Any = o.ready) -> list[o.Json]:
    return [make("decode", replica="0") for _ in range(2)]


def prefill(number: int, make: Any = o.ready, **more: Any) -> list[o.Json]:
    return [make("prefill", replica=str(number), **more) for _ in range(2)]


def no_node(role: str, **more: Any) -> o.Json:
    return o.without_node(role, NO_GPUS, **more)


def crashed(role: str, **more: Any) -> o.Json:
    return o.crashed(role, 1, TRACEBACK, **more)


def stack(*more: Sequence[o.Json], of: Sequence[int] = PREFILL, **others: Any) -> Snapshot:
    """Frontends, decode and these replicas of prefill are ready; the rest is `more`."""
    whole = [o.ready("frontend"), o.ready("frontend"), *decode(), *(pod for n in of for pod in prefill(n))]
    return o.state([*whole, *(pod for pods in more for pod in pods)], **others)


def degraded(end: End) -> str:
    assert isinstance(end.verdict, verdict.PodsReady), end
    assert end.verdict.degraded is not None
    return end.verdict.degraded.cause


def failed(end: End) -> str:
    assert isinstance(end.verdict, verdict.Failed), end
    return end.verdict.cause


def waits(state: Snapshot, seconds: float, **more: Any) -> str:
    end = hold(STACK, state, seconds, **more)
    assert isinstance(end.verdict, verdict.Waiting), end
    return end.verdict.line


# What counts


def test_a_stack_with_everything_is_not_degraded() -> None:
    assert hold(STACK, stack(), HOUR).verdict == verdict.PodsReady(
        "pods ready: frontend 2 of 2, prefill 6 of 6, decode 2 of 2"
    )


def test_a_replica_counts_only_when_all_its_pods_are_ready() -> None:
    """Six of six pods, and one of them belongs to a replica that is about to be removed."""
    pods = [o.ready("prefill", replica=number) for number in ("0", "0", "1", "1", "2", "7")]
    assert "7" not in waits(o.state([o.ready("frontend"), o.ready("frontend"), *decode(), *pods]), HOUR)
    halves = [[o.ready("prefill", replica=str(n)), no_node("prefill", replica=str(n))] for n in PREFILL]
    assert failed(hold(STACK, stack(*halves, of=()), HOUR)).startswith("no node for pod ")


def test_pods_without_the_number_of_their_replica_are_counted() -> None:
    pods = [*(o.ready("frontend") for _ in range(2)), *(o.ready("prefill") for _ in range(6))]
    assert isinstance(hold(STACK, o.state([*pods, *decode()]), HOUR).verdict, verdict.PodsReady)
    assert isinstance(hold(STACK, o.state([*pods[:-1], *decode()]), 60).verdict, verdict.Waiting)


# What ends degraded


@pytest.mark.parametrize(
    ("rest", "others", "cause", "at"),
    [
        (prefill(2, no_node), {}, "no node for pod r1-0-prefill-", 600),
        (prefill(2, o.unseen), {}, "pod r1-0-prefill-", 600),
        (
            [],
            {"cliques": [o.clique("prefill", 1, errors=[o.create_error("prefill", REFUSAL)], replica="2")]},
            f"pods of prefill cannot be created (0 of 1 exist): {REFUSAL}",
            60,
        ),
        ([], {"of": o.graph("failed", "denied the request")}, "the graph r1 is failed: denied", 60),
        ([], {}, "no progress: prefill has 4 of 6 pods", 900),
    ],
    ids=["no node", "no scheduler", "refused", "graph failed", "not made"],
)
def test_a_replica_beyond_the_minimum_that_never_comes_is_reported_and_no_failure(
    rest: list[o.Json], others: dict[str, Any], cause: str, at: float
) -> None:
    pods = [o.ready("frontend"), o.ready("frontend"), *decode(), *prefill(0), *prefill(1), *rest]
    state = o.state(pods, **others)
    end = hold(STACK, state, HOUR)
    assert degraded(end).startswith(f"degraded: prefill 2 of 3 replicas: {cause}")
    assert end.at == at
    # a symptom fails a stack that needs everything, at the same moment
    whole = hold(WHOLE, state, HOUR)
    assert failed(whole).startswith(cause)
    assert whole.at == at


def test_the_words_of_what_crashed_are_told() -> None:
    end = hold(STACK, stack(prefill(2, crashed), of=(0, 1)), HOUR)
    assert degraded(end).startswith("degraded: prefill 2 of 3 replicas: container main of pod r1-0-prefill-")
    assert isinstance(end.verdict, verdict.PodsReady)
    assert end.verdict.degraded
    assert end.verdict.degraded.words.startswith("Traceback")


def test_a_frontend_that_is_missing_is_degraded() -> None:
    pods = [o.ready("frontend"), o.waiting("frontend", "ErrImagePull", "not found"), *decode()]
    end = hold(STACK, o.state([*pods, *(pod for n in PREFILL for pod in prefill(n))]), HOUR)
    assert degraded(end).startswith("degraded: frontend 1 of 2 replicas: image ")


def test_all_roles_that_are_short_are_named() -> None:
    pods = [
        o.ready("frontend"),
        no_node("frontend"),
        *decode(),
        *prefill(0),
        *prefill(1, no_node),
        *prefill(2, no_node),
    ]
    assert degraded(hold(STACK, o.state(pods), HOUR)).startswith(
        "degraded: frontend 1 of 2 replicas, prefill 1 of 3 replicas: no node for pod "
    )


def test_a_replica_that_may_still_come_is_waited_for_beside_one_that_does_not() -> None:
    """One has no node, another loads: an end now would report two as missing."""
    for other in (o.loading, o.gated, o.pod):
        line = waits(stack(prefill(1, other), prefill(2, no_node), of=(0,)), 2 * HOUR)
        assert line.endswith(f"; {verdict.MINIMUM}")
    assert "2 not created yet" in waits(stack(prefill(2, no_node), of=(0,)), 800)


def test_at_the_deadline_the_minimum_is_enough() -> None:
    state = stack(prefill(2, o.loading), of=(0, 1))
    end = hold(replace(STACK, deadline=1800), state, HOUR)
    assert end.at == 1800
    assert degraded(end) == (
        "degraded: prefill 2 of 3 replicas: not ready after 30 min: pods ready: frontend 2 of 2, prefill 4 of 6 "
        "(2 loading weights), decode 2 of 2"
    )
    assert failed(hold(replace(WHOLE, deadline=1800), state, HOUR)).startswith("not ready after 30 min")


def test_symptoms_that_a_stack_recovers_from_are_forgotten() -> None:
    """The node comes back: everything is waited for, and the stack is whole."""
    memory = verdict.Memory.begin(0.0, o.NOW)
    gone, back = stack(prefill(2, no_node), of=(0, 1)), stack(prefill(2, o.loading), of=(0, 1))
    found: verdict.Verdict = verdict.Waiting("")
    for second in range(0, 900, 5):
        found, memory = verdict.judge(STACK, gone, memory, float(second))
    assert isinstance(found, verdict.PodsReady)
    assert found.degraded
    found, memory = verdict.judge(STACK, back, memory, 905.0)
    assert isinstance(found, verdict.Waiting)
    assert verdict.judge(STACK, stack(), memory, 910.0)[0] == verdict.PodsReady(
        "pods ready: frontend 2 of 2, prefill 6 of 6, decode 2 of 2"
    )


# What fails


def test_without_its_minimum_a_stack_fails_with_the_reason_of_the_role_that_lacks() -> None:
    end = hold(STACK, o.state([o.ready("frontend"), o.ready("frontend"), *decode(no_node), *prefill(0)]), HOUR)
    assert failed(end).startswith("no node for pod r1-0-decode-")
    assert end.at == 600
    both = [o.ready("frontend"), o.ready("frontend"), *prefill(0), *prefill(1), *prefill(2, crashed), *decode(no_node)]
    assert failed(hold(STACK, o.state(both), HOUR)).startswith("no node for pod r1-0-decode-")


def test_a_replica_beyond_the_minimum_without_a_node_does_not_end_the_loading_of_the_rest() -> None:
    """Decode loads for half an hour, and one node is dead from the beginning."""
    pods = [o.ready("frontend"), o.ready("frontend"), *prefill(0, o.loading), *prefill(1, o.loading)]
    waits(o.state([*pods, *prefill(2, no_node), *decode(o.loading)]), 2 * HOUR)


def test_with_the_first_gang_lost_those_that_wait_for_it_are_lost_too() -> None:
    """Else the image of prefill, which cannot be pulled, is reported after three hours."""
    pull = o.waiting("prefill", "ErrImagePull", "not found", replica="0")
    pods = [o.ready("frontend"), o.ready("frontend"), *decode(o.loading), pull, *prefill(1, o.gated)]
    end = hold(STACK, o.state([*pods, *prefill(2, o.gated)]), HOUR)
    assert failed(end).startswith("image ")
    assert end.at == STACK.bounds.image == 180


def test_pods_that_wait_for_their_gang_for_a_moment_are_not_lost() -> None:
    """In a roll each new pod does, while the replica on the dead node has been without one for long."""
    memory = verdict.Memory.begin(0.0, o.NOW)
    beside = [o.ready("frontend"), o.ready("frontend"), *prefill(2, no_node)]
    rolling = o.state([*beside, *decode(o.loading), *prefill(0, o.loading)])
    moment = o.state([*beside, *decode(o.gated), *prefill(0, o.gated), *prefill(1, o.gated)])
    for second in range(0, 7200, 5):
        state = moment if second % 600 > 580 else rolling
        found, memory = verdict.judge(STACK, state, memory, float(second))
        assert isinstance(found, verdict.Waiting), found


# Old pods


def test_old_pods_do_not_count_and_one_that_stays_is_no_degraded_stack() -> None:
    old = prefill(1, template="old")
    assert failed(hold(STACK, stack(old, prefill(2, crashed), of=(0,)), HOUR)).startswith("container main of pod ")
    assert failed(hold(replace(STACK, deadline=600), stack(old, prefill(2, o.loading), of=(0,)), HOUR)).startswith(
        "not ready after 10 min"
    )
    assert failed(hold(STACK, stack(prefill(0, template="old"), of=()), HOUR)).startswith("no progress: ")


def test_an_old_pod_that_cannot_end_on_a_dead_node_does_not_hide_that_the_rest_serves() -> None:
    ghost = o.ending(o.loading("prefill", replica="2", template="old"))
    state = stack(prefill(2, no_node), [ghost], of=(0, 1))
    assert degraded(hold(STACK, state, HOUR)).startswith("degraded: prefill 2 of 3 replicas: no node for pod ")
    alive = o.ending(o.ready("prefill", replica="2", template="old"))
    waits(stack(prefill(2, no_node), [alive], of=(0, 1)), HOUR)


# Gangs


def culprit(name: str) -> str:
    return f"PodSchedulingErrors: Resources were not found for pod serving/{name} due to: {NO_GPUS}."


def test_the_message_of_a_gang_that_has_no_place_is_the_cause() -> None:
    """Pods that no scheduler has written a condition on, as the whole gang is too large."""
    pods = [*decode(lambda role, **more: o.unseen(role, group="r1-0", **more)), *prefill(0, o.unseen, group="r1-0")]
    name = pods[-1]["metadata"]["name"]
    group = o.pod_group("r1-0", culprit(name))
    assert failed(hold(STACK, o.state(pods, groups=[group]), HOUR)) == (
        f"no node for pod {name}: {NO_GPUS} (3 more pods wait)"
    )
    quota = o.pod_group("r1-0", "NonPreemptibleOverQuota: workload requested 40 GPUs")
    assert failed(hold(STACK, o.state(pods, groups=[quota]), HOUR)).endswith(
        " (decode): NonPreemptibleOverQuota: workload requested 40 GPUs (3 more pods wait)"
    )


def test_the_gang_names_the_pod_and_the_pod_says_why() -> None:
    pods = [*decode(lambda role, **more: o.unseen(role, group="r1-0", **more))]
    pods += [o.without_node("prefill", "1 node is unschedulable", group="r1-0", name="p0", replica="0")]
    assert failed(hold(STACK, o.state(pods, groups=[o.pod_group("r1-0", culprit("p0"))]), HOUR)).startswith(
        "no node for pod p0 (prefill): 1 node is unschedulable"
    )


def test_a_gangs_message_is_not_told_of_another_gang_nor_when_it_has_a_place() -> None:
    for group in (o.pod_group("r1-0-prefill-1", culprit("x")), o.pod_group("r1-0-prefill-0", culprit("x"), "False")):
        state = stack(prefill(2, no_node, group="r1-0-prefill-0"), of=(0, 1), groups=[group])
        assert NO_GPUS in degraded(hold(STACK, state, HOUR))
        assert "pod x" not in degraded(hold(STACK, state, HOUR))


# The endpoint


def test_a_degraded_stack_must_answer_and_is_given_time_for_it() -> None:
    rest = verdict.Failed("degraded: prefill 2 of 3 replicas: no node")
    ready, memory = verdict.PodsReady("pods ready: some", rest), verdict.Memory.begin(0.0, o.NOW)
    late = float(STACK.deadline + 1)
    found, _ = verdict.evaluate_reply(STACK, memory, Reply("good", "3 tokens"), ready, late)
    assert found == verdict.Answers("pods ready: some; the model answers: 3 tokens", rest)
    assert isinstance(
        verdict.evaluate_reply(STACK, memory, Reply("later", "HTTP 503"), ready, late)[0], verdict.Waiting
    )
    found, _ = verdict.evaluate_reply(STACK, memory, Reply("later", "HTTP 503"), ready, late + STACK.bounds.settling)
    assert found == verdict.Failed(
        f"not answering after 185 min, {verdict.MINIMUM}; the last answer: HTTP 503", "pods ready: some", rest.cause
    )


# Any cluster

STATES = ("absent", "gated", "refused", "unseen", "loading", "crashing", "pulling", "ready", "ending", "old", "ghost")
MAKE: dict[str, Any] = {
    "gated": o.gated,
    "refused": no_node,
    "unseen": o.unseen,
    "loading": o.loading,
    "crashing": crashed,
    "pulling": lambda role, **more: o.waiting(role, "ErrImagePull", "not found", **more),
    "ready": o.ready,
    "ending": lambda role, **more: o.ending(o.ready(role, **more)),
    "old": lambda role, **more: o.ready(role, template="old", **more),
    "ghost": lambda role, **more: o.ending(o.loading(role, template="old", **more)),
}
PODS = [
    (role, n, m) for role, one in STACK.roles.items() for n in range(one.replicas) for m in range(one.pods_per_replica)
]
DEADLINE = 7200


def moment() -> st.SearchStrategy[tuple[str, ...]]:
    mostly = st.one_of(st.just("ready"), st.sampled_from(STATES))
    return st.tuples(*(mostly for _ in PODS))


def seen(pods: Sequence[str]) -> Snapshot:
    return o.state(
        MAKE[what](role, name=f"{role}-{n}-{m}", **({"replica": str(n)} if role != "frontend" else {}))
        for (role, n, m), what in zip(PODS, pods, strict=True)
        if what != "absent"
    )


def truth(pods: Sequence[str]) -> tuple[bool, bool]:
    """Whether everything is there, and whether the minimum is and no old pod may answer."""
    there = {(role, n) for role, n, _ in PODS} - {
        (role, n) for (role, n, _), what in zip(PODS, pods, strict=True) if what != "ready"
    }
    minimum = all(sum(role == one for one, _ in there) >= need.minimum for role, need in STACK.roles.items())
    return set(pods) == {"ready"}, minimum and "old" not in pods


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(moment(), st.integers(1, 60)), min_size=1, max_size=5))
def test_no_course_of_a_cluster_is_judged_wrongly(course: list[tuple[tuple[str, ...], int]]) -> None:
    config: Config = replace(STACK, deadline=DEADLINE)
    memory, now = verdict.Memory.begin(0.0, o.NOW), 0.0
    for number, (pods, looks) in enumerate(course):
        state, (whole, minimum) = seen(pods), truth(pods)
        last = number == len(course) - 1
        for _ in range(looks + (DEADLINE if last else 0)):
            found, memory = verdict.judge(config, retried(state, now), memory, now)
            late = now >= DEADLINE
            if isinstance(found, verdict.PodsReady):
                assert whole if found.degraded is None else minimum and not whole
            elif isinstance(found, verdict.Failed):
                assert not whole
                assert not minimum
                return
            else:
                assert not late
                assert not whole
            if late:
                return
            now += 60

"""What the check says of every state that was seen on real clusters, of both releases."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from readiness import verdict
from readiness.config import Role
from readiness.replicas import whole
from tests.readiness import states
from tests.readiness.time_passes import hold, retried, unchanged

HOUR = 3600.0


@dataclass(frozen=True)
class Expected:
    """What a state must come to when it lasts while the cluster tries on."""

    ready: bool = False
    """All pods are as wanted: the endpoint is asked, at once."""
    settles: bool = False
    """So they are, but some are about to be replaced: it is asked after a while."""
    cause: str = ""
    """Pattern that the failure's first line begins with; without one the check waits on."""
    within: float = 0.0
    """Seconds in which it must have failed ..."""
    after: float = 0.0
    """... and in which it must not yet."""


READY = Expected(ready=True)
WAITS = Expected()
NOTHING_HAPPENS = Expected(cause="no progress: ", after=800, within=1000)
NO_PREFILL_NODE = Expected(
    cause=r"no node for pod r1-1p1d-pm?\d+\w-0-prefill-\w+ \(prefill\): "
    r"no nodes with enough resources were found: .*GPUs",
    after=590,
    within=620,
)
REFUSED = Expected(
    cause=r"pods of decode cannot be created \(0 of 1 exist\): pods \"r1-1p1d-p07\w-0-decode-\w+\" is forbidden: "
    r"ValidatingAdmissionPolicy 'no-decode' with binding 'no-decode' denied request: "
    r"privileged containers are not allowed in this namespace$",
    after=50,
    within=90,
)
NOT_FOUND = Expected(
    cause=r"image \S+ of pod r1-1p1d-p08\w-0-decode-\w+ \(decode\) cannot be pulled: .*not found",
    after=170,
    within=240,
)
CRASHES = Expected(
    cause=r"container main of pod r1-1p1d-p09a-0-decode-\w+ \(decode\) keeps crashing \(\d+ times, exit code 1\): "
    r"torch.OutOfMemoryError: CUDA out of memory.",
    after=170,
    within=240,
)
GRAPH_FAILED = Expected(cause="the graph [a-z0-9-]+ is failed: ", after=50, within=100)
SILENT_WEBHOOK = replace(
    NOTHING_HAPPENS,
    cause="no progress: .*; the graph says: .*failed calling webhook .*connection refused",
)

STATES: dict[str, Expected] = {
    "01-just-created": NOTHING_HAPPENS,
    "01-just-created-pods": WAITS,
    "02-one-replica-unschedulable-1min": NO_PREFILL_NODE,
    "02-worker-unschedulable-15s": NO_PREFILL_NODE,
    "02-worker-unschedulable-1min": NO_PREFILL_NODE,
    "02-worker-unschedulable-3min": NO_PREFILL_NODE,
    "03-running-not-ready": WAITS,
    "04-partially-ready": WAITS,
    "04-partially-ready-prefill": WAITS,
    "05-all-ready-successful": READY,
    "06-all-ready-multinode-spread": READY,
    "06-all-ready-still-pending": READY,
    "06-all-ready-still-pending-85s": READY,
    "06-unstuck": READY,
    "07-pod-over-quota": Expected(
        cause=r"pods of (decode|prefill) cannot be created \(0 of 1 exist\): pods .* is forbidden: exceeded quota: ",
        after=50,
        within=90,
    ),
    "07-pod-refused-15s": REFUSED,
    "07-pod-refused-70s": REFUSED,
    "07-pod-refused-over": READY,
    "07-roll-refused": REFUSED,
    "08-image-pull-ErrImagePull": NOT_FOUND,
    "08-image-pull-ImagePullBackOff": NOT_FOUND,
    "08-image-unauthorized": Expected(
        cause=r"image \S+ of pod r1-1p1d-p08\w-0-\w+-\w+ \(\w+\) cannot be pulled: .*401 Unauthorized",
        after=170,
        within=240,
    ),
    "09-crash-first-exit": CRASHES,
    "09-crash-loop": CRASHES,
    "09-crash-loop-restart3": CRASHES,
    "09-crash-running-again": CRASHES,
    "09-oom-killed": Expected(
        cause=r"container main of pod r1-1p1d-p09b-0-decode-\w+ \(decode\) keeps crashing "
        r"\(\d+ times, OOMKilled, exit code 137\)$",
        after=170,
        within=240,
    ),
    "10-edit-nodecount-accepted": READY,
    "10-edit-taken-back-false-success": WAITS,
    "10-failed-edit-refused": replace(GRAPH_FAILED, cause="the graph .* is failed: .*field is immutable$"),
    "10-failed-edit-taken-back": READY,
    "10-failed-grove-back": NOTHING_HAPPENS,
    "10-failed-grove-down": SILENT_WEBHOOK,
    "10-failed-grove-down-15s": SILENT_WEBHOOK,
    "10-failed-mpi-secret-back": WAITS,
    "10-failed-mpi-secret-missing": replace(
        GRAPH_FAILED, cause='the graph .* is failed: .*Secret "mpi-run-ssh-secret" not found$'
    ),
    "10-failed-name-too-long": replace(
        GRAPH_FAILED, cause="the graph .* is failed: .* denied the request: .*45-character"
    ),
    "10-failed-queue-made": WAITS,
    "10-failed-queue-missing": replace(GRAPH_FAILED, cause="the graph .* is failed: .*queue 'no-such-queue' not found"),
    "10-long-name-accepted": READY,
    "13-decode-pod-deleted-00": WAITS,
    "13-decode-pod-deleted-02": WAITS,
    "13-decode-pod-deleted-03": WAITS,
    "13-decode-pod-deleted-04": WAITS,
    "13-decode-pod-deleted-08": READY,
    "13-decode-pod-deleted-09": READY,
    "13-decode-pod-deleted-10": READY,
    "14-operator-back": READY,
    "14-operator-back-not-yet-leading": READY,
    "14-operator-down-all-ready": READY,
    "14-operator-down-create": NOTHING_HAPPENS,
    "14-operator-down-decode-not-ready": WAITS,
    "14-operator-down-edited": WAITS,
    "14-operator-down-while-loading": READY,
    "14-operator-restart-after": READY,
    "14-operator-restart-rolls": WAITS,
    "14-operator-restart-settled": READY,
    "20-multinode-02-unschedulable-1min": NO_PREFILL_NODE,
    "20-multinode-03-running-not-ready": WAITS,
    "20-multinode-04-partially-ready": WAITS,
    "20-multinode-05-all-ready": READY,
    "20-multinode-13-worker-back": READY,
    "20-multinode-13-worker-deleted": WAITS,
}

BY_RELEASE: dict[tuple[str, str], Expected] = {
    # its PodCliques were rewritten by the operator's list of pull secrets, and decode and prefill not yet replaced
    ("0.7.0", "02-worker-unschedulable-over"): Expected(settles=True),
    ("1.5-dev", "02-worker-unschedulable-over"): READY,
    # no pods yet on 1.5, which makes them 5 s later
    ("1.5-dev", "10-failed-queue-made"): NOTHING_HAPPENS,
    # KAI's Unschedulable on a pod whose node still holds the one before it; held for ten minutes it is believed
    ("0.7.0", "13-decode-pod-deleted-02"): Expected(
        cause="no node for pod r1-1p1d-p01a-0-decode-", after=590, within=620
    ),
    ("0.7.0", "20-multinode-13-worker-deleted"): Expected(cause="no node for pod ", after=590, within=620),
}

ROLL = re.compile(r"(20-multinode-)?1[12]-roll-")
ROLLED = {
    "0.7.0": {
        "11-roll-decode-env-09",
        "11-roll-decode-env-10",
        "12-roll-frontend-image-15",
        "12-roll-frontend-image-16",
        "20-multinode-11-roll-05",
        "20-multinode-11-roll-06",
    },
    "1.5-dev": {
        "11-roll-decode-env-09",
        "11-roll-decode-env-10",
        "12-roll-frontend-image-14",
        "12-roll-frontend-image-15",
        "20-multinode-11-roll-06",
        "20-multinode-11-roll-07",
    },
}

ALL = [(release, name) for release in states.RELEASES for name in (states.names(release))]


@pytest.mark.parametrize(("release", "name"), [one for one in ALL if not ROLL.match(one[1])])
def test_each_state_comes_to_its_verdict(release: str, name: str) -> None:
    expected = BY_RELEASE.get((release, name)) or STATES[name]
    config, state = states.wanted(release, name), states.seen(release, name)
    end = hold(config, state, HOUR, retried)
    if expected.ready or expected.settles:
        assert isinstance(end.verdict, verdict.PodsReady)
        assert end.at == (config.bounds.settling if expected.settles else 0.0)
    elif expected.cause:
        assert isinstance(end.verdict, verdict.Failed), end.verdict
        assert re.match(expected.cause, end.verdict.cause), end.verdict.cause
        assert expected.after < end.at < expected.within
    else:
        assert isinstance(end.verdict, verdict.Waiting), end.verdict


@pytest.mark.parametrize("release", states.RELEASES)
def test_a_replica_without_a_node_beyond_the_minimum_is_a_degraded_stack(release: str) -> None:
    name = "02-one-replica-unschedulable-1min"
    config, state = states.wanted(release, name), states.seen(release, name)
    prefill = replace(config.roles["prefill"], minimum=1)
    end = hold(replace(config, roles={**config.roles, "prefill": prefill}), state, HOUR, retried)
    assert isinstance(end.verdict, verdict.PodsReady)
    assert end.verdict.degraded
    assert re.match(f"degraded: prefill 1 of 2 replicas: {NO_PREFILL_NODE.cause}", end.verdict.degraded.cause), (
        end.verdict.degraded.cause
    )
    assert end.at == config.unschedulable


@pytest.mark.parametrize(("release", "name"), [one for one in ALL if "worker-unschedulable" in one[1]])
def test_the_gangs_own_message_names_the_pod_without_a_node(release: str, name: str) -> None:
    """Without what KAI writes on the pods."""
    state = states.seen(release, name)
    if not state.groups:
        assert name.endswith("over")
        return
    silent = replace(state, pods=tuple(replace(pod, placed="unseen", placing="") for pod in state.pods))
    end = hold(states.wanted(release, name), silent, HOUR)
    assert isinstance(end.verdict, verdict.Failed)
    assert re.match(r"no node for pod r1-1p1d-p02a-0-prefill-\w+: no nodes with enough", end.verdict.cause)


@pytest.mark.parametrize("name", ["20-multinode-04-partially-ready", "20-multinode-05-all-ready"])
@pytest.mark.parametrize("release", states.RELEASES)
def test_the_pods_of_a_replica_are_told_by_groves_label(release: str, name: str) -> None:
    config, state = states.wanted(release, name), states.seen(release, name)
    assert {pod.replica for pod in state.pods if pod.role == "decode"} == {"0"}
    assert {pod.replica for pod in state.pods if pod.role != "decode"} == {""}
    assert whole(config, state, "decode") == (1 if name.endswith("all-ready") else 0)


@pytest.mark.parametrize(("release", "name"), [one for one in ALL if ROLL.match(one[1])])
def test_no_moment_of_a_roll_is_called_ready_before_its_end(release: str, name: str) -> None:
    config, state = states.wanted(release, name), states.seen(release, name)
    found, _ = verdict.judge(config, state, verdict.Memory.begin(0.0, 0.0), 0.0)
    assert isinstance(found, verdict.PodsReady) == (name in ROLLED[release])
    assert not isinstance(found, verdict.Failed)


@pytest.mark.parametrize(("release", "name"), ALL)
def test_no_state_is_given_up_at_once(release: str, name: str) -> None:
    found = hold(states.wanted(release, name), states.seen(release, name), 45.0).verdict
    assert not isinstance(found, verdict.Failed)


@pytest.mark.parametrize(
    ("release", "name"),
    [one for one in ALL if re.match("07-pod|08-|09-|10-failed-(queue-missing|mpi-secret-missing)", one[1])],
)
def test_old_words_alone_are_not_believed_in_a_second_run(release: str, name: str) -> None:
    """The cause is repaired, and what was said of it stays on the objects until somebody tries again."""
    state = states.seen(release, name)
    end = hold(states.wanted(release, name), state, 850.0, unchanged, 6 * HOUR)
    assert not isinstance(end.verdict, verdict.Failed), end


@pytest.mark.parametrize(
    ("release", "series"),
    [(release, series) for release in states.RELEASES for series in ("11-roll", "12-roll", "20-multinode-11-roll")],
)
def test_a_whole_roll_is_ready_once_and_at_its_end(release: str, series: str) -> None:
    names = [name for name in states.names(release) if name.startswith(series)]
    names.sort(key=lambda name: name.replace("before", "--"))
    memory = verdict.Memory.begin(0.0, 0.0)
    ready: list[str] = []
    for second, name in enumerate(names):
        found, memory = verdict.judge(states.wanted(release, name), states.seen(release, name), memory, float(second))
        assert not isinstance(found, verdict.Failed)
        if isinstance(found, verdict.PodsReady):
            ready.append(name)
    assert ready == names[-len(ready) :]
    assert set(ready) == {name for name in ROLLED[release] if name.startswith(series)}


def test_an_edit_that_the_operator_has_not_seen_is_not_called_ready() -> None:
    """Dynamo 0.7.0 takes the edit while its operator is down, all pods are ready, and the graph says successful."""
    for name in ("14-operator-back-not-yet-leading", "14-operator-down-all-ready"):
        config = states.wanted("0.7.0", name)
        edited = replace(config, roles={**config.roles, "decode": Role(1, "edited")})
        end = hold(edited, states.seen("0.7.0", name), HOUR)
        assert isinstance(end.verdict, verdict.Failed)
        assert re.match("no progress: decode has 0 of 1 pods, 1 with an outdated template is left", end.verdict.cause)


def test_every_state_is_expected() -> None:
    known = {*STATES, *(name for _, name in BY_RELEASE)}
    assert {name for _, name in ALL if not ROLL.match(name)} == known
    assert len(ALL) > 130

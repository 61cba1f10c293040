"""Jobs as the plugin waits for them: until the pod has ended, and then with its last words (P1, P2, P6).

Pods of Jobs succeed here, but for those of a readiness check, which answer from the state of the graphs.
"""

from __future__ import annotations

from rehearsal.cloud import readiness_jobs
from rehearsal.cloud.faults import NotReady
from rehearsal.cloud.values import Props, mapping
from rehearsal.cloud.world import Thing, World

JOB = "kubernetes:batch/v1:Job"
_COMPLETE: Props = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
_FAILED: Props = {
    "failed": 1,
    "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}],
}


def status(current: Thing | None) -> Props:
    """The status of a Job whose pod ends well; one that has ended keeps what it has."""
    return mapping(current.outputs, "status") if current is not None else dict(_COMPLETE)


def run(world: World, job: Thing) -> None:
    """Let the Job's pod run; raises `NotReady` with its termination message when it fails."""
    said = readiness_jobs.last_words(world, job)
    if said is not None:
        job.outputs["status"] = dict(_FAILED)
        namespace, _, name = job.id.rpartition("/")
        raise _late(job, f"[Pod {namespace}/{name}-{world.text(5)}]: [Error] {said}")
    if mapping(job.outputs, "spec").get("ttlSecondsAfterFinished") is not None:
        # By the time anybody looks again it is gone.
        world.remove(job.key)


def require_complete(job: Thing) -> None:
    """Raise `NotReady` for a Job that has failed before: it is not run again, and its pod's words are not repeated."""
    if mapping(job.outputs, "status").get("failed"):
        raise _late(job, f"Job {job.id} failed: Job has reached the specified backoff limit (BackoffLimitExceeded)")


def _late(job: Thing, message: str) -> NotReady:
    late = NotReady(message)
    late.id, late.outputs = job.id, job.outputs
    return late

"""Jobs as the plugin waits for them: until the pod has ended, with its termination message on failure (P1, P2, P6).

Pods of Jobs succeed here, except those of a readiness check, whose result depends on the graphs, those of a fabric
test, whose result depends on the nodes, and downloads that NetworkPolicies cut off.
"""

from __future__ import annotations

from rehearsal.simulator.faults import NotReadyError
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, items, mapping, text
from rehearsal.simulator.workloads import fabric_jobs, readiness_jobs, traffic

JOB = "kubernetes:batch/v1:Job"
_COMPLETE: Props = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
_REASONS = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
}


def status(current: CloudResource | None) -> Props:
    """The status of a Job whose pod succeeds; a finished one keeps its status."""
    return mapping(current.outputs, "status") if current is not None else dict(_COMPLETE)


def run(state: CloudState, job: CloudResource) -> None:
    """Run the Job's pod; raises `NotReadyError` with its termination message if it fails."""
    for judge in (readiness_jobs.last_words, fabric_jobs.last_words, traffic.undownloaded):
        said = judge(state, job)
        if said == fabric_jobs.NEVER_RAN:
            job.outputs["status"] = _failed("DeadlineExceeded")
            require_complete(job)
        if said is not None:
            job.outputs["status"] = _failed("BackoffLimitExceeded")
            namespace, _, name = job.id.rpartition("/")
            raise _late(job, f"[Pod {namespace}/{name}-{state.text(5)}]: [Error] {said}")
    if mapping(job.outputs, "spec").get("ttlSecondsAfterFinished") is not None:
        # It is gone by the next read.
        state.remove(job.key)


def require_complete(job: CloudResource) -> None:
    """Raise `NotReadyError` for a Job that has failed before: it does not run again, and its pod's message is lost."""
    for condition in items(job.outputs, "status.conditions"):
        if text(condition, "type") == "Failed":
            reason = text(condition, "reason")
            raise _late(job, f"Job {job.id} failed: {_REASONS[reason]} ({reason})")


def _failed(reason: str) -> Props:
    return {"failed": 1, "conditions": [{"type": "Failed", "status": "True", "reason": reason}]}


def _late(job: CloudResource, message: str) -> NotReadyError:
    late = NotReadyError(message)
    late.id, late.outputs = job.id, job.outputs
    return late

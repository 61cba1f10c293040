"""Paced runs: the engine takes the environment down and builds it again, each step lasting its minutes to scale."""

from __future__ import annotations

from rehearsal.run import Rehearsal
from rehearsal.timeline import graph, observed
from rehearsal.timeline.graph import Op
from rehearsal.timeline.timeline import Timeline, compute
from rehearsal.timeline.verdict import engine_groups

SECONDS = 12.0
"""How long the steps of one paced run take in all, beside the engine's own time."""
_WORKERS = 64
"""More than ever run at a time, so that only the order decides."""


def watch(rehearsal: Rehearsal, seconds: float = SECONDS) -> Timeline:
    """The timeline of a deployed, unprotected environment, and whether the engine keeps to it.

    Destroys the environment and deploys it again. Raises `RehearsalError` when the engine fails.
    """
    timeline = compute(rehearsal.name, rehearsal.export())
    for op in ("destroy", "up"):
        timeline = timeline.watched(op, _run(rehearsal, timeline, op, seconds))
    return timeline


def _run(rehearsal: Rehearsal, timeline: Timeline, op: Op, seconds: float) -> observed.Observed:
    judged = timeline.verdicts[op]
    scale = seconds / max(judged.makespan, 1.0)
    faults, journal = rehearsal.cloud.faults, rehearsal.state.journal
    hook = observed.pace(judged.minutes, op, scale)
    begin = len(journal)
    faults.before.append(hook)
    try:
        if op == "up":
            rehearsal.up("up, paced", parallel=_WORKERS)
        else:
            rehearsal.destroy("destroy, paced", parallel=_WORKERS)
    finally:
        faults.before.remove(hook)
    waits = timeline.plan.waits
    order = waits if op == "up" else graph.barriers(engine_groups(waits))
    return observed.compare(order, judged.spans, observed.spans_of(journal[begin:], op), scale)

"""The timeline of an environment: how long `up` and `destroy` take, what decides it, and which waits are needless.

Times are virtual. The order comes from what the real engine recorded (the exported stack), the minutes from a table
(`durations`), and a paced run of the engine shows that it keeps to the computed order (`observed`). So the figures
hold no noise of this machine, and an estimate is called an estimate.

    graph       arithmetic on orders: schedules, longest chain, levels
    plan        the tasks of an exported stack, and what the engine recorded that they wait for
    durations   how long each kind takes, with a source or the word "estimate"
    needs       the order: which waits are necessary, with reasons
    verdict     the program's order against the necessary one
    observed    the computed order against the journal of the embedded cloud
    paced       runs of the engine that are slow enough to be observed
    picture     the SVG
    timeline    all of it for one environment
"""

from __future__ import annotations

from rehearsal.timeline.timeline import LIMIT, OPS, Timeline, compute, draw, failures, tell

__all__ = ["LIMIT", "OPS", "Timeline", "compute", "draw", "failures", "tell"]

"""Which roles of a graph a change rolls (M8, N13, N14; R7 for 0.7.0)."""

from __future__ import annotations

from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import Props
from rehearsal.simulator.workloads import graphs, serving

_FRONTEND = "frontend"


def rolled(state: CloudState, cluster: str, before: Props, after: Props) -> list[str]:
    """Roles whose pods are replaced: those whose template changed, and with one hash of all workers every worker.

    Another number of replicas rolls nothing; the gangs' priority class rolls everything (N19).
    """
    running = serving.platform(state, cluster)
    olds = {role.name: role for role in graphs.roles(before)}
    every = [role for role in graphs.roles(after) if role.name in olds]
    changed = [role for role in every if role.template != olds[role.name].template]
    if graphs.gang_priority(before) != graphs.gang_priority(after):
        changed = every
    if running is not None and running.one_worker_hash and any(role.type != _FRONTEND for role in changed):
        changed = [role for role in every if role.type != _FRONTEND or role in changed]
    return [role.name for role in changed]

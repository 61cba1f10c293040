"""A cluster that is gone, or that answers nobody: the destroy of everything else still ends.

Without help a destroy stops at the objects inside the cluster. `recovery.forget_cluster` lets the state forget
them; the destroy that follows takes away what Google Cloud holds.
"""

from __future__ import annotations

import time

from recovery.forget_cluster import forget_cluster
from rehearsal import Rehearsal
from rehearsal.simulator.gcp_rules import CLUSTER, NODE_POOL
from tests.resilience import life
from tests.resilience.life import ProofError, Say, Tally

UNREACHABLE = "unreachable"


def proof(environment: str, short: bool, say: Say) -> list[Tally]:
    """Gone and unreachable; the short form only the first."""
    return [_one(environment, gone, say) for gone in ([True] if short else [True, False])]


def _one(environment: str, gone: bool, say: Say) -> Tally:
    what = "gone" if gone else "out of reach"
    tally = Tally(f"{environment}, cluster {what}")
    started = time.monotonic()
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        tally.tried = len(life.in_the_cloud(rehearsal))
        kill_cluster(rehearsal, gone=gone)
        error = life.failed(rehearsal.destroy)
        if error is None or not any(UNREACHABLE in cause for cause in error.causes):
            raise ProofError(f"{tally.name}: the destroy did not say that nobody answers: {error}")
        backup = rehearsal.folder / "backup.json"
        forgotten = forget_cluster(rehearsal.name, backup, life.bound(rehearsal))
        rehearsal.destroy()
        left = [resource for resource in life.in_the_cloud(rehearsal) if resource.kind.startswith("gcp:")]
        if left or life.resources(rehearsal.export()):
            raise ProofError(f"{tally.name}: left after the destroy: {', '.join(map(str, left))}")
        tally.survived = tally.tried
        tally.notes.append(
            f"{len(forgotten)} objects forgotten, {error.causes[0].split(':')[1].split()[-1]} told first"
        )
        if gone and rehearsal.settings.cluster.mode == "create":
            life.finish(rehearsal, "recreated after the cluster was gone")
            rehearsal.destroy()
            life.require_empty(rehearsal, "after the second life")
            tally.notes.append("recreated and destroyed")
    tally.seconds = time.monotonic() - started
    say(str(tally))
    return tally


def kill_cluster(rehearsal: Rehearsal, *, gone: bool) -> None:
    """Take the environment's cluster away with its pools and all that is in it, or cut the way to it."""
    state = rehearsal.state
    for cluster in state.find(CLUSTER):
        if not gone:
            state.unreachable.add(cluster.id)
            continue
        inside = state.find(scope=cluster.id)
        pools = state.find(NODE_POOL, where=lambda pool, id_=cluster.id: pool.id.startswith(f"{id_}/"))
        for resource in [*inside, *pools, cluster]:
            state.remove(resource.key)

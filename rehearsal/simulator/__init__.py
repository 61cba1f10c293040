"""The embedded cloud: what the rehearsal deploys to in place of Google Cloud and a Kubernetes cluster.

It is kept in memory, in the rehearsal's process, and rejects what the real services reject. It imports nothing of the
program: facts about the services are deliberately written here a second time, independently, so that a wrong fact in
the program is noticed.
"""

from __future__ import annotations

from rehearsal.simulator.faults import Call, Faults
from rehearsal.simulator.provider import EmbeddedCloud
from rehearsal.simulator.server import CloudServer
from rehearsal.simulator.state import ApiError, CloudResource, CloudState, Entry

__all__ = ["ApiError", "Call", "CloudResource", "CloudServer", "CloudState", "EmbeddedCloud", "Entry", "Faults"]

"""The embedded cloud: what the rehearsal deploys to in place of Google Cloud and a Kubernetes cluster.

It lives in memory, in the rehearsal's own process, and refuses what the real services would refuse. It imports
nothing of the program: what the rules say about the services is written here a second time, on purpose, so that a
wrong fact in the program meets a second opinion.
"""

from __future__ import annotations

from rehearsal.simulator.faults import Call, Faults
from rehearsal.simulator.provider import EmbeddedCloud
from rehearsal.simulator.server import CloudServer
from rehearsal.simulator.state import ApiError, CloudResource, CloudState, Entry

__all__ = ["ApiError", "Call", "CloudResource", "CloudServer", "CloudState", "EmbeddedCloud", "Entry", "Faults"]

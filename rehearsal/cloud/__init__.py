"""The embedded cloud: what the rehearsal deploys to in place of Google Cloud and a Kubernetes cluster.

It lives in memory, in the rehearsal's own process, and refuses what the real services would refuse. It imports
nothing of the program: what the rules say about the field is written here a second time, on purpose, so that a
wrong fact in the program meets a second opinion.
"""

from __future__ import annotations

from rehearsal.cloud.faults import Call, Faults
from rehearsal.cloud.provider import EmbeddedCloud
from rehearsal.cloud.server import CloudServer
from rehearsal.cloud.world import Entry, Refusal, Thing, World

__all__ = ["Call", "CloudServer", "EmbeddedCloud", "Entry", "Faults", "Refusal", "Thing", "World"]

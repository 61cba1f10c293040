"""The rehearsal: the whole program in the real engine against an embedded cloud, without account or network.

`python -m rehearsal` for users, `Rehearsal` for tests.
"""

from __future__ import annotations

from rehearsal.engine import EngineError
from rehearsal.run import ConfigError, Output, Phase, Rehearsal, RehearsalError, Step
from rehearsal.simulator import ApiError, Call, CloudResource, CloudState, EmbeddedCloud

__all__ = [
    "ApiError",
    "Call",
    "CloudResource",
    "CloudState",
    "ConfigError",
    "EmbeddedCloud",
    "EngineError",
    "Output",
    "Phase",
    "Rehearsal",
    "RehearsalError",
    "Step",
]

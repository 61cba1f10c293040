"""The rehearsal: the whole program under the real engine against an embedded cloud, without account or network.

`python -m rehearsal` for people, `Rehearsal` for tests.
"""

from __future__ import annotations

from rehearsal.cloud import Call, EmbeddedCloud, Refusal, Thing, World
from rehearsal.engine import EngineError
from rehearsal.run import ConfigError, Output, Phase, Rehearsal, RehearsalError, Step

__all__ = [
    "Call",
    "ConfigError",
    "EmbeddedCloud",
    "EngineError",
    "Output",
    "Phase",
    "Refusal",
    "Rehearsal",
    "RehearsalError",
    "Step",
    "Thing",
    "World",
]

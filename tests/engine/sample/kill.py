"""Kills the engine in the middle of an `up` of the sample, fixes the state, finishes, destroys."""

from __future__ import annotations

import sys
from pathlib import Path

from rehearsal import ApiError, Call, Rehearsal, RehearsalError

FOLDER = Path(__file__).parent

with Rehearsal(
    "dev", root=FOLDER, program=FOLDER / "program.py", secrets={"token": "made-up"}, checkpoints=True
) as rehearsal:

    def kill(call: Call) -> None:
        """Fail like a machine that loses its power."""
        if call.op == "create" and call.name == "queue":
            if rehearsal.command is not None:
                rehearsal.command.kill()
            raise ApiError("the power is gone")

    rehearsal.cloud.faults.before.append(kill)
    try:
        rehearsal.up()
    except RehearsalError:
        pass
    else:
        sys.exit("the engine survived")
    rehearsal.cloud.faults.clear()
    rehearsal.unlock()
    rehearsal.refresh(clear_pending_creates=True)
    rehearsal.up()
    rehearsal.destroy()
    sys.stdout.write(f"left: {len(rehearsal.state.leftovers())}\n")

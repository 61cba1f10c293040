"""Output for the user: progress while the engine works, tables at the end.

Animated on a terminal, plain lines in a pipe or log.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from rehearsal.run import RUNS_AGAIN, Phase, Rehearsal, Step
from rehearsal.simulator import CloudResource

_HEARTBEAT_SECONDS = 10.0
_LONGEST = 100


class Progress:
    """Shows the phases of a rehearsal as they happen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._phase: Phase | None = None
        self._started = 0.0
        self._stop = threading.Event()

    def say(self, text: str) -> None:
        """A line for the user."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, phase: Phase) -> None:
        """A phase starts."""
        self._phase, self._started = phase, time.monotonic()
        if self._console.is_terminal:
            self._status = self._console.status(f"{phase.name} ...")
            self._status.start()
        else:
            self.say(f"{phase.name} ...")
            self._stop = threading.Event()
            threading.Thread(target=self._beat, args=(phase, self._stop), daemon=True).start()

    def step(self, phase: Phase, step: Step) -> None:
        """The engine has finished a step."""
        if self._status is not None:
            kind = step.kind.rsplit(":", 1)[-1]
            what = RUNS_AGAIN if step.runs_again else f"{step.op} {kind} {step.name}"
            self._status.update(f"{phase.name}: {len(phase.steps)} resources, {what}")

    def end(self, phase: Phase) -> None:
        """A phase has ended, successfully or not."""
        self._stop.set()
        if self._status is not None:
            self._status.stop()
            self._status = None
        done = ", ".join(f"{count} {op}" for op, count in sorted(phase.count().items())) or "nothing to do"
        mark = "failed" if phase.errors else "done"
        self.say(f"{phase.name}: {mark} in {phase.seconds:.1f} s ({done})")

    def close(self) -> None:
        """Restore the terminal."""
        self._stop.set()
        if self._status is not None:
            self._status.stop()

    def _beat(self, phase: Phase, stop: threading.Event) -> None:
        while not stop.wait(_HEARTBEAT_SECONDS):
            self.say(f"{phase.name}: {len(phase.steps)} resources after {time.monotonic() - self._started:.0f} s")


def advice(console: Console, phase: Phase) -> None:
    """What the policy pack advises; a mandatory violation has already ended the phase."""
    console.print(f"policy pack: 0 mandatory violations, {len(phase.violations)} advisory", highlight=False)
    for violation in phase.violations:
        console.print(f"  {violation}", highlight=False, markup=False, soft_wrap=True)


def summary(console: Console, rehearsal: Rehearsal, deployed: Phase | None) -> None:
    """The tables at the end: resources by kind, outputs, time, and what is left."""
    if deployed is not None:
        console.print(_kinds(deployed))
        if deployed.outputs:
            console.print(_outputs(deployed))
    console.print(_times(rehearsal.phases))
    for warning in dict.fromkeys(w for phase in rehearsal.phases for w in phase.warnings):
        console.print(f"warning: {warning}", highlight=False, markup=False, soft_wrap=True)
    for line in kept_lines(rehearsal.state.kept()):
        console.print(line, highlight=False, soft_wrap=True)


def kept_lines(kept: list[CloudResource]) -> list[str]:
    """Objects that stay by design, by name."""
    if not kept:
        return []
    names: dict[str, list[str]] = {}
    for resource in kept:
        names.setdefault(resource.kind.rsplit(":", 1)[-1], []).append(resource.id)
    lines = [f"  {len(found)} {kind}: {', '.join(sorted(found))}" for kind, found in sorted(names.items())]
    return ["kept by the charts that created them (Helm never deletes these):", *lines]


def leftovers(console: Console, resources: list[CloudResource]) -> None:
    """Objects that the program created and did not delete."""
    if not resources:
        console.print("objects left in the embedded cloud after destroy: none", highlight=False)
        return
    table = Table(title="Objects left in the embedded cloud after destroy")
    table.add_column("kind")
    table.add_column("id", overflow="fold")
    for resource in resources:
        table.add_row(resource.kind, resource.id)
    console.print(table)


def _kinds(phase: Phase) -> Table:
    table = Table(title="Resources by kind")
    table.add_column("kind", overflow="fold")
    table.add_column("count", justify="right")
    counts = Counter(step.kind for step in phase.steps if step.op in ("create", "same", "update", "read"))
    for kind, count in sorted(counts.items()):
        table.add_row(kind, str(count))
    table.add_section()
    table.add_row("all", str(sum(counts.values())))
    return table


def _outputs(phase: Phase) -> Table:
    table = Table(title="Outputs")
    table.add_column("name")
    table.add_column("value", overflow="fold")
    for name, output in sorted(phase.outputs.items()):
        if output.secret:
            table.add_row(name, "(secret)", style="dim")
            continue
        for path, value in _leaves(output.value, name):
            table.add_row(path, _short(value))
    return table


def _times(phases: list[Phase]) -> Table:
    table = Table(title="Time")
    table.add_column("phase")
    table.add_column("seconds", justify="right")
    table.add_column("resources", justify="right")
    table.add_column("changed", justify="right")
    for phase in phases:
        table.add_row(phase.name, f"{phase.seconds:.1f}", str(len(phase.steps)), str(len(phase.changed)))
    table.add_section()
    table.add_row("all", f"{sum(phase.seconds for phase in phases):.1f}", "", "")
    return table


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}")]  # pyright: ignore[reportUnknownVariableType] - JSON
    return [(path, value)]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    line = " ".join(text.split())
    # A bracket would be parsed as markup.
    line = line.replace("[", "\\[")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 4]} ..."

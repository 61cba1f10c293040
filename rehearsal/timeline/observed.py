"""The computed order against what the engine did: the journal of a paced run.

A paced run makes every step last a fraction of a second for each of its minutes. Its times hold the engine's own
overhead, so no figure is taken from it; it shows that the computed order is the engine's. A need must have ended before
its user starts, and a step that is computed to start long before another ends must do so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rehearsal.simulator.faults import Call, Hook
from rehearsal.simulator.state import Entry
from rehearsal.timeline.graph import Minutes, Op, Span, Waits, closure

_CALLS = {"up": "create", "destroy": "delete"}
NOISE_SECONDS = 3.0
"""What the start of the program and the engine's own work may hold a step back."""


@dataclass(frozen=True)
class Observed:
    """What one paced run shows."""

    steps: int
    """Steps of the engine, each once."""
    overlaps: int
    """Pairs of steps that do not wait for each other, of which one is computed to start before the other ends, by more
    than the noise."""
    contradictions: Sequence[str]
    """Where the engine did not do what was computed; empty when the model is right."""


def pace(minutes: Minutes, op: Op, seconds_per_minute: float) -> Hook:
    """A hook for `Faults.before` that makes each step last its minutes, to scale."""

    async def hook(call: Call) -> None:
        if call.op == _CALLS[op] and not call.preview:
            await asyncio.sleep(minutes.get(call.urn, 0.0) * seconds_per_minute)

    return hook


def spans_of(journal: Sequence[Entry], op: Op) -> dict[str, list[Span]]:
    """When the engine ran each step, in seconds of the journal's clock."""
    spans: dict[str, list[Span]] = {}
    for entry in journal:
        if entry.op == _CALLS[op] and not entry.preview and not entry.refused:
            spans.setdefault(entry.urn, []).append(Span(entry.started, entry.ended))
    return spans


def compare(
    order: Waits,
    computed: Mapping[str, Span],
    seen: Mapping[str, Sequence[Span]],
    seconds_per_minute: float,
    noise: float = NOISE_SECONDS,
) -> Observed:
    """Hold a journal against the computed order (of all tasks, in the direction of the run)."""
    wrong = [f"{urn} ran {len(spans)} times" for urn, spans in seen.items() if len(spans) != 1]
    ran = {urn: spans[0] for urn, spans in seen.items()}
    before = closure(order)
    overlaps = 0
    for urn, span in ran.items():
        early = [need for need in before.get(urn, ()) if need in ran and span.start < ran[need].end]
        wrong += [f"{urn} started before {need} had ended" for need in early]
        for other, past in ran.items():
            if other == urn or other in before.get(urn, ()) or urn in before.get(other, ()):
                continue
            if (computed[other].end - computed[urn].start) * seconds_per_minute > noise:
                overlaps += 1
                if span.start >= past.end:
                    wrong.append(f"{urn} waited for {other}, which the computed order does not say")
    return Observed(len(ran), overlaps, wrong)

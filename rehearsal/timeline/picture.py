"""The picture: an SVG that needs nothing but itself, in the reader's light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from rehearsal.timeline.durations import row_of
from rehearsal.timeline.plan import Plan
from rehearsal.timeline.verdict import Verdict

WIDTH = 1200
_LEFT, _RIGHT = 250, 24
_BAR, _LINE = 14, 19
_NAMED = 0.75
"""Minutes; a shorter step has no name beside its bar."""
_CHAR = 6.3
"""Width of a letter at 11 px, to the safe side for the sans-serif fonts of the common systems."""

_STYLE = """
text { font: 11px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif; fill: #24292f }
.page { fill: #ffffff }
.title { font-size: 15px; font-weight: 600 }
.soft { fill: #57606a }
.grid { stroke: #d8dee4 }
.step { fill: #9fc1e8 }
.chain { fill: #d9480f }
.on { fill: #ffffff }
.settle { fill: none; stroke: #7ea8d6; stroke-dasharray: 2 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.soft { fill: #9198a1 }
.grid { stroke: #30363d }
.step { fill: #2f5a8a }
.chain { fill: #f0883e }
.on { fill: #0d1117 }
.settle { stroke: #4a7fb8 }
}
"""


def picture(stack: str, plan: Plan, verdicts: Sequence[Verdict]) -> str:
    """The SVG of an environment."""
    drawing = _Drawing(plan)
    drawing.text(24, 30, f"Timeline of {stack}", "title")
    note = "Minutes by the table of durations (mostly estimates; see timeline.md), order by the Pulumi engine."
    drawing.text(24, 50, note, "soft")
    x = 24.0
    for style, words in (
        ("chain", "decides the makespan"),
        ("step", "has slack"),
        ("settle", "created, takes effect later"),
    ):
        drawing.bar(x, 62, 22, style)
        drawing.text(x + 28, 72, words, "soft")
        x += 60 + len(words) * _CHAR
    drawing.y = 80
    for verdict in verdicts:
        drawing.block(verdict)
    height = drawing.y + 12
    label = f"Timeline of {stack}: " + ", ".join(f"{v.op} {v.makespan:.1f} min" for v in verdicts)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-label={quoteattr(label)}>'
    )
    page = f'<rect width="{WIDTH}" height="{height:.0f}" class="page"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", page, *drawing.parts, "</svg>", ""])


class _Drawing:
    """SVG elements from top to bottom."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.parts: list[str] = []
        self.y = 0.0

    def text(self, x: float, y: float, content: str, style: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(content)}</text>'
        )

    def bar(self, x: float, y: float, width: float, style: str, hint: str = "") -> None:
        shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width - 0.7, 1.2):.1f}" height="{_BAR}" class="{style}"'
        self.parts.append(f"{shape}><title>{escape(hint)}</title></rect>")

    def block(self, verdict: Verdict) -> None:
        """One direction: heading, minutes, and a row for each component that takes time."""
        scale = (WIDTH - _LEFT - _RIGHT) / max(verdict.makespan * 1.01, 0.1)
        self.text(24, self.y + 26, f"pulumi {verdict.op}: {verdict.makespan:.1f} min", "title")
        figures = (
            f"longest necessary chain {verdict.shortest:.1f} min x {verdict.ratio:.2f} (program) "
            f"x {verdict.engine_ratio:.2f} (engine's groups)"
        )
        self.text(WIDTH - _RIGHT, self.y + 26, figures, "soft", "end")
        self.y += 54
        rows = self._rows(verdict)
        lanes = {component: self._lanes(verdict, tasks, scale) for component, tasks in rows}
        self._axis(verdict.makespan, scale, sum(map(len, lanes.values())))
        for component, found in lanes.items():
            task = self.plan.tasks.get(component)
            self.text(24, self.y + _BAR - 3, _shorten(task.name if task else "(no component)"))
            for lane in found:
                for urn in sorted(lane, key=lambda urn: urn in verdict.deciding):
                    self._step(verdict, urn, scale)
                self.y += _LINE

    def _rows(self, verdict: Verdict) -> list[tuple[str, list[str]]]:
        """Components and their steps, in the order in which they begin."""
        rows: dict[str, list[str]] = {}
        for urn in sorted(verdict.minutes, key=lambda urn: verdict.spans[urn].start):
            if verdict.minutes[urn]:
                rows.setdefault(self.plan.tasks[urn].component, []).append(urn)
        return list(rows.items())

    def _axis(self, makespan: float, scale: float, lines: int) -> None:
        step = next(size for size in (1, 2, 5, 10, 20, 30, 60, 120, 240, 480) if makespan / size <= 14)
        for minute in range(0, int(makespan) + 1, step):
            x = _LEFT + minute * scale
            self.text(x, self.y - 6, str(minute), "soft", "middle")
            bottom = self.y + lines * _LINE
            self.parts.append(f'<line x1="{x:.1f}" y1="{self.y:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" class="grid"/>')

    def _lanes(self, verdict: Verdict, tasks: Sequence[str], scale: float) -> list[list[str]]:
        """Steps in one line, or in more where one would cover the name of another."""
        lanes: list[list[str]] = []
        for urn in tasks:
            free = (lane for lane in lanes if not any(self._meet(verdict, urn, other, scale) for other in lane))
            lane = next(free, None)
            if lane is None:
                lanes.append([urn])
            else:
                lane.append(urn)
        return lanes

    def _meet(self, verdict: Verdict, one: str, other: str, scale: float) -> bool:
        (start, end, named), (start2, end2, named2) = (self._reach(verdict, urn, scale) for urn in (one, other))
        return (named or named2) and start + 0.1 < end2 and start2 + 0.1 < end

    def _reach(self, verdict: Verdict, urn: str, scale: float) -> tuple[float, float, bool]:
        """From where to where a step goes with its name, and whether it shows one."""
        x = _LEFT + verdict.spans[urn].start * scale
        width, words = verdict.minutes[urn] * scale, len(self._words(verdict, urn)) * _CHAR + 10
        if verdict.minutes[urn] < _NAMED or words < width:
            return x, x + width, verdict.minutes[urn] >= _NAMED
        return (x, x + width + words, True) if x + width + words < WIDTH - _RIGHT else (x - words, x + width, True)

    def _step(self, verdict: Verdict, urn: str, scale: float) -> None:
        task, span, style = self.plan.tasks[urn], verdict.spans[urn], "chain" if urn in verdict.deciding else "step"
        x, width = _LEFT + span.start * scale, verdict.minutes[urn] * scale
        start, end, named = self._reach(verdict, urn, scale)
        hint = f"{task.name} ({task.kind}): {span.start:.1f} to {span.end:.1f} min. {row_of(task).source}"
        self.bar(x, self.y, width, style, hint)
        if verdict.op == "up" and row_of(task).settles:
            self.bar(x + width, self.y, row_of(task).settles * scale, "settle")
        if not named:
            return
        words, y = self._words(verdict, urn), self.y + _BAR - 3
        if start < x:
            self.text(x - 5, y, words, anchor="end")
        elif end > x + width:
            self.text(x + width + 5, y, words)
        else:
            self.text(x + 5, y, words, "on" if style == "chain" else "")

    def _words(self, verdict: Verdict, urn: str) -> str:
        task = self.plan.tasks[urn]
        above = self.plan.tasks.get(task.component)
        return f"{task.name.removeprefix(f'{above.name}-') if above else task.name} {verdict.minutes[urn]:.1f}"


def _shorten(name: str) -> str:
    room = int((_LEFT - 36) / _CHAR)
    return name if len(name) <= room else f"{name[: room - 1]}\u2026"

"""The picture: an SVG that needs nothing but itself, in the reader's light or dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from rehearsal.timeline.by_hand import ByHand
from rehearsal.timeline.durations import row_of
from rehearsal.timeline.graph import Op, Plan
from rehearsal.timeline.verdict import Verdict

WIDTH = 1200
_LEFT, _RIGHT = 250, 24
_BAR, _TICK, _GAP = 17, 6, 7
_SHORT = 0.75
"""Minutes; a shorter step is a tick without a name of its own."""
_CHAR = 6.1
"""Width of a letter at 11 px, to the safe side for the sans-serif fonts of the common systems."""

_STYLE = """
text { font: 11px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif; fill: #24292f }
.page { fill: #ffffff }
.h1 { font-size: 19px; font-weight: 600 }
.h2 { font-size: 15px; font-weight: 600 }
.soft { fill: #57606a }
.grid { stroke: #d8dee4; stroke-width: 1 }
.rule { stroke: #eaeef2; stroke-width: 1 }
.step { fill: #a8c7ea }
.tick { fill: #7ea8d6 }
.chain { fill: #e8590c }
.link { stroke: #e8590c; stroke-width: 1.25; fill: none }
.settle { fill: none; stroke: #7ea8d6; stroke-width: 1; stroke-dasharray: 2 2 }
.leader { stroke: #afb8c1; stroke-width: 1 }
.hand { fill: #c9ced6 }
.hand2 { fill: #dfe3e8 }
.probe { fill: none; stroke: #8c959f; stroke-width: 1; stroke-dasharray: 4 3 }
.on { fill: #ffffff }
.chaintext { fill: #b5400a }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.soft { fill: #9198a1 }
.grid { stroke: #30363d }
.rule { stroke: #21262d }
.step { fill: #2f5a8a }
.tick { fill: #4a7fb8 }
.chain { fill: #f0883e }
.link { stroke: #f0883e }
.settle { stroke: #4a7fb8 }
.leader { stroke: #57606a }
.hand { fill: #484f58 }
.hand2 { fill: #343b44 }
.probe { stroke: #8b949e }
.on { fill: #0d1117 }
.chaintext { fill: #f0883e }
}
"""


@dataclass(frozen=True)
class Block:
    """One direction: what the engine does, and the same by hand."""

    op: Op
    verdict: Verdict
    hand: ByHand


class _Canvas:
    """SVG elements from top to bottom."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = 0.0

    def text(self, x: float, y: float, content: str, style: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(content)}</text>'
        )

    def rect(self, x: float, y: float, width: float, height: float, style: str, *, hint: str = "") -> None:
        shape = (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1.2):.1f}" height="{height:.1f}" '
            f'rx="{min(2.5, height / 3):.1f}" class="{style}"'
        )
        self.parts.append(f"{shape}><title>{escape(hint)}</title></rect>" if hint else f"{shape}/>")

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def place(self) -> int:
        """Where the next element goes; for `insert`."""
        return len(self.parts)


def picture(stack: str, plan: Plan, blocks: Sequence[Block]) -> str:
    """The SVG of an environment."""
    canvas = _Canvas()
    canvas.text(24, 34, f"Timeline of {stack}", "h1")
    canvas.text(
        24,
        54,
        "Minutes by the table of durations (mostly estimates; see timeline.md), order by the Pulumi engine.",
        "soft",
    )
    _legend(canvas, 76)
    canvas.y = 100
    for block in blocks:
        _Drawing(canvas, plan, block).draw()
    height = canvas.y + 6
    title = f"Timeline of {stack}: " + ", ".join(
        f"{block.op} {block.verdict.makespan:.1f} min, by hand {block.hand.makespan:.1f} min" for block in blocks
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-label={quoteattr(title)}>'
    )
    page = f'<rect width="{WIDTH}" height="{height:.0f}" class="page"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", page, *canvas.parts, "</svg>", ""])


def _legend(canvas: _Canvas, y: float) -> None:
    x = 24.0
    for style, words in (
        ("chain", "decides the makespan"),
        ("step", "has slack"),
        ("tick", f"short steps (under {60 * _SHORT:.0f} s)"),
        ("settle", "made, takes effect later"),
        ("hand", "by hand, one step after the other"),
        ("probe", "more with the recipe's probes"),
    ):
        canvas.rect(x, y - 9, 22, 10, style)
        canvas.text(x + 28, y, words, "soft")
        x += 28 + len(words) * _CHAR + 22


class _Drawing:
    """One block on the canvas."""

    def __init__(self, canvas: _Canvas, plan: Plan, block: Block) -> None:
        self.canvas, self.plan, self.block = canvas, plan, block
        self.spans = block.verdict.spans
        self.deciding = list(block.verdict.deciding)
        longest = max(block.verdict.makespan, block.hand.makespan + block.hand.probe, 0.1)
        self.step = next(size for size in (1, 2, 5, 10, 20, 30, 60, 120, 240, 480) if longest / size <= 14)
        self.scale = (WIDTH - _LEFT - _RIGHT) / (longest * 1.01)
        self.top = 0.0
        self.spots: dict[str, tuple[float, float]] = {}
        """Task on the chain -> top and height of its bar."""

    def x(self, minute: float) -> float:
        """Where a minute is."""
        return _LEFT + minute * self.scale

    def draw(self) -> None:
        """Heading, rows, chain, the same by hand."""
        canvas, verdict = self.canvas, self.block.verdict
        canvas.y += 22
        canvas.text(24, canvas.y, f"pulumi {self.block.op}: {verdict.makespan:.1f} min", "h2")
        canvas.text(
            _LEFT,
            canvas.y,
            f"longest necessary chain {verdict.shortest:.1f} min, ratio {verdict.whole:.2f}"
            + self._why(verdict)
            + f"; by hand {self.block.hand.makespan:.1f} min",
            "soft",
        )
        canvas.y += 26
        self.top = canvas.y
        ground = canvas.place()
        for component, tasks in self._rows():
            self._row(component, tasks)
        bottom = canvas.y
        links: list[str] = []
        self._links(links)
        canvas.parts[ground:ground] = links
        self._hand()
        self._axis(ground, bottom)
        self._words()
        canvas.y += 14

    @staticmethod
    def _why(verdict: Verdict) -> str:
        if verdict.op == "up":
            return ""
        return f" (program {verdict.ratio:.2f}, engine's groups {verdict.engine_ratio:.2f})"

    def _rows(self) -> list[tuple[str, list[str]]]:
        """Components in the order in which they begin; one whose objects all exist comes first, empty."""
        rows: dict[str, list[str]] = {urn: [] for urn, task in self.plan.tasks.items() if task.component == urn}
        for urn, task in self.plan.tasks.items():
            if task.custom and self.block.verdict.minutes[urn]:
                rows.setdefault(task.component, []).append(urn)
        return sorted(rows.items(), key=lambda row: min([self.spans[urn].start for urn in row[1]], default=-1.0))

    def _row(self, component: str, tasks: list[str]) -> None:
        canvas, minutes = self.canvas, self.block.verdict.minutes
        long = sorted((urn for urn in tasks if minutes[urn] >= _SHORT), key=lambda urn: self.spans[urn].start)
        short = sorted((urn for urn in tasks if minutes[urn] < _SHORT), key=lambda urn: self.spans[urn].start)
        y = canvas.y + 3
        canvas.line(24, canvas.y, WIDTH - _RIGHT, canvas.y, "rule")
        self._label(component, y)
        if not tasks:
            canvas.text(_LEFT + 4, y + 12, self._empty(component), "soft")
            canvas.y += _BAR + _GAP - 2
            return
        for lane in _lanes(long, self._reach):
            for urn in lane:
                self._bar(component, urn, y)
            y += _BAR + 2
        if short:
            top = y + (5 if not long else 1)
            for urn in short:
                self._tick(urn, top)
            if not long:
                self._count(short, top + 7)
            y = top + _TICK + (3 if long else 5)
        canvas.y = y + 2

    def _label(self, component: str, y: float) -> None:
        task = self.plan.tasks.get(component)
        name = task.name if task else "(no component)"
        noun = task.role if task else ""
        # A name too long for both goes without its kind.
        fits = (len(name) + len(noun)) * _CHAR + 12 < _LEFT - 24
        more = f'<tspan dx="7" class="soft">{escape(noun)}</tspan>' if fits else ""
        self.canvas.parts.append(f'<text x="24" y="{y + 12:.1f}">{escape(name)}{more}</text>')

    def _empty(self, component: str) -> str:
        below = any(
            not task.custom and task.component == urn and component in self.plan.waits[urn]
            for urn, task in self.plan.tasks.items()
        )
        if below:
            return "is made of the components that are named after it"
        own = any(task.component == component and task.custom for task in self.plan.tasks.values())
        return "takes no time" if own else "exists already: nothing to do"

    def _bar(self, component: str, urn: str, y: float) -> None:
        canvas, span, words = self.canvas, self.spans[urn], self._name(urn)
        on_chain = urn in self.deciding
        x, width = self.x(span.start), (span.end - span.start) * self.scale
        canvas.rect(x, y, width, _BAR - 2, "chain" if on_chain else "step", hint=self._hint(urn))
        self._settle(urn, y, _BAR - 2)
        if on_chain:
            self.spots[urn] = (y, _BAR - 2)
        length = len(words) * _CHAR
        if length + 8 < width:
            canvas.text(x + 5, y + 11.5, words, "on" if on_chain else "")
        elif x + width + length + 6 < WIDTH - _RIGHT:
            canvas.text(x + width + 5, y + 11.5, words)
        else:
            canvas.text(x - 5, y + 11.5, words, "", "end")

    def _count(self, short: Sequence[str], y: float) -> None:
        """How many short steps a line has: behind the last one, or before the first where the page ends."""
        words = f"{len(short)} short step{'s' if len(short) > 1 else ''}"
        last = max(self.x(self.spans[urn].end + self._lag(urn)) for urn in short)
        if last + 6 + len(words) * _CHAR < WIDTH - _RIGHT:
            self.canvas.text(last + 6, y, words, "soft")
        else:
            self.canvas.text(min(self.x(self.spans[urn].start) for urn in short) - 6, y, words, "soft", "end")

    def _reach(self, urn: str) -> tuple[float, float]:
        """The space that a bar takes together with its name, in minutes."""
        span, length = self.spans[urn], len(self._name(urn)) * _CHAR
        width = (span.end - span.start) * self.scale
        if length + 8 < width:
            return span.start, span.end
        if self.x(span.end) + length + 6 < WIDTH - _RIGHT:
            return span.start, span.end + (length + 12) / self.scale
        return span.start - (length + 12) / self.scale, span.end

    def _tick(self, urn: str, y: float) -> None:
        span, on_chain = self.spans[urn], urn in self.deciding
        width = (span.end - span.start) * self.scale
        self.canvas.rect(self.x(span.start), y, width, _TICK, "chain" if on_chain else "tick", hint=self._hint(urn))
        self._settle(urn, y, _TICK)
        if on_chain:
            self.spots[urn] = (y, _TICK)

    def _settle(self, urn: str, y: float, height: float) -> None:
        lag = self._lag(urn)
        if lag:
            self.canvas.rect(self.x(self.spans[urn].end), y + 0.5, lag * self.scale, height - 1, "settle")

    def _lag(self, urn: str) -> float:
        return row_of(self.plan.tasks[urn]).settles if self.block.op == "up" else 0.0

    def _name(self, urn: str) -> str:
        task = self.plan.tasks[urn]
        above = self.plan.tasks.get(task.component)
        name = task.name.removeprefix(f"{above.name}-") if above else task.name
        return f"{name} {self.block.verdict.minutes[urn]:.1f}"

    def _hint(self, urn: str) -> str:
        task, span = self.plan.tasks[urn], self.spans[urn]
        return f"{task.name} ({task.kind}): {span.start:.1f} to {span.end:.1f} min. {row_of(task).source}"

    def _links(self, parts: list[str]) -> None:
        """A thin line from each step of the chain to the one that it lets start."""
        for before, after in pairwise(self.deciding):
            if before not in self.spots or after not in self.spots:
                continue
            (y1, h1), (y2, h2) = self.spots[before], self.spots[after]
            x1, x2 = self.x(self.spans[before].end), self.x(self.spans[after].start)
            start, end = (y1 + h1, y2) if y2 > y1 else (y1, y2 + h2)
            middle = (start + end) / 2
            way = f"M {x1 - 0.6:.1f} {start:.1f} V {middle:.1f} H {x2 + 0.6:.1f} V {end:.1f}"
            parts.append(f'<path d="{way}" class="link"/>')

    def _hand(self) -> None:
        """The same steps by hand, on the same scale."""
        canvas, hand = self.canvas, self.block.hand
        canvas.y += 6
        canvas.line(24, canvas.y, WIDTH - _RIGHT, canvas.y, "grid")
        y = canvas.y + 8
        canvas.text(24, y + 13, "by hand")
        canvas.text(32 + 7 * _CHAR, y + 13, "toolkit, then the README", "soft")
        narrow: list[tuple[str, float]] = []
        for index, run in enumerate(hand.runs):
            x, width = self.x(run.span.start), (run.span.end - run.span.start) * self.scale
            length = run.span.end - run.span.start
            hint = f"{run.stage.title} [{run.stage.where}]: {length:.1f} min, steps: {len(run.tasks)}"
            canvas.rect(x, y, width, 20, "hand" if index % 2 == 0 else "hand2", hint=hint)
            words = f"{run.stage.title} {length:.1f}"
            if len(words) * _CHAR + 8 < width:
                canvas.text(x + 5, y + 14, words)
            else:
                narrow.append((words, x))
        if hand.probe:
            end = self.x(hand.makespan)
            canvas.rect(end + 1, y + 0.5, hand.probe * self.scale - 1, 19, "probe")
            words = f"{hand.probe:.0f} min more: first probe after 50 min"
            canvas.text(end + 7, y + 14, words, "soft")
        canvas.y = y + 28 + 13 * self._below(narrow, y)

    def _below(self, narrow: list[tuple[str, float]], y: float) -> int:
        """The names of stages that are too narrow for them, below; returns how many lines they take.

        From right to left: the line from a stage to its name then meets no other name.
        """
        rows: list[float] = []
        lines: list[tuple[float, int]] = []
        for words, x in reversed(narrow):
            length = len(words) * _CHAR + 12
            at = min(x, WIDTH - _RIGHT - length)
            # Below every line that hangs down through the name's place.
            least = max((row for line, row in lines if line < at + length), default=0)
            free = (index for index, left in enumerate(rows) if index >= least and at + length < left)
            row = next(free, len(rows))
            rows[row : row + 1] = [at]
            lines.append((x, row))
            self.canvas.line(x + 0.5, y + 20, x + 0.5, y + 34 + 13 * row, "leader")
            self.canvas.text(at + 5, y + 33 + 13 * row, words, "soft")
        return len(rows)

    def _axis(self, ground: int, bottom: float) -> None:
        """Minutes at the top, lines behind everything."""
        lines = _Canvas()
        minute = 0
        while self.x(minute) <= WIDTH - _RIGHT + 1:
            lines.line(self.x(minute), self.top, self.x(minute), self.canvas.y - 4, "grid")
            lines.text(self.x(minute), self.top - 6, f"{minute} min" if minute == 0 else str(minute), "soft", "middle")
            minute += self.step
        self.canvas.parts[ground:ground] = lines.parts

    def _words(self) -> None:
        """The chain in words."""
        canvas, minutes = self.canvas, self.block.verdict.minutes
        steps = [f"{self.plan.tasks[urn].name} {minutes[urn]:.1f}" for urn in self.deciding]
        head = "decides the makespan:" if self.block.op == "up" else "slowest of each group:"
        line = head
        lines: list[str] = []
        for index, step in enumerate(steps):
            word = f" {step}" + (" \u2192" if index + 1 < len(steps) else "")
            if len(line + word) * _CHAR > WIDTH - 24 - _RIGHT:
                lines.append(line)
                line = "   "
            line += word
        for said in [*lines, line]:
            canvas.y += 15
            canvas.text(24, canvas.y, said, "chaintext")


def _lanes(tasks: Sequence[str], reach: Callable[[str], tuple[float, float]]) -> list[list[str]]:
    """Tasks that do not overlap share a lane; each goes into the first that has room."""
    lanes: list[list[str]] = []
    ends: list[float] = []
    for task in tasks:
        start, end = reach(task)
        row = next((index for index, taken in enumerate(ends) if taken <= start), len(lanes))
        if row == len(lanes):
            lanes.append([])
            ends.append(0.0)
        lanes[row].append(task)
        ends[row] = end
    return lanes

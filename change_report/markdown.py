"""Writes a report as GitHub-flavoured Markdown.

No text of the report is trusted: each is written as code, in which GitHub interprets no mention, link, image or HTML.
Characters that hide or reorder text (controls, bidirectional marks) become visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from change_report.model import Environment, FieldChange, Impact, Op, Report, Resource, Stack, What
from change_report.safe_text import block, cell, span

_VERBS: Final[dict[Op, str]] = {
    "replace": "replaced",
    "delete": "deleted",
    "update": "updated",
    "create": "created",
    "rerun": "readiness check runs again",
}
_UNFOLDED: Final = 12
"""Resources of one operation that are shown without a click."""
_FAILED: Final = {
    "config": "The program refuses its config or cannot be loaded; nothing would be changed.",
    "preview": "`pulumi preview` fails; nothing would be changed.",
    "up": "`pulumi up` stops partway in the rehearsal; see docs/reference/changes.md for the order or the recovery.",
}


_LOST: Final[dict[What, str]] = {
    "cluster": "every object in it, and the volumes of NATS and etcd",
    "node pool": "its nodes, with everything on their local SSDs",
    "graph": "running requests and the KV cache",
    "bucket": "the weights in it",
    "platform": "nothing; meanwhile no pod of a graph is started or replaced",
}
_GONE: Final = "what it runs"
"""Lost with a platform release that is deleted."""
_SMALLER: Final = "nodes that GKE chooses, with the pods on them"
"""Lost with a node pool that becomes smaller."""


def render(report: Report) -> str:
    """The whole report."""
    lines = [f"## What this change does: {span(report.base)} → {span(report.head)}", ""]
    lines += [f"- {span(one.name)}: {_headline(one)}" for one in report.environments]
    if report.packages:
        lines += ["", "Packages (both sides were rehearsed with those of the change):", ""]
        lines += _field_lines(report.packages)
    if report.project:
        lines += ["", "`Pulumi.yaml`:", "", *_field_lines(report.project)]
    for one in report.environments:
        lines += ["", f"### {span(one.name)}", "", *_environment(one)]
    return "\n".join(lines).rstrip() + "\n"


def _headline(one: Environment) -> str:
    if one.removed:
        return "its stack file is removed; what it deployed stays until `pulumi destroy`"
    if one.failed:
        return f"**fails** ({one.failed})"
    said = [f"**secret {span(key)} removed**" for key in one.removed_secrets]
    if one.unprotected:
        said.append(f"**{len(one.unprotected)} no longer protected from deletion**")
    if one.base == "failed":
        said.append("**not compared, since the base does not deploy here**")
    counts = [(verb, _count(one.resources, op)) for op, verb in _VERBS.items() if op != "rerun"]
    said.append(", ".join(f"{count} {verb}" for verb, count in counts if count) or "no resource changes")
    said += dict.fromkeys(
        f"**{impact.what} {'made smaller' if impact.op == 'update' else _VERBS[impact.op]}**"
        for impact in one.impacts
        if impact.op != "update" or impact.what == "node pool"
    )
    said += [
        f"{span(stack.name)} down about {stack.down_minutes:.0f} min" for stack in one.stacks if stack.down_minutes
    ]
    return "; ".join(said)


def _environment(one: Environment) -> Iterator[str]:
    if one.removed:
        yield "The stack file is removed. Nothing is deleted by that: run `pulumi destroy` before it goes."
        return
    if one.base == "absent":
        yield from ("A new environment: everything is created.", "")
    if one.base == "failed":
        yield from (
            "The base could not be deployed here, so everything counts as created:",
            "",
            block(one.base_error, "text"),
            "",
        )
    if one.failed:
        yield from (f"**{_FAILED[one.failed]}**", "", block(one.error, "text"), "")
    yield from _impacts(one.impacts)
    if one.unprotected:
        yield from ("No longer protected from deletion:", "", *(f"- {span(name)}" for name in one.unprotected), "")
    yield from _totals(one)
    if one.unset_secrets and one.failed != "config":
        names = ", ".join(map(span, one.unset_secrets))
        yield from (f"Not set in the stack file, placeholders used here: {names}. `pulumi up` fails without them.", "")
    if one.config:
        yield from ("Config:", "", *_field_lines(one.config), "")
    for stack in one.stacks:
        yield from _stack(stack)
    if one.warnings:
        yield from ("Warnings of the program:", "", block("\n".join(one.warnings), "text"), "")
    yield from _resources(one)


def _impacts(impacts: Sequence[Impact]) -> Iterator[str]:
    if not impacts:
        return
    yield from ("| | taken down | GPUs | lost |", "|---|---|---:|---|")
    for one in impacts:
        verb, lost = _VERBS[one.op], _LOST[one.what]
        if one.op == "update" and one.what == "node pool":
            verb, lost = "made smaller", _SMALLER
        elif one.op == "update":
            verb = f"updated: no {' and '.join(map(cell, one.roles))} meanwhile"
        elif one.op == "delete" and one.what == "platform":
            lost = _GONE
        yield f"| **{verb}** | {one.what} {cell(one.name)} | {one.gpus or ''} | {lost} |"
    yield ""


def _totals(one: Environment) -> Iterator[str]:
    if one.failed == "config":
        return
    before, after = one.gpus
    text = f"GPUs of its node pools: {after}" if before == after else f"GPUs of its node pools: {before} → {after}"
    old, new = (None if price is None else f"{price:,.2f}" for price in one.price)
    if old or new:
        text += (
            f"; price an hour: {new or 'not given'}"
            if old == new
            else f"; price an hour: {old or 'not given'} → {new or 'not given'}"
        )
    went = " The change succeeds in the rehearsal." if not one.failed and one.resources else ""
    yield from (f"{text}.{went}", "")


def _stack(stack: Stack) -> Iterator[str]:
    down = f", which is unavailable for about {stack.down_minutes:.0f} minutes" if stack.down_minutes else ""
    before, after = ((span(name), gpus) for name, gpus in zip(stack.layouts, stack.gpus, strict=True))
    if stack.op in ("create", "delete"):
        layout, gpus = after if stack.op == "create" else before
        yield from (
            f"Serving stack {span(stack.name)} is {_VERBS[stack.op]} (layout {layout}, {gpus} GPUs).",
            "",
        )
        return
    layout = after[0] if before[0] == after[0] else f"{before[0]} → {after[0]}"
    yield from (f"Serving stack {span(stack.name)} (layout {layout}){down}:", "")
    lines = _field_lines(stack.fields) or ["- no field of its graph differs"]
    yield from _folded(f"{len(lines)} fields of its graph and arguments", lines) if len(lines) > _UNFOLDED else lines
    yield ""


def _resources(one: Environment) -> Iterator[str]:
    if not one.resources:
        if not one.failed:
            yield "No resource changes."
        return
    for op, verb in _VERBS.items():
        found = [resource for resource in one.resources if resource.op == op]
        if not found:
            continue
        title = f"{len(found)} {verb}" if op != "rerun" else verb[0].upper() + verb[1:]
        lines: list[str] = []
        for resource in found:
            lines.append(f"- {span(resource.name)} ({span(resource.kind)})")
            lines += (f"  {line}" for line in _field_lines(resource.fields))
        yield from _folded(title, lines) if len(found) > _UNFOLDED else (f"{title}:", "", *lines)
        yield ""
    if one.unchanged:
        yield f"{one.unchanged} unchanged."


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    """Lines that are shown after a click."""
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


def _field_lines(changes: Sequence[FieldChange]) -> list[str]:
    return [f"- {span(change.path)}: {_value(change.before)} → {_value(change.after)}" for change in changes]


def _value(value: str | None) -> str:
    return "(none)" if value is None else span(value)


def _count(resources: Sequence[Resource], op: str) -> int:
    return sum(resource.op == op for resource in resources)

"""Changes each server argument of each layout to a wrong value, one at a time, and counts what the checks catch.

    python -m tools.mutate_layouts            # a summary
    python -m tools.mutate_layouts --write    # and docs/reference/mutations.md


Kinds of mutations:

    misspelt   one letter of the name is missing
    type       a flag with a text, a text or `true` for a number or choice, broken JSON
    left out   the argument is missing
    changed    another value that SGLang accepts: half, double, one more, the next choice, another text;
               not for flags, which can only be left out

A mutation that is caught is a problem before anything is registered. One that is not caught is not always a
mistake: a layout does not need `enable-metrics`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reference.dynamo import PROFILES, DynamoProfile
from serving_rules import arguments, layout, rules
from serving_rules.arguments import Catalog
from serving_rules.layout import WORKER_ROLES, Argument, Layout, Server, WorkerRole

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "mutations.md"
KINDS: Final = ("misspelt", "type", "left out", "changed")
WHOLE: Final = ("int", "human_readable_int")


@dataclass(frozen=True)
class Mutation:
    """One argument of one role with one wrong value."""

    kind: str
    role: WorkerRole
    name: str
    shown: str
    """The wrong value, for the report."""
    arguments: layout.Arguments

    def apply(self, made: Layout) -> Layout:
        """`made` with this mutation."""
        return made.with_server(self.role, Server(self.arguments, made.environment(self.role)))


@dataclass(frozen=True)
class Result:
    """A mutation of a layout and whether it was caught."""

    layout: str
    mutation: Mutation
    caught: bool


def mutations(made: Layout, known: Catalog) -> Iterator[Mutation]:
    """Every mutation of every argument of `made`."""
    for role in WORKER_ROLES:
        values = dict(made.arguments(role))
        for name, value in values.items():
            without = {key: other for key, other in values.items() if key != name}
            misspelt = name[:-2] + name[-1]
            yield Mutation("misspelt", role, name, misspelt, {**without, misspelt: value})
            yield Mutation("left out", role, name, "left out", without)
            for wrong in _wrong_types(name, known):
                yield Mutation("type", role, name, str(wrong), {**values, name: wrong})
            for other in _others(name, value, known):
                yield Mutation("changed", role, name, str(other), {**values, name: other})


def run(profile: DynamoProfile) -> list[Result]:
    """All mutations of all layouts on `profile`."""
    known = arguments.of(profile)
    return [
        Result(name, mutation, bool(rules.check(mutation.apply(made), profile)))
        for name in layout.available()
        for made in (layout.resolve(name, profile),)
        for mutation in mutations(made, known)
    ]


def _wrong_types(name: str, known: Catalog) -> list[Argument]:
    entry = known.arguments[name]
    if entry.flag:
        return ["false", 1]
    if entry.choices or entry.type in (*WHOLE, "float"):
        return ["none of these", True]
    return ["{broken"] if "config" in name else [True]


def _others(name: str, value: Argument, known: Catalog) -> list[Argument]:
    entry = known.arguments[name]
    if entry.flag:
        return []
    if isinstance(value, tuple):
        return [(*value[:-1], last) for last in _others(name, value[-1], known) if not isinstance(last, (bool, tuple))]
    if entry.choices:
        choices = [str(choice) for choice in entry.choices]
        return [choices[(choices.index(str(value)) + 1) % len(choices)]]
    if entry.type in WHOLE:
        number = int(value)
        return [other for other in dict.fromkeys((number // 2, number * 2, number + 1)) if other != number]
    if entry.type == "float":
        return [float(value) / 2, float(value) * 2]
    return ["{}"] if str(value).startswith("{") else ["another"]


def table(results: Mapping[str, Sequence[Result]]) -> list[str]:
    """Caught mutations of all that were made, by release and kind, as a Markdown table."""
    rows = [
        f"| Dynamo | SGLang | {' | '.join(KINDS)} | all | not caught |",
        f"|---|---|{'---|' * len(KINDS)}---|---|",
    ]
    for version, found in results.items():
        total, caught = Counter(r.mutation.kind for r in found), Counter(r.mutation.kind for r in found if r.caught)
        counts = [f"{caught[kind]} of {total[kind]}" for kind in KINDS]
        rows.append(
            f"| {version} | {PROFILES[version].sglang} | {' | '.join(counts)} | {caught.total()} of {total.total()} | "
            f"{total.total() - caught.total()} |"
        )
    return rows


def missed(results: Sequence[Result]) -> list[str]:
    """What was not caught, by argument: values, and the layouts and roles."""
    found: dict[str, dict[str, set[str]]] = {}
    for result in results:
        if not result.caught:
            mutation = result.mutation
            short = result.layout.rsplit("-", 1)[-1]
            found.setdefault(mutation.name, {}).setdefault(mutation.shown, set()).add(f"{short} {mutation.role}")
    rows = ["| argument | not caught | where |", "|---|---|---|"]
    for name, values in sorted(found.items()):
        places: dict[tuple[str, ...], list[str]] = {}
        for shown, where in values.items():
            places.setdefault(tuple(sorted(where)), []).append(shown)
        for where, shown in sorted(places.items()):
            rows.append(f"| `{name}` | {', '.join(shown)} | {', '.join(where)} |")
    return rows


def document(results: Mapping[str, Sequence[Result]]) -> str:
    """The content of docs/reference/mutations.md."""
    version, first = next(iter(results.items()))
    lines = [
        "# Mutations of the layouts",
        "",
        "Every server argument of every layout is changed to a wrong value, one at a time, and the checks that run",
        "before anything is registered either report a problem or do not. This page is generated by",
        "`python -m tools.mutate_layouts --write`.",
        "",
        "- *misspelt*: one letter of the name is missing",
        "- *type*: a flag with a text, a text or `true` for a number or choice, broken JSON",
        "- *left out*: the argument is missing",
        "- *changed*: another value that SGLang accepts (half, double, one more, the next choice, another text)",
        "",
    ]
    lines += [
        "## By release",
        "",
        *table(results),
        "",
        f"## What is not caught on Dynamo {version}",
        "",
        "Most of it is valid: an optional flag, another limit or interval, an argument with SGLang's own default. The",
        "rest affects speed or GPU memory: the size of chunks, the number of running requests, the number of copies of",
        "experts, the batches with CUDA graphs. The memory estimate is too coarse for the last gigabytes; only a run",
        "can tell.",
        "",
        *missed(first),
        "",
    ]
    return "\n".join(lines)


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the counts, and optionally write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    write: bool = parser.parse_args(command).write
    results = {version: run(profile) for version, profile in PROFILES.items()}
    sys.stdout.write("\n".join([*table(results), ""]))
    if write:
        DOCUMENT.write_text(document(results), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Checks server arguments against those that the SGLang release in the image accepts.

`catalog/` has one list for each release, generated from the released wheels by `tools/sglang_arguments.py`: SGLang's
own arguments, those of `dynamo.sglang`, and the environment variables that their code reads. In a cluster a wrong
argument fails only after the node is allocated and the image pulled.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reference.dynamo import DynamoProfile
from reference.sglang import RELEASES
from serving_rules import unsafe_settings
from serving_rules.layout import WORKER_ROLES, Argument, Arguments, Layout, WorkerRole
from validation.problems import HIDDEN, Problem

CATALOG: Final = Path(__file__).resolve().parent / "catalog"

INJECTED: Final = frozenset({"nnodes", "node-rank", "dist-init-addr"})
"""Arguments that the operator adds to the command line of every role that spans nodes."""

GIVEN: Final = frozenset({"model-path", "config"})
"""Arguments that the start script sets."""

SECRET: Final = frozenset({"api-key", "admin-api-key"})
"""Secrets, which would be readable in a ConfigMap."""

RENAMED: Final[Mapping[str, str]] = {
    "enable-deepep-moe": "moe-a2a-backend: deepep",
    "enable-ep-moe": "ep-size",
    "enable-flashinfer-cutlass-moe": "moe-runner-backend: flashinfer_cutlass",
    "enable-flashinfer-trtllm-moe": "moe-runner-backend: flashinfer_trtllm",
    "enable-triton-kernel-moe": "moe-runner-backend: triton_kernel",
    "tp": "tp-size",
    "dp": "dp-size",
    "pp": "pp-size",
}
"""Names of earlier releases and common short forms, with the right name."""

GRAPHS: Final[Mapping[str, Mapping[str, str]]] = {
    "cuda-graph-backend-prefill": {"prefill": "disabled"},
    "disable-cuda-graph": {"decode": "disabled", "prefill": "disabled"},
    "disable-piecewise-cuda-graph": {"prefill": "disabled"},
    "enable-breakable-cuda-graph": {"prefill": "breakable"},
    "enforce-piecewise-cuda-graph": {"prefill": "tc_piecewise"},
}
"""Kinds of CUDA graphs, by phase, that an argument asks for which the readers from 0.5.14 on refuse."""

_NUMBERS: Final[Mapping[str, tuple[str, str]]] = {
    "int": (r"[+-]?[0-9]{1,18}", "a whole number"),
    "human_readable_int": (
        r"[+-]?[0-9]{1,18}|[0-9]{1,18}(\.[0-9]+)?[kMGT]|[0-9]{1,18}[KMGT]i",
        "a whole number, or one with k, M, G, T, Ki, Mi, Gi or Ti",
    ),
    "float": (r"[+-]?([0-9]{1,18}\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", "a number"),
}


@dataclass(frozen=True)
class ArgumentSpec:
    """One argument of a release."""

    name: str
    """Its longest name, which the rules use."""
    action: str
    """`store`, `store_true`, or the name of argparse's or SGLang's own action."""
    type: str = "str"
    choices: tuple[Any, ...] = ()
    several: bool = False
    """Whether it takes a list of values."""
    json: bool = False
    """Whether the text must be JSON."""
    instead: str | None = None
    """What to write for it: the replacement of a deprecated argument, or the old name where a file takes no other."""
    refused: frozenset[str] = frozenset()
    """Those of its names that the `--config` reader refuses."""
    owner: str = "SGLang"

    @property
    def flag(self) -> bool:
        """Whether it takes no value."""
        return self.action == "store_true"


@dataclass(frozen=True)
class Catalog:
    """Arguments and variables of one SGLang release as started by one Dynamo release."""

    sglang: str
    dynamo: str
    arguments: Mapping[str, ArgumentSpec]
    """By name, aliases included."""
    environment: Mapping[str, Mapping[str, Any]]
    """By environment variable: `type`, and `unread` or `deprecated`."""

    def canonical(self, name: str) -> str:
        """Longest name of argument `name`; `name` itself where it is unknown."""
        known = self.arguments.get(name)
        return known.name if known else name


@functools.cache
def catalog(sglang: str, dynamo: str) -> Catalog:
    """The catalog of a pair of releases."""
    server, own = _read(f"sglang-{sglang}"), _read(f"dynamo-{dynamo}")
    arguments = {**_arguments(own["arguments"], "Dynamo"), **_arguments(server["arguments"], "SGLang")}
    environment = {**own["environment"], **server["environment"]}
    return Catalog(sglang, dynamo, arguments, environment)


def of(profile: DynamoProfile) -> Catalog:
    """The catalog of what `profile` runs."""
    return catalog(profile.sglang, profile.version)


@dataclass(frozen=True)
class Parallelism:
    """Parallelism of one replica of a role."""

    tensor: int
    data: int
    expert: int
    pipeline: int
    attention: bool
    """Whether data parallelism is inside the tensor-parallel group (`enable-dp-attention`)."""

    @property
    def gpus(self) -> int:
        """GPUs of one replica: data parallelism multiplies them unless it is inside the tensor-parallel group."""
        return self.tensor * self.pipeline * (1 if self.attention else self.data)


@dataclass(frozen=True)
class Values:
    """Typed access to a role's arguments by their longest names; a value of the wrong type counts as not set."""

    written: Mapping[str, tuple[str, Argument]]
    """By longest name: the name as written, and the value."""

    def text(self, name: str) -> str | None:
        """Text of `name`."""
        found = self.written.get(name)
        return None if found is None or isinstance(found[1], (bool, tuple)) else str(found[1])

    def number(self, name: str) -> float | None:
        """Number of `name`."""
        text = self.text(name)
        return float(text) if text is not None and re.fullmatch(_NUMBERS["float"][0], text) else None

    def integer(self, name: str) -> int | None:
        """Whole number of `name`."""
        text = self.text(name)
        return int(text) if text is not None and re.fullmatch(_NUMBERS["int"][0], text) else None

    def largest(self, name: str) -> int | None:
        """Largest whole number of `name`, which takes several."""
        found = self.raw(name)
        numbers = [str(one) for one in (found if isinstance(found, tuple) else (found,))]
        return max(map(int, numbers)) if all(re.fullmatch(_NUMBERS["int"][0], one) for one in numbers) else None

    def flag(self, name: str) -> bool:
        """Whether flag `name` is set."""
        return name in self.written and self.written[name][1] is True

    def name(self, name: str) -> str:
        """`name` as written in this role."""
        found = self.written.get(name)
        return found[0] if found else name

    def raw(self, name: str) -> Argument | None:
        """Value of `name` as written."""
        found = self.written.get(name)
        return found[1] if found else None

    @property
    def parallelism(self) -> Parallelism:
        """Sizes of the parallel groups; SGLang's default for each is 1."""
        sizes = [self.integer(f"{kind}-parallel-size") for kind in ("tensor", "data", "expert", "pipeline")]
        tensor, data, expert, pipeline = (1 if size is None else size for size in sizes)
        return Parallelism(tensor, data, expert, pipeline, self.flag("enable-dp-attention") and data > 1)


def values(arguments: Arguments, known: Catalog) -> Values:
    """Typed access to `arguments`."""
    return Values({known.canonical(name): (name, value) for name, value in arguments.items()})


def check(layout: Layout, profile: DynamoProfile) -> Iterator[Problem]:
    """Problems with single arguments of both roles."""
    known = of(profile)
    for role in WORKER_ROLES:
        yield from _twice(layout, role, known)
        for name, value in layout.arguments(role).items():
            found = _one(name, value, known, profile)
            if found is not None:
                yield Problem(layout.key(role, name), HIDDEN if name in SECRET else value, *found)


def warnings(layout: Layout, profile: DynamoProfile) -> Iterator[str]:
    """Deprecated arguments that the release still accepts."""
    known = of(profile)
    for role in WORKER_ROLES:
        for name in layout.arguments(role):
            entry = known.arguments.get(name)
            # Where a file takes the old name only, there is nothing to do.
            if entry is not None and entry.action == "DeprecatedAction" and name not in entry.refused:
                instead = f"; use {entry.instead}" if entry.instead else ""
                yield f"{layout.key(role, name)}: deprecated in SGLang {known.sglang}{instead}."


def _one(name: str, value: Argument, known: Catalog, profile: DynamoProfile) -> tuple[str, str] | None:
    """Rule and fix of what is wrong with one argument."""
    entry = known.arguments.get(name)
    unsafe = unsafe_settings.of_argument(entry.name if entry else name)
    if unsafe is not None:
        return unsafe
    if entry is None:
        return _unknown(name, known)
    return _place(entry, profile) or _reader(name, entry, known) or _value(entry, value)


def _unknown(name: str, known: Catalog) -> tuple[str, str]:
    rule = f"SGLang {known.sglang} has no argument of this name"
    if name.startswith("-"):
        return f"{rule}: dashes in front are not written", f"write {name.lstrip('-')}"
    if name in RENAMED:
        return rule, f"write {RENAMED[name]}"
    dashed = name.replace("_", "-")
    if dashed in known.arguments:
        return rule, f"write {dashed}"
    others = [other for other in RELEASES if other != known.sglang and name in _names(other)]
    close = difflib.get_close_matches(name, known.arguments, n=1, cutoff=0.6)
    guess = f"did you mean {close[0]!r}? or leave it out" if close else "leave it out"
    if others:
        fix = "leave it out, or choose a Dynamo release or an image with such an SGLang"
        return f"{rule}, but {_span(others)}", fix
    return rule, guess


def _span(having: list[str]) -> str:
    """Which releases have it: each one, or the first and the last where all between them do."""
    known = list(RELEASES)
    first, last = known.index(having[0]), known.index(having[-1])
    if len(having) > 2 and having == known[first : last + 1]:
        return f"{having[0]} to {having[-1]} have"
    return f"{', '.join(having)} {'has' if len(having) == 1 else 'have'}"


def _place(entry: ArgumentSpec, profile: DynamoProfile) -> tuple[str, str] | None:
    """Problem with an argument that the server knows but that may not be in the file."""
    if entry.name in INJECTED:
        return "the Dynamo operator gives this argument itself", "leave it out"
    if entry.name in GIVEN:
        return "the start script gives this argument itself", "leave it out"
    if entry.name in SECRET:
        return "a secret would be in plaintext in a ConfigMap, and dynamo.sglang does not need it", "leave it out"
    if entry.owner == "Dynamo" and not profile.own_arguments_in_config:
        rule = f"it belongs to dynamo.sglang {profile.version}, whose --config takes arguments of SGLang only"
        return rule, "leave it out, or set the environment variable that dynamo.sglang has for it"
    return None


def _reader(name: str, entry: ArgumentSpec, known: Catalog) -> tuple[str, str] | None:
    """Problem with a name that the `--config` reader refuses."""
    if name not in entry.refused:
        return None
    others = sorted({other for other, spec in known.arguments.items() if spec == entry} - entry.refused)
    fix = f"write {others[0] if others else entry.instead}" if others or entry.instead else "leave it out"
    if entry.name in GRAPHS and "cuda-graph-config" in known.arguments:
        config = {phase: {"backend": kind} for phase, kind in GRAPHS[entry.name].items()}
        fix = f"leave it out, or write cuda-graph-config: '{json.dumps(config)}'"
    if entry.action.startswith("Deprecated"):
        return f"deprecated in SGLang {known.sglang}, whose --config reader refuses it", fix
    if entry.action in ("store", "store_true"):
        return f"the --config reader of SGLang {known.sglang} refuses this name", fix
    return f"the --config reader of SGLang {known.sglang} takes flags and values only", fix


def _value(entry: ArgumentSpec, value: Argument) -> tuple[str, str] | None:
    if entry.flag:
        return None if isinstance(value, bool) else ("a flag takes no value", "write true to set it, or leave it out")
    if isinstance(value, tuple):
        return _listed(entry, value)
    if isinstance(value, bool):
        if entry.action == "DeprecatedAction":
            return None
        return "it takes a value, not true or false", f"give {_expected(entry)}, or leave it out"
    return _typed(entry, str(value))


def _listed(entry: ArgumentSpec, values: tuple[str | int | float, ...]) -> tuple[str, str] | None:
    if not entry.several:
        return "it takes one value, not a list", f"give {_expected(entry)}, or leave it out"
    return next(filter(None, (_typed(entry, str(one)) for one in values)), None)


def _typed(entry: ArgumentSpec, text: str) -> tuple[str, str] | None:
    pattern, description = _NUMBERS.get(entry.type, ("", ""))
    if pattern and not re.fullmatch(pattern, text):
        return f"it takes {description}", f"give {description}, or leave it out"
    if entry.choices and text not in {str(choice) for choice in entry.choices}:
        close = difflib.get_close_matches(text, [str(choice) for choice in entry.choices], n=1, cutoff=0.5)
        guess = f"did you mean {close[0]!r}? " if close else ""
        return "it takes one of the values that the release lists", f"{guess}choose one of {_choices(entry)}"
    if (entry.json or text.lstrip()[:1] in ("{", "[")) and not _is_json(text):
        return "it must be valid JSON", "write one quoted JSON string, double quotes inside"
    return None


def _twice(layout: Layout, role: WorkerRole, known: Catalog) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, value in layout.arguments(role).items():
        first = seen.setdefault(known.canonical(name), name)
        if first != name:
            rule = f"it is another name of {first}, which is given too"
            yield Problem(layout.key(role, name), value, rule, f"keep one of the two; as an override, write {first}")


def _expected(entry: ArgumentSpec) -> str:
    if entry.choices:
        return f"one of {_choices(entry)}"
    return _NUMBERS.get(entry.type, ("", "a string"))[1]


def _choices(entry: ArgumentSpec) -> str:
    return ", ".join(str(choice) for choice in entry.choices)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _names(sglang: str) -> Mapping[str, ArgumentSpec]:
    return _arguments(_read(f"sglang-{sglang}")["arguments"], "SGLang")


def _arguments(entries: Mapping[str, Mapping[str, Any]], owner: str) -> dict[str, ArgumentSpec]:
    found: dict[str, ArgumentSpec] = {}
    for name, entry in entries.items():
        known = ArgumentSpec(
            name=name,
            action=entry["action"],
            type=entry.get("type", "str"),
            choices=tuple(entry.get("choices", ())),
            several=entry.get("nargs") in ("+", "*"),
            json=entry.get("json", False),
            instead=entry.get("instead"),
            refused=frozenset(entry.get("refused", ())),
            owner=owner,
        )
        for alias in (name, *entry.get("aliases", ())):
            found[alias] = known
    return found


@functools.cache
def _read(name: str) -> dict[str, Any]:
    return json.loads((CATALOG / f"{name}.json").read_text(encoding="utf-8"))

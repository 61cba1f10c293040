"""Changes: what a preview says to each field of an environment's config, changed alone.

The table is made by the engine's preview on a deployed environment and stands in `docs/reference/changes.md`; a test
regenerates it and compares. Nothing that holds GPUs, a node pool or a graph, may be replaced by a change that need not.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal import CloudState, ConfigError, Rehearsal, RehearsalError, Step, seeds
from rehearsal.run import ROOT, RUNS_AGAIN
from rehearsal.simulator import EmbeddedCloud
from tests.resilience import life
from tests.resilience.life import ProofError, Say, Tally
from tests.resilience.order import DOMAIN, GRAPH, InvariantChecker

DOCUMENT = ROOT / "docs" / "reference" / "changes.md"
SECRETS = ("ngcApiKey", "hfToken")
GPU_HOLDERS = ("gcp:container/nodePool:NodePool", GRAPH)
_OPS = {"create": "create", "update": "update", "delete": "delete", "replace": "**replace**"}


@dataclass(frozen=True)
class Case:
    """One field, changed alone."""

    key: str
    """Dotted path below the project's namespace; `[0]` steps into a list."""
    value: Any
    """The new value."""
    replaces: tuple[str, ...] = ()
    """Ends of the logical names of GPU holders that this change may replace, because it must."""
    only: str = ""
    """The environment that has this field; empty: both."""
    also: tuple[tuple[str, Any], ...] = ()
    """Other fields that must follow."""
    note: str = ""
    """What the preview cannot know."""

    def apply(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The top-level config keys that the change rewrites."""
        found: dict[str, Any] = {}
        for key, value in ((self.key, self.value), *self.also):
            found |= _changed({**raw, **found}, key, value)
        return found


def _changed(raw: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    full = key if ":" in key else f"dynamo-a4x:{key}"
    top, *steps = full.replace("[", ".[").split(".")
    content: Any = copy.deepcopy(raw.get(top))
    if not steps:
        return {top: value}
    content = {} if content is None else content
    place = content
    for step, following in itertools.pairwise(steps):
        place = place[int(step[1:-1])] if step.startswith("[") else place.setdefault(step, _empty(following))
    last = steps[-1]
    if last == "[+]":
        place.append(value)
    elif last.startswith("["):
        place[int(last[1:-1])] = value
    else:
        place[last] = value
    return {top: content}


def _empty(following: str) -> Any:
    return [] if following.startswith("[") else {}


_POOL, _GRAPH = "domain-a4x-0-pool", "-graph"
_EVERYTHING = (_POOL, "system", _GRAPH)
_SUBBLOCK = "projects/my-project/reservations/a4x/reservationBlocks/a4x-block-0001/reservationSubBlocks/"
_FIRST = "; take the stack away first (`stacks: []` and `up`): here it is refused under a graph, a real cluster evicts"
_UNGUARDED = "; take the stack away first (`stacks: []` and `up`): Helm takes the platform from under a graph"
_NEVER = "; refused at preview while `protect` is on; else it stops half-way, and only a destroy leads out"
_SCHEDULER = "; on 0.7 the operator notices when it is restarted (releases.md)"
CASES: tuple[Case, ...] = (
    Case("projectNumber", "210987654321"),
    Case("protect", True),
    Case("workloadIdentity", "serviceAccount"),
    Case("cluster.name", "a4x-other", replaces=_EVERYTHING, only="dev"),
    Case("cluster.name", "a4x-other", replaces=_EVERYTHING, only="prod", note=_NEVER),
    Case("cluster.version", "1.34", only="prod"),
    Case("cluster.channel", "STABLE", only="prod"),
    Case("cluster.addressRange", "10.32.0.0/12", replaces=_EVERYTHING, only="prod", note=_NEVER),
    Case("cluster.dnsEndpoint", False, only="prod"),
    Case("cluster.rdma", "dranet", replaces=(_POOL, _GRAPH), only="prod", note=_FIRST),
    Case("cluster.dranetNetworkAdmin", True, only="prod", also=(("cluster.rdma", "dranet"),), replaces=(_POOL, _GRAPH)),
    Case("cluster.authorizedNetworks", ["203.0.113.0/24"], only="prod"),
    Case("domains[0].name", "a4x-9", (_POOL, _GRAPH), also=(("stacks[0].domain", "a4x-9"),)),
    Case("domains[0].zone", "us-central1-a", replaces=_EVERYTHING, only="prod", note=_FIRST),
    Case("domains[0].nodes", 17, only="prod"),
    Case("domains[0].nodes", 1, only="dev"),
    Case(
        "domains[0].reservation",
        f"{_SUBBLOCK}a4x-block-0001-subblock-0002",
        replaces=(_POOL,),
        only="prod",
        note=_FIRST,
    ),
    Case("domains[0].nodeVersion", "1.35.1-gke.1000000", only="prod", note="; nodes are upgraded one by one"),
    Case("domains[0].fabricTest.nodes", 2, note="...; take the stack away first (`stacks: []` and `up`)"),
    Case("domains[0].pricePerGpuHour", 10.5),
    Case(
        "domains[+]",
        {
            "name": "a4x-1",
            "mode": "create",
            "zone": "us-central1-b",
            "nodes": 18,
            "reservation": f"{_SUBBLOCK}a4x-block-0001-subblock-0002",
        },
        only="prod",
    ),
    Case("domains[+]", {"name": "a4x-1", "mode": "adopt", "zone": "us-central1-b", "nodes": 2}, only="dev"),
    Case("modelBucket.name", "other-models"),
    Case("modelBucket.download", True, only="dev"),
    Case("modelBucket.download", False, only="prod"),
    Case("modelBucket.forceDestroy", False, only="prod"),
    Case("dynamo.version", "0.7.1"),
    Case("dynamo.chartSource", "https://charts.example.com/dynamo"),
    Case("dynamo.chartLogin", True),
    Case("dynamo.systemTolerations", True),
    Case("dynamo.namespace", "dynamo-other", note=_UNGUARDED),
    Case("kai.mode", "none", note=_SCHEDULER),
    Case("kai.version", "0.16.8"),
    Case("draDriver.version", "25.12.1"),
    Case("nodeSoftware.gibVersion", "v1.0.8", only="prod"),
    Case("nodeSoftware.installNccl", False, only="prod"),
    Case("nodeSoftware.gpuDriverVersion", "LATEST", replaces=(_POOL,), only="prod", note=_FIRST),
    Case("stacks[0].name", "r1-other", replaces=(_GRAPH,)),
    Case("stacks[0].layout", "deepseek-r1-fp8-1p1d", replaces=(_GRAPH,), only="prod"),
    Case("stacks[0].image", "example.com/worker:2"),
    Case("stacks[0].frontend.replicas", 3),
    Case("stacks[0].frontend.placement", "system"),
    Case("stacks[0].frontend.image", "example.com/frontend:2"),
    Case("stacks[0].overrides.decode.arguments", {"watchdog-timeout": 2000000}),
    Case("stacks[0].wait", False),
    Case("stacks[0].readiness.deadlineMinutes", 60),
    Case("stacks[0].readiness.unschedulableMinutes", 20),
    Case("stacks[0].benchmark", False),
    Case("stacks", []),
    Case("ngcApiKey", "another-key"),
    Case("hfToken", "another-token"),
)


def raw_config(environment: str) -> dict[str, Any]:
    """The environment's config as its file has it, without protection."""
    path: Path = ROOT / f"Pulumi.{environment}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    return {**content, **life.UNPROTECTED}


@dataclass(frozen=True)
class Row:
    """What a preview said to one change."""

    case: Case
    steps: tuple[str, ...]
    refused: str = ""

    def line(self) -> str:
        """The row of the table."""
        what = self.refused or ", ".join(self.steps) or "no resource changes"
        what += self.case.note
        value = self.case.value if not isinstance(self.case.value, dict) else self.case.value.get("name", "...")
        return f"| `{self.case.key}` | `{value}` | {what} |"


def rows(environment: str, say: Say = lambda _: None) -> list[Row]:
    """Preview every change of an environment, alone, on the deployed environment."""
    found: list[Row] = []
    raw = raw_config(environment)
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        for case in CASES:
            if case.only in ("", environment):
                found.append(_row(rehearsal, raw, case))
                if len(found) % 10 == 0:
                    say(f"  {environment}: {len(found)} changes previewed")
    return found


def _row(rehearsal: Rehearsal, raw: Mapping[str, Any], case: Case) -> Row:
    if case.key in SECRETS:
        with rotated(rehearsal, case):
            return Row(case, _steps(rehearsal.preview().changed))
    changes = case.apply(raw)
    try:
        rehearsal.set_config(changes)
    except ConfigError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Row(case, (), f"refused before anything: {' '.join(lines[1:3])[:160]}")
    _plant_missing(rehearsal)
    error = life.failed(rehearsal.preview)
    changed = rehearsal.phases[-1].changed
    rehearsal.set_config({key: raw.get(key) for key in changes})
    if error is not None:
        return Row(case, (), f"refused at preview: {error.causes[0][:160]}")
    _no_needless_replacement(case, changed)
    return Row(case, _steps(changed))


@contextlib.contextmanager
def rotated(rehearsal: Rehearsal, case: Case) -> Iterator[None]:
    """Another value for a secret, for a while."""
    rehearsal.cli(["config", "set", "--secret", case.key], text=case.value)
    yield
    rehearsal.cli(["config", "set", "--secret", case.key], text=rehearsal.secrets[case.key])


def _no_needless_replacement(case: Case, changed: Sequence[Step]) -> None:
    for step in changed:
        gone = step.op in ("replace", "delete-replaced", "delete")
        if gone and step.kind in GPU_HOLDERS and not any(end in step.name for end in case.replaces):
            if case.key == "stacks" and step.op == "delete":
                continue
            raise ProofError(f"{case.key} = {case.value} needlessly takes {step} away")


def _steps(changed: Sequence[Step]) -> tuple[str, ...]:
    """Operations and logical names; a replacement is one word, and many of one operation are counted."""
    shown: dict[str, list[str]] = {}
    for step in changed:
        op = _OPS.get(step.op)
        if op is not None and not step.runs_again and not step.kind.startswith(("dynamo-a4x:", "pulumi:pulumi:")):
            shown.setdefault(op, []).append(step.name)
    lines: list[str] = []
    for op in _OPS.values():
        names = sorted(set(shown.get(op, [])))
        if len(names) > _MANY:
            holders = [name for name in names if name.endswith(("-pool", "-graph", "-cluster"))]
            more = f", with {', '.join(holders)}" if holders else ""
            lines.append(f"{op} {len(names)} resources{more}")
        elif names:
            lines.append(f"{op} {', '.join(names)}")
    if any(step.runs_again for step in changed):
        lines.append(RUNS_AGAIN)
    return tuple(lines)


_MANY = 8


def _plant_missing(rehearsal: Rehearsal) -> None:
    """Let stand what a change of config adopts."""
    beside = EmbeddedCloud(CloudState())
    seeds.plant(beside, rehearsal.settings)
    for resource in beside.state:
        if rehearsal.state.get(resource.kind, resource.id, resource.scope) is None:
            rehearsal.state.add(resource)


def table(environment: str, found: Sequence[Row]) -> str:
    """The part of the document that belongs to an environment."""
    head = f"## `{environment}`\n\n| key | new value | what `pulumi up` does |\n|---|---|---|\n"
    return head + "\n".join(row.line() for row in found) + "\n"


def documented(environment: str) -> str:
    """The same part, as the document has it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    start = text.find(f"## `{environment}`")
    end = text.find("\n## ", start + 1)
    return text[start : end + 1 if end > 0 else len(text)].rstrip("\n") + "\n"


# Changes that are carried out


def applied(environment: str, say: Say, short: bool = False) -> Tally:
    """Carry the interesting changes out, one after the other on one environment, under the eyes of the witness.

    The short form has a new key, and what cannot be done in one step.
    """
    tally = Tally(f"{environment}, changes carried out")
    started = time.monotonic()
    raw = raw_config(environment)
    with life.rehearse(environment) as rehearsal:
        rehearsal.up()
        for what, case in _LIVE:
            if case.only not in ("", environment) or (short and case.key != "hfToken"):
                continue
            _live(rehearsal, raw, what, case)
            tally.tried += 1
            tally.survived += 1
            say(f"  {environment}: {what}, and back")
        for what, carry_out in _IN_STEPS[environment]:
            carry_out(rehearsal, raw)
            tally.tried += 1
            tally.survived += 1
            say(f"  {environment}: {what}")
        rehearsal.destroy()
        life.require_empty(rehearsal, "after the changes")
    tally.seconds = time.monotonic() - started
    return tally


def _live(rehearsal: Rehearsal, raw: Mapping[str, Any], what: str, case: Case) -> None:
    """There and back again, each way with a look at the order."""
    before = {resource.id for resource in rehearsal.state.find(GRAPH)}
    changes = {} if case.key in SECRETS else case.apply(raw)
    with rotated(rehearsal, case) if case.key in SECRETS else contextlib.nullcontext():
        rehearsal.set_config(changes)
        _watched(rehearsal, what)
        rehearsal.up_without_change()
    kept = before & {resource.id for resource in rehearsal.state.find(GRAPH)}
    if bool(kept) == bool(case.replaces):
        raise ProofError(f"{what}: the graph was {'kept' if kept else 'replaced'}")
    rehearsal.set_config({key: raw.get(key) for key in changes})
    _watched(rehearsal, f"{what}, and back")


def _renamed(rehearsal: Rehearsal, raw: Mapping[str, Any]) -> None:
    """Another name for a stack in a full domain: at once there is no room, in two steps there is."""
    renamed = Case("stacks[0].name", "r1-other").apply(raw)
    rehearsal.set_config(renamed)
    error = life.failed(rehearsal.up)
    if error is None or "are free" not in str(error.causes):
        raise ProofError(f"two stacks found room in one domain: {error}")
    # The API server took the second graph, and its pods wait: both are there until this step takes them away.
    rehearsal.set_config({"dynamo-a4x:stacks": []})
    rehearsal.up("both names taken away")
    life.require_clean(rehearsal, "both names taken away")
    rehearsal.set_config(renamed)
    _watched(rehearsal, "the new name")


def _moved(rehearsal: Rehearsal, raw: Mapping[str, Any]) -> None:
    """A domain on another sub-block: refused while it serves, done once its stack was taken away."""
    _in_two_steps(rehearsal, raw, "domains[0].reservation", _refused_while_serving)


def _rezoned(rehearsal: Rehearsal, raw: Mapping[str, Any]) -> None:
    """A domain in another zone, which takes another RoCE network, in the same way."""
    _in_two_steps(rehearsal, raw, "domains[0].zone", _refused_while_serving)


def _refused_while_serving(error: RehearsalError | None, _: InvariantChecker) -> bool:
    return error is not None and "serving must go first" in str(error.causes)


def _resettled(rehearsal: Rehearsal, raw: Mapping[str, Any]) -> None:
    """The platform in another namespace: nobody refuses it, and the graph is without its platform for a while."""

    def seen(_: RehearsalError | None, checker: InvariantChecker) -> bool:
        return any("lives without dynamo-platform" in wrong for wrong in checker.wrong)

    _in_two_steps(rehearsal, raw, "dynamo.namespace", seen)


def _in_two_steps(
    rehearsal: Rehearsal,
    raw: Mapping[str, Any],
    key: str,
    forbidden: Callable[[RehearsalError | None, InvariantChecker], bool],
) -> None:
    """A change that a running graph forbids: at once it is refused or does damage, and the old value leads back."""
    changed = next(case for case in CASES if case.key == key).apply(raw)
    old = {name: raw.get(name) for name in changed}
    rehearsal.set_config(changed)
    checker = InvariantChecker(rehearsal)
    checker.arm()
    error = life.failed(rehearsal.up)
    rehearsal.cloud.faults.clear()
    if not forbidden(error, checker):
        raise ProofError(f"{key} was changed under a graph, and nobody noticed: {error}")
    rehearsal.set_config(old)
    rehearsal.up(f"{key} as it was")
    rehearsal.up_without_change()
    life.require_clean(rehearsal, f"{key} as it was")
    # In one step the engine would replace what the stack stands on before it takes the stack away.
    for what, config in (
        (f"{key}: the stack taken away", {"dynamo-a4x:stacks": []}),
        (f"{key} changed", changed),
        (f"{key}: the stack again", {"dynamo-a4x:stacks": raw["dynamo-a4x:stacks"]}),
        (f"{key}: the stack taken away again", {"dynamo-a4x:stacks": []}),
        (f"{key} changed back", old),
        (f"{key}: as in the beginning", {"dynamo-a4x:stacks": raw["dynamo-a4x:stacks"]}),
    ):
        rehearsal.set_config(config)
        _watched(rehearsal, what)


def _protected(rehearsal: Rehearsal, raw: Mapping[str, Any]) -> None:
    """With `protect`, what would replace the cluster or a pool is refused by a preview, and an `up` touches nothing."""
    rehearsal.set_config({"dynamo-a4x:protect": True})
    _watched(rehearsal, "protection on")
    for key in ("cluster.name", "cluster.addressRange", "domains[0].zone", "domains[0].reservation"):
        changed = next(case for case in CASES if case.key == key and case.only in ("", "prod")).apply(raw)
        rehearsal.set_config(changed)
        for run in (rehearsal.preview, rehearsal.up):
            before = len(rehearsal.state.journal)
            error = life.failed(run)
            if error is None or "marked for protection" not in str(error.causes):
                raise ProofError(f"protection let {key} pass: {error}")
            done = [
                e for e in rehearsal.state.journal[before:] if e.op in ("create", "update", "delete") and not e.preview
            ]
            if done:
                raise ProofError(f"{key} was refused by protection after {', '.join(f'{e.op} {e.name}' for e in done)}")
        rehearsal.set_config({name: raw.get(name) for name in changed})
    rehearsal.set_config(life.UNPROTECTED)
    _watched(rehearsal, "protection off")


def _stranded(rehearsal: Rehearsal, raw: Mapping[str, Any]) -> None:
    """Without protection another name of the cluster stops half-way; a destroy, which comes next, leads out."""
    rehearsal.set_config(next(case for case in CASES if case.key == "cluster.name" and case.only == "prod").apply(raw))
    if life.failed(rehearsal.up) is None:
        raise ProofError("a cluster was replaced under everything in it")


_IN_STEPS: Mapping[str, tuple[tuple[str, Callable[[Rehearsal, Mapping[str, Any]], None]], ...]] = {
    "dev": (
        ("another name for a stack, and no room for both", _renamed),
        ("another namespace for the platform, and back", _resettled),
    ),
    "prod": (
        ("another reservation for a domain, and back", _moved),
        ("another zone for a domain, and back", _rezoned),
        ("another namespace for the platform, and back", _resettled),
        ("what protection refuses", _protected),
        ("another name for the cluster, and the destroy that leads out", _stranded),
    ),
}


def _watched(rehearsal: Rehearsal, what: str) -> None:
    checker = InvariantChecker(rehearsal)
    checker.arm()
    rehearsal.up(what)
    rehearsal.cloud.faults.clear()
    checker.require(what)
    _in_order(checker, what)
    life.require_clean(rehearsal, what)


_LIVE: tuple[tuple[str, Case], ...] = (
    ("10p8d to 1p1d", Case("stacks[0].layout", "deepseek-r1-fp8-1p1d", replaces=(_GRAPH,), only="prod")),
    ("a new image", Case("stacks[0].image", "example.com/worker:2")),
    ("Dynamo 0.7.0 to 0.7.1", Case("dynamo.version", "0.7.1")),
    ("one more domain", next(case for case in CASES if case.key == "domains[+]" and case.only == "prod")),
    ("a server argument", Case("stacks[0].overrides.decode.arguments", {"watchdog-timeout": 2000000})),
    ("a new Hugging Face token", Case("hfToken", "another-token")),
    ("a new NGC key", Case("ngcApiKey", "another-key")),
    ("more frontends", Case("stacks[0].frontend.replicas", 3)),
)


def _in_order(checker: InvariantChecker, what: str) -> None:
    """The old graph is gone before the new one is made; the old ComputeDomain goes after the new one came."""
    made, gone = checker.position("create", GRAPH), checker.position("delete", GRAPH)
    if made and gone and min(made) < max(gone):
        raise ProofError(f"{what}: the new graph was made before the old one was gone")
    made, gone = checker.position("create", DOMAIN), checker.position("delete", DOMAIN)
    if made and gone and min(gone) < max(made):
        raise ProofError(f"{what}: the old ComputeDomain went before the new one came")
    if checker.most_graphs_on_a_node_pool > 1:
        raise ProofError(f"{what}: two graphs were on one node pool")


def proof(environment: str, short: bool, say: Say) -> list[Tally]:
    """The table against the document, and the changes carried out."""
    started = time.monotonic()
    found = rows(environment, say)
    if documented(environment) != table(environment, found):
        raise ProofError(
            f"docs/reference/changes.md differs for {environment}; rewrite it: python -m tests.resilience table"
        )
    tally = Tally(f"{environment}, changes previewed", len(found), len(found), 0, time.monotonic() - started)
    say(str(tally))
    return [tally, *([] if short else [applied(environment, say)])]


def write(say: Say) -> None:
    """Write the document again."""
    parts = [table(environment, rows(environment, say)) for environment in life.ENVIRONMENTS]
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    head = text[: text.find("## `dev`")] if "## `dev`" in text else _HEAD
    DOCUMENT.write_text(head + "\n".join(parts), encoding="utf-8")


_HEAD = """# What a change of the config does

Made by `python -m tests.resilience table`: each field is changed alone on the deployed environment, and the real
engine's preview says what would happen, against the embedded cloud's rules. `make test` checks the part of `dev`, `make
faults` both. A replaced graph means that the stack is down until the new one has loaded its weights; a replaced
node pool gives up to 72 GPUs back first, and is refused while `protect` is on.

"""

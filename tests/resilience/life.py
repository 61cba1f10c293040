"""What every proof needs: an environment in a rehearsal, its ledger against the cloud, and the way back from a loss.

The ledger compares two lists that must agree at every quiet moment: what the engine's state says there is, and
what the embedded cloud holds of the program's. An orphan exists and nobody knows it, a stale entry is known and does
not exist, a double exists twice for one resource.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from rehearsal import CloudResource, Rehearsal, RehearsalError
from rehearsal.run import ROOT
from rehearsal.simulator import finalizers
from rehearsal.simulator.provider import kind_of, name_of
from rehearsal.simulator.system_objects import NAMESPACE
from tests.resilience import language_host

ENVIRONMENTS = ("dev", "prod")
UNPROTECTED: Mapping[str, Any] = {"dynamo-a4x:protect": False}
"""A protected environment refuses to be destroyed before the engine asks the cloud anything; lifting it is proven
in the rehearsal itself."""

Say = Callable[[str], None]


class ProofError(Exception):
    """The program or the engine did not do what it should. The text says what was seen instead."""


@dataclass
class Tally:
    """Counts of one proof."""

    name: str
    tried: int = 0
    survived: int = 0
    orphans: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        more = f"; {'; '.join(self.notes)}" if self.notes else ""
        return (
            f"{self.name}: {self.tried} tried, {self.survived} survived, {self.orphans} orphans, "
            f"{self.seconds:.0f} s{more}"
        )


DRANET = "+dranet"
"""Ends the name of an environment that is proven with DRANET in place of multi-networking."""
VARIANTS = tuple(f"{environment}{DRANET}" for environment in ENVIRONMENTS)


def rehearse(environment: str, config: Mapping[str, Any] | None = None, **options: Any) -> Rehearsal:
    """A rehearsal of an environment without protection, with `config` laid over its file."""
    name = environment.removesuffix(DRANET)
    changes = {**UNPROTECTED, **(config or {})}
    if environment != name:
        file = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))["config"]
        cluster = changes.get("dynamo-a4x:cluster", file["dynamo-a4x:cluster"])
        changes["dynamo-a4x:cluster"] = {**cluster, "rdma": "dranet"}
    return Rehearsal(name, config=changes, **options)


def resources(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources of an exported state that a cloud holds: no components, no providers."""
    found = state.get("deployment", {}).get("resources") or []
    return [r for r in found if r.get("custom") and not r.get("external") and not _is_provider(str(r["type"]))]


def pending(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations that a state says were under way."""
    return list(state.get("deployment", {}).get("pending_operations") or [])


def _is_provider(kind: str) -> bool:
    return kind.startswith("pulumi:providers:")


def stateless(kind: str) -> bool:
    """Whether objects of this kind exist in the engine's state only: a random value that is lost is no orphan."""
    return kind.startswith("random:")


def in_the_cloud(rehearsal: Rehearsal) -> list[CloudResource]:
    """What a cloud holds of the program's."""
    return [resource for resource in rehearsal.state.leftovers() if not stateless(resource.kind)]


def patched(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """The patches that a cloud carries, as the state names them: an object's patch has the object's id."""
    return [(f"{resource.kind}Patch", resource.id) for resource in rehearsal.state for _ in resource.applied]


def spoken(urn: str) -> str:
    """A resource as messages name it: its kind and its name."""
    return f"{kind_of(urn)} {name_of(urn)}"


@dataclass(frozen=True)
class Ledger:
    """Where the state and the cloud disagree."""

    orphans: tuple[str, ...]
    stale: tuple[str, ...]
    doubles: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether they agree."""
        return not (self.orphans or self.stale or self.doubles)

    def __str__(self) -> str:
        parts = {"orphans": self.orphans, "stale entries": self.stale, "doubles": self.doubles}
        return "; ".join(f"{name}: {', '.join(values)}" for name, values in parts.items() if values) or "clean"


def ledger(rehearsal: Rehearsal, mine: Callable[[CloudResource], bool] = lambda _: True) -> Ledger:
    """Compare the state with what the cloud holds of the program's (of `mine`, where two programs share it)."""
    entries = [r for r in resources(rehearsal.export()) if not stateless(str(r["type"]))]
    known = Counter((str(r["type"]), str(r["id"])) for r in entries)
    held = [resource for resource in in_the_cloud(rehearsal) if mine(resource)]
    real = Counter([*((resource.kind, resource.id) for resource in held), *patched(rehearsal)])
    urns = Counter(resource.urn for resource in held)
    return Ledger(
        orphans=tuple(f"{kind} {id_}" for kind, id_ in (real - known)),
        stale=tuple(f"{kind} {id_}" for kind, id_ in (known - real)),
        doubles=tuple(spoken(urn) for urn, count in urns.items() if count > 1 and urn),
    )


def require_clean(rehearsal: Rehearsal, when: str) -> None:
    """Raise `ProofError` unless the state and the cloud agree."""
    found = ledger(rehearsal)
    if not found.clean:
        raise ProofError(f"{when}: {found}")


def require_empty(rehearsal: Rehearsal, when: str) -> None:
    """Raise `ProofError` unless nothing of the program's is left."""
    left = [*in_the_cloud(rehearsal), *(f"{kind.rsplit(':', 1)[-1]} {id_}" for kind, id_ in patched(rehearsal))]
    if left:
        raise ProofError(f"{when}: left in the cloud: {', '.join(map(str, left))}")


def free_hanging_namespaces(rehearsal: Rehearsal) -> bool:
    """The way back that the runbook gives for a driver's namespace in Terminating; whether there was one."""
    state = rehearsal.state
    if not state.find(NAMESPACE, where=lambda resource: resource.dying):
        return False
    for resource in state.find(where=finalizers.is_daemon):
        state.remove(resource.key)
    rehearsal.refresh(run_program=False)
    return True


def finish(rehearsal: Rehearsal, when: str) -> None:
    """The wanted state: an `up` that succeeds, one that changes nothing, and a clean ledger."""
    rehearsal.up()
    rehearsal.up_without_change()
    require_clean(rehearsal, when)


def adopt_lost(rehearsal: Rehearsal, urns: Iterable[str]) -> int:
    """Bring objects into the state that exist and that the engine never learned of, as the runbook says.

    `pulumi preview --import-file` writes down everything that it would create; what exists keeps its line and gets
    its id, the rest is struck out; `pulumi import` reads it. Returns how many were imported.
    """
    wanted = set(urns)
    made = {resource.urn: resource.id for resource in in_the_cloud(rehearsal)}
    path = rehearsal.folder / "lost.json"
    rehearsal.preview("preview --import-file", import_file=str(path))
    content = json.loads(path.read_text(encoding="utf-8"))
    names = {(kind_of(urn), name_of(urn)): urn for urn in wanted}
    kept: list[dict[str, Any]] = []
    for line in content["resources"]:
        urn = names.get((line["type"], line.get("logicalName") or line["name"]))
        if urn is not None:
            kept.append({**line, "id": made[urn]})
    if len(kept) != len(wanted):
        raise ProofError(f"the import file lacks {len(wanted) - len(kept)} of {len(wanted)} lost objects")
    content["resources"] = kept
    path.write_text(json.dumps(content), encoding="utf-8")
    host = language_host.install(rehearsal.folder / "host")
    command = ["import", "--file", str(path), "--protect=false", "--generate-code=false", "--yes"]
    rehearsal.cli(command, variables=host)
    path.unlink()
    return len(kept)


def failed(action: Callable[[], Any]) -> RehearsalError | None:
    """The error that an action of the engine ends with, or None."""
    try:
        action()
    except RehearsalError as error:
        return error
    return None


def bound(rehearsal: Rehearsal) -> Callable[[Sequence[str], str | None], str]:
    """A runner for the commands of `recovery`, bound to the rehearsal's engine and state."""

    def run(arguments: Sequence[str], text: str | None) -> str:
        words = list(arguments)
        at = words.index("--stack")
        return rehearsal.cli(words[:at] + words[at + 2 :], text=text)

    return run

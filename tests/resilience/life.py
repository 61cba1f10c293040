"""What the tests share: an environment in a rehearsal, its ledger against the cloud, and the way back from a loss.

The ledger compares two lists that must agree at every quiet moment: what the engine's state says there is, and
what the embedded cloud holds of the program's. An orphan exists and nobody knows it, a stale entry is known and does
not exist, a double exists twice for one resource.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from rehearsal import CloudResource, Rehearsal, RehearsalError
from rehearsal.simulator.kubernetes import finalizers, patches
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.provider import kind_of, name_of
from settings import stack_file
from tests import stacks
from tests.resilience import language_host
from tools.platform_team import SHARED

DRANET = "+dranet"
"""Ends the name of an environment that is run with DRANET in place of multi-networking, and with its egress closed."""
FOREIGN = "+foreign"
"""Ends the name of an environment that is run as the example in a cluster and in namespaces of others."""
EVERY = ("dev", "prod", f"dev{DRANET}", f"prod{DRANET}")
UNPROTECTED: Mapping[str, Any] = {"dynamo-a4x:protect": False}
"""A protected environment refuses to be destroyed before the engine asks the cloud anything; lifting it is proven
in the rehearsal itself."""


class ProofError(Exception):
    """The program or the engine did not do what it should. The text says what was seen instead."""


def environments(*short: str) -> list[Any]:
    """Every environment as a parameter of a test; `make test` runs it with the `short` ones."""
    return [pytest.param(name, marks=() if name in short else pytest.mark.whole) for name in EVERY]


def whole(values: Iterable[Any]) -> list[Any]:
    """Parameters (each a value or a tuple of them) of which `make test` runs none."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.whole) for value in values
    ]


def rehearse(environment: str, config: Mapping[str, Any] | None = None, **options: Any) -> Rehearsal:
    """A rehearsal of an environment without protection, with `config` laid over its file."""
    name = environment.removesuffix(DRANET).removesuffix(FOREIGN)
    changes = {**UNPROTECTED, **(config or {})}
    if environment.endswith(FOREIGN):
        changes = {**dict.fromkeys(stacks.config(name)), **stack_file.read(SHARED), **changes}
        options.setdefault("secrets", {"hfToken": "made-up"})
    elif environment != name:
        cluster = Rehearsal(name, config=changes).config["dynamo-a4x:cluster"]
        changes["dynamo-a4x:cluster"] = {**cluster, "rdma": "dranet"}
        changes.setdefault("dynamo-a4x:isolation", {"egress": "private-googleapis"})
    return Rehearsal(name, config=changes, **options)


def resources(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources of an exported state that a cloud holds: no components, no providers."""
    found = state.get("deployment", {}).get("resources") or []
    return [
        r
        for r in found
        if r.get("custom") and not r.get("external") and not str(r["type"]).startswith("pulumi:providers:")
    ]


def known(rehearsal: Rehearsal) -> set[str]:
    """URNs of what the state has."""
    return {str(resource["urn"]) for resource in resources(rehearsal.export())}


def gone(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """Entries of what a replacement has deleted and not yet recreated."""
    return [resource for resource in resources(rehearsal.export()) if resource.get("pendingReplacement")]


def suffix(rehearsal: Rehearsal) -> str:
    """What to replace for another name of the graph: on Dynamo 0.7.0 one that is recreated needs it."""
    return f"**{rehearsal.settings.stacks[0].name}-suffix"


def stateless(kind: str) -> bool:
    """Whether objects of this kind exist in the engine's state only: a random value that is lost is no orphan."""
    return kind.startswith("random:")


def in_the_cloud(rehearsal: Rehearsal) -> list[CloudResource]:
    """What a cloud holds of the program's."""
    return [resource for resource in rehearsal.state.leftovers() if not stateless(resource.kind)]


def entries(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """Kind and id of everything that the state says a cloud holds."""
    found = resources(rehearsal.export())
    return [(str(r["type"]), str(r["id"])) for r in found if not stateless(str(r["type"]))]


def held(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """Kind and id of everything that a cloud holds of the program's, as a state names it."""
    return [*((resource.kind, resource.id) for resource in in_the_cloud(rehearsal)), *patched(rehearsal)]


def patched(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """The patches that a cloud carries, as the state names them: an object's patch has the object's id."""
    return [(f"{resource.kind}Patch", resource.id) for resource in rehearsal.state for _ in resource.applied]


def spoken(urn: str) -> str:
    """A resource as messages name it: its kind and its name."""
    return f"{kind_of(urn)} {name_of(urn)}"


def ledger(rehearsal: Rehearsal) -> dict[str, list[str]]:
    """Where the state and what the cloud holds of the program's disagree: orphans, stale entries, doubles."""
    state, real = Counter(entries(rehearsal)), Counter(held(rehearsal))
    urns = Counter(resource.urn for resource in in_the_cloud(rehearsal))
    found = {
        "orphans": [f"{kind} {id_}" for kind, id_ in real - state],
        "stale entries": [f"{kind} {id_}" for kind, id_ in state - real],
        "doubles": [spoken(urn) for urn, count in urns.items() if count > 1 and urn],
    }
    return {what: names for what, names in found.items() if names}


def require_clean(rehearsal: Rehearsal, when: str) -> None:
    """Raise `ProofError` unless the state and the cloud agree."""
    if found := ledger(rehearsal):
        raise ProofError(f"{when}: {found}")


def unapplied(rehearsal: Rehearsal) -> list[str]:
    """Fields of the state's patches that the patched objects do not have: an object is there without its patch."""
    found: list[str] = []
    for resource in resources(rehearsal.export()):
        kind = str(resource["type"])
        if patches.is_patch(kind, resource["inputs"].get("kind")):
            [live] = rehearsal.state.find(patches.target(kind), where=lambda live, id_=resource["id"]: live.id == id_)
            found += [
                f"{name_of(str(resource['urn']))}: {'.'.join(path)}"
                for path, value in patches.leaves(resource["inputs"])
                if not path[-1].startswith("pulumi.com/") and patches.dig_path(live.outputs, path) != value
            ]
    return found


def require_empty(rehearsal: Rehearsal, when: str) -> None:
    """Raise `ProofError` unless nothing of the program's is left."""
    left = [*in_the_cloud(rehearsal), *(f"{kind.rsplit(':', 1)[-1]} {id_}" for kind, id_ in patched(rehearsal))]
    if left:
        raise ProofError(f"{when}: left in the cloud: {', '.join(map(str, left))}")


def require_protected(rehearsal: Rehearsal, what: str) -> None:
    """Raise `ProofError` unless protection refuses a preview, and an `up` before it does anything."""
    for run in (rehearsal.preview, rehearsal.up):
        before = len(rehearsal.state.journal)
        error = failed(run)
        if error is None or not all("marked for protection" in cause for cause in error.causes):
            raise ProofError(f"protection let {what} pass: {error}")
        calls = [entry for entry in rehearsal.state.journal[before:] if not entry.preview]
        done = [f"{entry.op} {entry.name}" for entry in calls if entry.op in ("create", "update", "delete")]
        if done:
            raise ProofError(f"{what} was refused by protection after {', '.join(done)}")


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
    """The wanted state: an `up` that succeeds, one that changes nothing, a clean ledger, and every patch applied."""
    rehearsal.up()
    rehearsal.up_without_change()
    require_clean(rehearsal, when)
    if lacking := unapplied(rehearsal):
        raise ProofError(f"{when}: patches are in the state and not applied: {', '.join(lacking)}")


def adopt_lost(rehearsal: Rehearsal, urns: Iterable[str]) -> None:
    """Bring objects into the state that exist and that the engine never learned of, as the runbook says.

    `pulumi preview --import-file` writes down everything that it would create; what exists keeps its line and gets
    its id, the rest is struck out; `pulumi import` reads it.
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

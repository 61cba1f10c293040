"""Runs base and change of one environment in the real engine, and reports what the engine says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from change_report import fields, impact, stack_files
from change_report.model import (
    LONGEST_MESSAGE,
    MOST,
    Environment,
    FieldChange,
    Resource,
    Stack,
    short,
)
from change_report.trees import Tree
from rehearsal import ConfigError, Phase, Rehearsal, RehearsalError, Step
from rehearsal.run import Listener
from rehearsal.simulator.values import items, mapping, text
from rehearsal.simulator.workloads.serving import GPUS_PER_NODE
from rehearsal.timeline import plan

_STACK_LABEL: Final = "dynamo-a4x/stack"
"""Label that names the stack of a namespace, in the program of either side."""
_OPS: Final = ("replace", "delete", "update", "create")
_CONFIG_MAP: Final = "kubernetes:core/v1:ConfigMap"


Deployed: TypeAlias = Callable[[str, Tree], AbstractContextManager[Rehearsal]]
"""Gives a rehearsal that has deployed an environment of a checkout. Raises `ConfigError` or `RehearsalError`."""


@contextmanager
def deploy(name: str, base: Tree, *, listener: Listener | None) -> Generator[Rehearsal]:
    """Deploy an environment of the base in an embedded cloud of its own."""
    with Rehearsal(name, root=base.root, listener=listener) as rehearsal:
        rehearsal.up("base")
        yield rehearsal


def compare(name: str, base: Tree, head: Tree, deployed: Deployed, listener: Listener | None = None) -> Environment:
    """What the change does to one environment."""
    if name not in head.stacks:
        return Environment(name=name, removed=True)
    found = Environment(name=name, config=stack_files.changes(base, head, name))
    old, new = stack_files.project_name(base), stack_files.project_name(head)
    if old != new:
        renamed = (
            f"the project is renamed from {old!r} to {new!r}: its stacks are then others, and what this one has "
            "deployed is neither updated nor deleted. Rename it with `pulumi stack rename`, in its state as well"
        )
        return _failed(found, "config", ConfigError(renamed))
    if name not in base.stacks:
        return _created(found.model_copy(update={"base": "absent"}), head, listener)
    with ExitStack() as closing:
        try:
            rehearsal = closing.enter_context(deployed(name, base))
        except (ConfigError, RehearsalError) as error:
            failed = {"base": "failed", "base_error": short(str(error), LONGEST_MESSAGE)}
            return _created(found.model_copy(update=failed), head, listener)
        return _changed(rehearsal, found, base, head)


def _changed(rehearsal: Rehearsal, found: Environment, base: Tree, head: Tree) -> Environment:
    """What the change does to the environment of a rehearsal that has deployed the base."""
    before, known = rehearsal.export(), {said for phase in rehearsal.phases for said in phase.warnings}
    gpus, price, layouts = _gpus(rehearsal), _price(rehearsal), _layouts(rehearsal)
    try:
        rehearsal.move_to(head.root, stack_files.other_secrets(base, head, found.name))
    except (ConfigError, RehearsalError) as error:
        return _failed(found.model_copy(update={"gpus": (gpus, 0), "price": (price, None)}), "config", error)
    found = found.model_copy(
        update={
            "gpus": (gpus, _gpus(rehearsal)),
            "price": (price, _price(rehearsal)),
            **_secrets(rehearsal, head, found.name, stack_files.read(base, found.name).secrets),
        }
    )
    return _run_head(rehearsal, found, _Run(before, None, (layouts, _layouts(rehearsal)), known))


def _created(found: Environment, head: Tree, listener: Listener | None) -> Environment:
    """What the change creates where there is nothing to compare with."""
    try:
        rehearsal = Rehearsal(found.name, root=head.root, listener=listener)
    except ConfigError as error:
        return _failed(found, "config", error)
    with rehearsal:
        found = found.model_copy(
            update={
                "gpus": (0, _gpus(rehearsal)),
                "price": (None, _price(rehearsal)),
                **_secrets(rehearsal, head, found.name, {}),
            }
        )
        return _run_head(rehearsal, found, _Run({}, None, ({}, _layouts(rehearsal)), ()))


def _run_head(rehearsal: Rehearsal, found: Environment, run: _Run) -> Environment:
    """Preview the change, then deploy it."""
    try:
        preview = rehearsal.preview()
    except RehearsalError as error:
        return _failed(_steps(found, rehearsal.phases[-1], run), "preview", error, _random_values(run.before))
    try:
        rehearsal.up()
    except RehearsalError as error:
        return _failed(_steps(found, preview, run), "up", error, _random_values(run.before))
    return _steps(found, preview, replace(run, after=rehearsal.export()))


def _failed(
    found: Environment, where: str, error: ConfigError | RehearsalError, names: fields.Names | None = None
) -> Environment:
    said = "\n".join(error.causes) if isinstance(error, RehearsalError) else str(error)
    return found.model_copy(
        update={"failed": where, "error": short(fields.with_names(said, names or {}), LONGEST_MESSAGE)}
    )


@dataclass(frozen=True)
class _Run:
    """What the two sides of a comparison left, beside the preview."""

    before: Mapping[str, Any]
    """The engine's state with the base."""
    after: Mapping[str, Any] | None
    """That with the change; None if it does not go through."""
    layouts: tuple[Mapping[str, str], Mapping[str, str]]
    """Layout by serving stack, before and after."""
    known: Collection[str]
    """Warnings of the base."""


def _steps(found: Environment, preview: Phase, run: _Run) -> Environment:
    """Add what a preview says."""
    names = _random_values(run.before)
    steps = sorted((step for step in preview.changed if _is_resource(step)), key=lambda one: one.name)
    resources = [_resource(step, steps, names) for step in steps if step.op in _OPS and not step.runs_again]
    again = {step.name for step in steps if step.runs_again and step.op == "replace" and step.kind.endswith(":Job")}
    resources += [Resource(op="rerun", kind="Job", name=short(name)) for name in again]
    resources.sort(key=lambda one: ((*_OPS, "rerun").index(one.op), one.kind, one.name))
    warned = {short(said, LONGEST_MESSAGE) for said in preview.warnings if said not in run.known}
    return found.model_copy(
        update={
            "resources": tuple(resources[: 2 * MOST]),
            "unprotected": tuple(sorted(short(step.name) for step in preview.steps if _loses_protection(step)))[:MOST],
            "unchanged": sum(step.op == "same" and _is_resource(step) for step in preview.steps),
            "impacts": impact.impacts(steps)[:MOST],
            "stacks": tuple(_stacks(steps, run, names))[:MOST],
            "warnings": tuple(sorted(warned))[:MOST],
        }
    )


def _loses_protection(step: Step) -> bool:
    data = step.metadata
    return bool(_is_resource(step) and data and data.old and data.new and data.old.protect and not data.new.protect)


def _is_resource(step: Step) -> bool:
    """Whether a step is on an object of a cloud: no component, no provider, no stack."""
    return step.kind.startswith(("gcp:", "kubernetes:", "random:"))


def _resource(step: Step, steps: Sequence[Step], names: fields.Names) -> Resource:
    differs: tuple[FieldChange, ...] = ()
    graphs = [other for other in steps if other.kind.endswith(impact.GRAPH)]
    # The fields of a graph and its arguments stand at its serving stack.
    of_stack = step in graphs or any(_arguments_of(graph, step) for graph in graphs)
    if not of_stack:
        differs = _fields(step, names)
    return Resource.model_validate(
        {"op": step.op, "kind": short(step.kind.rsplit(":", 1)[-1]), "name": short(step.name), "fields": differs}
    )


def _stacks(steps: Sequence[Step], run: _Run, names: fields.Names) -> Iterator[Stack]:
    """Serving stacks whose graph or arguments change."""
    for step in sorted(steps, key=lambda one: one.name):
        if not step.kind.endswith(impact.GRAPH) or step.op not in _OPS:
            continue
        old, new = impact.old_inputs(step), impact.new_inputs(step)
        if step.op == "delete":
            old, new = old or new, {}
        differs: list[FieldChange] = []
        if old and new:
            differs += _fields(step, names, "spec")
            arguments = [other for other in steps if _arguments_of(step, other)]
            differs += (
                field for other in arguments for field in fields.below(other.name, _fields(other, names, "data"))
            )
        minutes = None
        if run.before and run.after:
            minutes = impact.down_minutes(step, steps, plan.read(run.before), plan.read(run.after))
        name = text(old or new, f"metadata.labels.{_STACK_LABEL}") or step.name
        yield Stack.model_validate(
            {
                "name": short(name),
                "op": step.op,
                "layouts": tuple(short(layouts.get(name, "")) for layouts in run.layouts),
                "gpus": (impact.gpus_of_graph(old), impact.gpus_of_graph(new)),
                "fields": tuple(differs[:MOST]),
                "down_minutes": minutes,
            }
        )


def _arguments_of(graph: Step, other: Step) -> bool:
    """Whether a step changes the arguments of a graph's workers: a ConfigMap of the same component."""
    return other.kind == _CONFIG_MAP and other.op in ("update", "replace") and _parent(other) == _parent(graph)


def _fields(step: Step, names: fields.Names, part: str = "") -> tuple[FieldChange, ...]:
    """What differs in the inputs of an updated or replaced resource, or in a part of them."""
    if step.metadata is None or step.op not in ("update", "replace"):
        return ()
    old, new = impact.old_inputs(step), impact.new_inputs(step)
    if part:
        return fields.differences(mapping(old, part), mapping(new, part), names, recreated=step.op == "replace")
    # The engine's own list leaves out what a provider fills in.
    differ = step.metadata.diffs or [*old, *new]
    old, new = ({key: value for key, value in side.items() if key in differ} for side in (old, new))
    return fields.differences(old, new, names, recreated=step.op == "replace")


def _parent(step: Step) -> str:
    state = (step.metadata.new or step.metadata.old) if step.metadata else None
    return state.parent if state else ""


def _random_values(export: Mapping[str, Any]) -> dict[str, str]:
    """Results of random resources, which differ in every rehearsal."""
    resources = items(export, "deployment.resources")
    results = {text(one, "outputs.result") for one in resources if text(one, "type").startswith("random:")}
    return {f"-{result}": "-…" for result in results if result}


def _layouts(rehearsal: Rehearsal) -> dict[str, str]:
    return {str(stack.name): str(stack.layout) for stack in getattr(rehearsal.settings, "stacks", ())}


def _secrets(rehearsal: Rehearsal, head: Tree, name: str, before: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Secrets of the program that the stack file does not set, and those of them that the base's does."""
    there = stack_files.read(head, name).secrets
    unset = sorted(key for key in rehearsal.secrets if key not in there)
    return {"unset_secrets": tuple(unset), "removed_secrets": tuple(key for key in unset if key in before)}


def _gpus(rehearsal: Rehearsal) -> int:
    return sum(int(domain.nodes) * GPUS_PER_NODE for domain in getattr(rehearsal.settings, "domains", ()))


def _price(rehearsal: Rehearsal) -> float | None:
    """Of all GPUs, an hour; None unless every domain has a price."""
    domains = getattr(rehearsal.settings, "domains", ())
    prices = [getattr(domain, "price_per_gpu_hour", None) for domain in domains]
    if not prices or None in prices:
        return None
    return sum(price * domain.nodes * GPUS_PER_NODE for price, domain in zip(prices, domains, strict=True))

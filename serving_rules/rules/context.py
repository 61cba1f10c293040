"""What a rule looks at: a layout as a Dynamo release runs it, role by role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reference.dynamo import DynamoProfile
from reference.machines import A4X
from serving_rules import arguments
from serving_rules.arguments import Parallelism, Values
from serving_rules.layout import WORKER_ROLES, Layout, LayoutFile, ModelFacts, WorkerRole
from validation.problems import Problem


@dataclass(frozen=True)
class Side:
    """One role of a layout, with its arguments read."""

    layout: Layout
    role: WorkerRole
    values: Values

    @property
    def nodes(self) -> int:
        """Nodes of one replica."""
        return self.layout.workers(self.role).nodes_per_replica

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.nodes * A4X.gpus

    @property
    def parallel(self) -> Parallelism:
        """How one replica is spread over its GPUs."""
        return self.values.parallelism

    @property
    def deepep(self) -> bool:
        """Whether experts are reached through DeepEP."""
        return self.values.text("moe-a2a-backend") == "deepep"

    def problem(self, name: str, rule: str, cure: str) -> Problem:
        """A problem with the argument whose first name is `name`."""
        return Problem(self.layout.key(self.role, self.values.name(name)), self.values.raw(name), rule, cure)


@dataclass(frozen=True)
class Case:
    """A layout as a Dynamo release runs it."""

    layout: Layout
    profile: DynamoProfile

    @property
    def file(self) -> LayoutFile:
        """The layout's own file."""
        return self.layout.file

    @property
    def facts(self) -> ModelFacts | None:
        """Sizes of the model, where the layout gives them."""
        return self.file.model_facts

    def side(self, role: WorkerRole) -> Side:
        """One role of the layout."""
        known = arguments.of(self.profile)
        return Side(self.layout, role, arguments.values(self.layout.arguments(role), known))

    @property
    def sides(self) -> tuple[Side, ...]:
        """Both roles."""
        return tuple(self.side(role) for role in WORKER_ROLES)

    def problem(self, key: str, value: object, rule: str, cure: str) -> Problem:
        """A problem with `key` of the layout's own file."""
        return Problem(f"{self.layout.folder}/{self.layout.name}/layout.yaml: {key}", value, rule, cure)


Rule = Callable[[Case], Iterator[Problem]]


def shown(value: object) -> str:
    """A value as messages write it."""
    return "not set" if value is None else str(value)

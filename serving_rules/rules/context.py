"""The input of a rule: a layout as a Dynamo release runs it, role by role."""

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
class RoleContext:
    """One role of a layout, with typed arguments."""

    layout: Layout
    name: WorkerRole
    values: Values

    @property
    def nodes(self) -> int:
        """Nodes of one replica."""
        return self.layout.workers(self.name).nodes_per_replica

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.nodes * A4X.gpus

    @property
    def parallel(self) -> Parallelism:
        """Parallelism of one replica."""
        return self.values.parallelism

    @property
    def deepep(self) -> bool:
        """Whether tokens are sent to experts through DeepEP."""
        return self.values.text("moe-a2a-backend") == "deepep"

    @property
    def whole_experts(self) -> bool:
        """Whether every GPU of a replica is a rank of the expert group, as with each way to send tokens to experts."""
        return self.values.text("moe-a2a-backend") not in (None, "none", "ascend_tp")

    def problem(self, name: str, rule: str, fix: str) -> Problem:
        """A problem with the argument whose longest name is `name`."""
        return Problem(self.layout.key(self.name, self.values.name(name)), self.values.raw(name), rule, fix)


@dataclass(frozen=True)
class Context:
    """A layout as a Dynamo release runs it."""

    layout: Layout
    profile: DynamoProfile

    @property
    def file(self) -> LayoutFile:
        """The layout's own file."""
        return self.layout.file

    @property
    def facts(self) -> ModelFacts | None:
        """Sizes of the model, if the layout has them."""
        return self.file.model_facts

    def role(self, name: WorkerRole) -> RoleContext:
        """One role of the layout."""
        known = arguments.of(self.profile)
        return RoleContext(self.layout, name, arguments.values(self.layout.arguments(name), known))

    @property
    def roles(self) -> tuple[RoleContext, ...]:
        """All worker roles."""
        return tuple(self.role(name) for name in WORKER_ROLES)

    def problem(self, key: str, value: object, rule: str, fix: str) -> Problem:
        """A problem with `key` of the layout's own file."""
        return Problem(f"{self.layout.folder}/{self.layout.name}/layout.yaml: {key}", value, rule, fix)


Rule = Callable[[Context], Iterator[Problem]]


def shown(value: object) -> str:
    """A value, for messages."""
    return "not set" if value is None else str(value)

"""Layouts: nodes and replicas of each role, with its server arguments and environment.

A layout is a folder of `sglang_configs/` with `layout.yaml`, `prefill.yaml` and `decode.yaml`; a new folder is a
new layout and needs no code. The argument files have the format of SGLang's own `--config`: argument names without
leading dashes, `true` for a flag.

The files are written for the default Dynamo release. What a stack runs is `resolve`d from the files, the stack's
overrides, and the migrations of the Dynamo release in use.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, cast, get_args

import yaml
from pydantic import Field, PlainValidator, ValidationError

from reference.dynamo import DynamoProfile
from reference.machines import A4X
from validation.plain_values import to_json
from validation.problems import Problem, broken, from_pydantic
from validation.strict_model import StrictModel
from validation.unknown_keys import nearest

LAYOUTS: Final = Path(__file__).resolve().parents[1] / "sglang_configs"

WorkerRole = Literal["prefill", "decode"]
WORKER_ROLES: Final[tuple[WorkerRole, ...]] = get_args(WorkerRole)

Argument = str | int | float | bool | tuple[str | int | float, ...]
"""One value, or the several that an argument takes, such as the batch sizes of `cuda-graph-bs`."""
Arguments = Mapping[str, Argument]
Environment = Mapping[str, str]

Part = Literal["arguments", "environment"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

T = TypeVar("T")


class LayoutError(Exception):
    """An invalid layout; `problems` has one entry for each broken rule."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


_RULE = "an argument is a name with one string, number or `true`, or with a list of strings or numbers"
_FIX = "quote nested JSON as one string; leave an argument out to get SGLang's default"


def _argument(value: Any) -> Argument | None:
    if not isinstance(value, list):
        return value if isinstance(value, (str, int, float, bool)) else None
    items = cast("list[object]", value)
    found = tuple(one for one in items if isinstance(one, (str, int, float)) and not isinstance(one, bool))
    return found if 0 < len(found) == len(items) else None


def _overridden(value: Any) -> Argument | None:
    argument = _argument(value)
    if argument is None and value is not None:
        raise broken(_RULE, _FIX)
    return argument


class Frontend(StrictModel):
    """The OpenAI-compatible HTTP servers in front of the workers."""

    replicas: int = Field(ge=1, description="the number of frontend pods, 1 or more")


class Workers(StrictModel):
    """One worker role: `replicas` groups of `nodes_per_replica` nodes, every node with 4 GPUs."""

    replicas: int = Field(ge=1, description="the number of replicas of this role, 1 or more")
    nodes_per_replica: int = Field(
        ge=1, le=A4X.nodes_per_domain, description="the nodes that one replica spans, 1 to 18"
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="environment variables of this role, name to string"
    )

    @property
    def nodes(self) -> int:
        """Nodes of all replicas."""
        return self.replicas * self.nodes_per_replica


class AllWorkers(StrictModel):
    """Shared by both worker roles."""

    environment: dict[str, str] = Field(
        default_factory=dict, description="environment variables of both worker roles, name to string"
    )


class Benchmark(StrictModel):
    """The benchmark load of this layout (SGLang's bench_serving, dataset `random`)."""

    input_tokens: int = Field(ge=1, description="the upper bound of a request's input tokens")
    output_tokens: int = Field(ge=1, description="the upper bound of a request's output tokens")
    range_ratio: float = Field(gt=0, le=1, description="the lower bound of both, as a share of the upper bound")
    prompts: int = Field(ge=1, description="the number of requests")
    concurrency: int = Field(ge=1, description="the number of requests in flight")


class ModelFacts(StrictModel):
    """Sizes of the model from its config.json, for the memory estimate."""

    parameters: int = Field(ge=1, description="the number of all parameters")
    layers: int = Field(ge=1, description="the number of layers that hold a KV cache")
    moe_layers: int = Field(ge=0, description="the number of layers with routed experts")
    routed_experts: int = Field(ge=0, description="the number of routed experts of such a layer")
    expert_parameters: int = Field(ge=0, description="the parameters of one routed expert")
    bytes_per_parameter: float = Field(gt=0, description="the bytes of a parameter as it is loaded, 1 for FP8")
    kv_elements: int = Field(ge=1, description="the elements that the KV cache holds for a token and layer")
    max_context: int = Field(ge=1, description="the longest context that the model was made for, in tokens")


class RoleOverrides(StrictModel):
    """Single values of a layout that a stack overrides, for one role."""

    # One message for a wrong value, where a union has one for each member.
    arguments: dict[str, Annotated[Argument | None, PlainValidator(_overridden)]] = Field(
        default_factory=dict[str, "Argument | None"],
        description="server arguments, name to value or list of values; null leaves one out",
    )
    environment: dict[str, str | None] = Field(
        default_factory=dict[str, "str | None"],
        description="environment variables, name to string; null leaves one out",
    )


class Overrides(StrictModel):
    """Single values of a layout that a stack overrides."""

    prefill: RoleOverrides = Field(default=RoleOverrides(), description="a mapping with arguments and environment")
    decode: RoleOverrides = Field(default=RoleOverrides(), description="a mapping with arguments and environment")

    def of(self, role: WorkerRole) -> RoleOverrides:
        """The values for `role`."""
        return {"prefill": self.prefill, "decode": self.decode}[role]


class LayoutFile(StrictModel):
    """Content of `layout.yaml`."""

    description: str = Field(description="one line that says what the layout is for")
    model: str = Field(
        pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$",
        description="a Hugging Face model id, such as deepseek-ai/DeepSeek-R1",
    )
    model_facts: ModelFacts | None = Field(
        default=None, description="a mapping with the model's sizes; without it memory and experts go unchecked"
    )
    frontend: Frontend = Field(description="a mapping with `replicas`")
    workers: AllWorkers = Field(default=AllWorkers(), description="a mapping with `environment`")
    prefill: Workers = Field(description="a mapping with replicas, nodesPerReplica and environment")
    decode: Workers = Field(description="a mapping with replicas, nodesPerReplica and environment")
    benchmark: Benchmark = Field(description="a mapping with inputTokens, outputTokens, prompts, ...")

    @property
    def roles(self) -> Mapping[WorkerRole, Workers]:
        """The worker roles, in the order of a request."""
        return {"prefill": self.prefill, "decode": self.decode}


@dataclass(frozen=True)
class Server:
    """Server arguments and environment of one role."""

    arguments: Arguments
    environment: Environment
    """The shared variables, then the role's own."""


@dataclass(frozen=True)
class Layout:
    """One layout, with the server arguments and the environment of both worker roles."""

    name: str
    file: LayoutFile
    servers: Mapping[WorkerRole, Server]
    folder: str = LAYOUTS.name
    origins: Mapping[tuple[WorkerRole, Part, str], str] = field(
        default_factory=dict["tuple[WorkerRole, Part, str]", str]
    )
    """Config keys of values that are not from the layout's files."""

    @property
    def model(self) -> str:
        """Hugging Face id of the model."""
        return self.file.model

    @property
    def nodes(self) -> int:
        """A4X nodes of prefill and decode together: `numNodes` of the ComputeDomain."""
        return sum(workers.nodes for workers in self.file.roles.values())

    @property
    def gpus(self) -> int:
        """GPUs of all worker nodes."""
        return self.nodes * A4X.gpus

    @property
    def shape(self) -> str:
        """Replicas and nodes per replica, abbreviated; a different shape is a different graph."""
        return "-".join(f"{w.replicas}x{w.nodes_per_replica}{role[0]}" for role, w in self.file.roles.items())

    def workers(self, role: WorkerRole) -> Workers:
        """Replicas, nodes and own environment of `role`, from the file."""
        return self.file.roles[role]

    def arguments(self, role: WorkerRole) -> Arguments:
        """Server arguments of `role`."""
        return self.servers[role].arguments

    def environment(self, role: WorkerRole) -> Environment:
        """Environment of `role`: the shared variables, then its own."""
        return self.servers[role].environment

    def key(self, role: WorkerRole, name: str, part: Part = "arguments") -> str:
        """Where a user can change the value of `name`: file and key, or the key of the stack config."""
        origin = self.origins.get((role, part, name))
        if origin is not None:
            return origin
        where = f"{self.folder}/{self.name}"
        if part == "arguments":
            return f"{where}/{role}.yaml: {name}"
        owner = role if name in self.workers(role).environment else "workers"
        return f"{where}/layout.yaml: {owner}.environment.{name}"

    def overridden(self, overrides: Overrides, where: str = "overrides") -> Layout:
        """This layout with a stack's overrides; `where` is their key in the stack config."""
        changed = self
        for role in WORKER_ROLES:
            own = overrides.of(role)
            origins = dict(changed.origins)
            origins.update({(role, "arguments", n): f"{where}.{role}.arguments.{n}" for n in own.arguments})
            origins.update({(role, "environment", n): f"{where}.{role}.environment.{n}" for n in own.environment})
            changed = replace(
                changed.with_server(
                    role,
                    Server(
                        _merged(self.arguments(role), own.arguments),
                        _merged(self.environment(role), own.environment),
                    ),
                ),
                origins=origins,
            )
        return changed

    def adapted(self, profile: DynamoProfile) -> Layout:
        """This layout with the migrations of `profile`. A stack's overrides stay, and are reported if invalid."""
        changed = self
        for role in WORKER_ROLES:
            arguments, environment = dict(self.arguments(role)), dict(self.environment(role))
            for change in profile.migrations:
                overridden = any((role, part, change.name) in self.origins for part in PARTS)
                known = change.name in arguments or change.name in environment
                if known and not overridden:
                    arguments.pop(change.name, None)
                    environment.pop(change.name, None)
                    arguments = {**change.arguments, **arguments}
                    environment = {**change.environment, **environment}
            changed = changed.with_server(role, Server(arguments, environment))
        return changed

    def with_server(self, role: WorkerRole, server: Server) -> Layout:
        """This layout with another server for `role`."""
        return replace(self, servers={**self.servers, role: server})


def _merged(values: Mapping[str, T], changes: Mapping[str, T | None]) -> dict[str, T]:
    merged: dict[str, T | None] = {**values, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def available(folder: Path = LAYOUTS) -> list[str]:
    """Names of the layouts in `folder`."""
    return sorted(path.parent.name for path in folder.glob("*/layout.yaml"))


@functools.cache
def load(name: str, folder: Path = LAYOUTS) -> Layout:
    """Read layout `name`.

    Raises:
        LayoutError: no such folder, a file is missing or is not YAML, or a key or value is invalid.
    """
    if name not in available(folder):
        rule = f"a layout is a folder of {folder.name}/ with a layout.yaml"
        raise LayoutError([Problem("layout", name, rule, nearest(name, available(folder)))])
    where = f"{folder.name}/{name}"
    content = _read(folder / name / "layout.yaml", f"{where}/layout.yaml")
    arguments = {role: _read_arguments(folder / name / f"{role}.yaml", f"{where}/{role}.yaml") for role in WORKER_ROLES}
    try:
        file = LayoutFile.model_validate_json(to_json(content))
    except ValidationError as error:
        raise LayoutError(from_pydantic(error, LayoutFile, f"{where}/layout.yaml: ")) from None
    shared = file.workers.environment
    return Layout(
        name,
        file,
        {role: Server(arguments[role], {**shared, **w.environment}) for role, w in file.roles.items()},
        folder=folder.name,
    )


def resolve(
    name: str,
    profile: DynamoProfile,
    overrides: Overrides | None = None,
    where: str = "overrides",
    folder: Path = LAYOUTS,
) -> Layout:
    """Layout `name` as a stack runs it: its files, the stack's overrides, the Dynamo release's migrations.

    Raises:
        LayoutError: as `load`.
    """
    return load(name, folder).overridden(overrides or Overrides(), where).adapted(profile)


def _read(path: Path, shown: str) -> Any:
    fix = f"write {shown} as a YAML mapping; compare with a layout that ships"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LayoutError([Problem(shown, None, "this file is required", fix)]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise LayoutError([Problem(shown, reason, "must be YAML", fix)]) from None
    if not isinstance(content, dict):
        raise LayoutError([Problem(shown, content, "must be a mapping of keys to values", fix)])
    return content  # pyright: ignore[reportUnknownVariableType] - YAML is untyped; the models check it


def _read_arguments(path: Path, shown: str) -> Arguments:
    arguments: dict[str, Argument] = {}
    problems: list[Problem] = []
    for key, value in _read(path, shown).items():
        argument = _argument(value)
        if isinstance(key, str) and argument is not None:
            arguments[key] = argument
        else:
            problems.append(Problem(f"{shown}: {key}", value, _RULE, _FIX))
    if problems:
        raise LayoutError(problems)
    return arguments

"""Layouts: how many nodes and replicas each role has, with its server arguments and environment.

A layout is a folder of `sglang_configs/` with `layout.yaml`, `prefill.yaml` and `decode.yaml`; a new folder is a
new layout and needs no code. The argument files hold what SGLang's own `--config` reader takes: argument names
without dashes in front, `true` for a flag.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml
from pydantic import Field, ValidationError

from components.base import a4x
from components.base.problems import Problem, from_pydantic, nearest
from components.base.strict import StrictModel

LAYOUTS: Final = Path(__file__).resolve().parents[2] / "sglang_configs"

WorkerRole = Literal["prefill", "decode"]
WORKER_ROLES: Final[tuple[WorkerRole, ...]] = get_args(WorkerRole)

Argument = str | int | float | bool
Arguments = Mapping[str, Argument]


class LayoutError(Exception):
    """A layout that cannot be used; `problems` says why, one entry per broken rule."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Frontend(StrictModel):
    """The OpenAI-compatible HTTP servers in front of the workers."""

    replicas: int = Field(ge=1, description="the number of frontend pods, 1 or more")


class Workers(StrictModel):
    """One worker role: `replicas` groups of `nodes_per_replica` nodes, every node with 4 GPUs."""

    replicas: int = Field(ge=1, description="the number of replicas of this role, 1 or more")
    nodes_per_replica: int = Field(
        ge=1, le=a4x.NODES_PER_DOMAIN, description="the nodes that one replica spans, 1 to 18"
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="environment variables of this role, name to text"
    )

    @property
    def nodes(self) -> int:
        """Nodes of all replicas."""
        return self.replicas * self.nodes_per_replica


class AllWorkers(StrictModel):
    """What both worker roles share."""

    environment: dict[str, str] = Field(
        default_factory=dict, description="environment variables of both worker roles, name to text"
    )


class Benchmark(StrictModel):
    """The load that this layout is measured with (SGLang's bench_serving, dataset `random`)."""

    input_tokens: int = Field(ge=1, description="the upper bound of a request's input tokens")
    output_tokens: int = Field(ge=1, description="the upper bound of a request's output tokens")
    range_ratio: float = Field(gt=0, le=1, description="the lower bound of both, as a share of the upper bound")
    prompts: int = Field(ge=1, description="the number of requests")
    concurrency: int = Field(ge=1, description="the number of requests in flight")


class LayoutFile(StrictModel):
    """Content of `layout.yaml`."""

    description: str = Field(description="one line that says what the layout is for")
    model: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$", description="a Hugging Face model id, such as deepseek-ai/DeepSeek-R1"
    )
    frontend: Frontend = Field(description="a mapping with `replicas`")
    workers: AllWorkers = Field(default=AllWorkers(), description="a mapping with `environment`")
    prefill: Workers = Field(description="a mapping with replicas, nodesPerReplica and environment")
    decode: Workers = Field(description="a mapping with replicas, nodesPerReplica and environment")
    benchmark: Benchmark = Field(description="a mapping with inputTokens, outputTokens, prompts, ...")


@dataclass(frozen=True)
class Layout:
    """One layout as read from its folder, with the server arguments of both worker roles."""

    name: str
    file: LayoutFile
    prefill_arguments: Arguments
    decode_arguments: Arguments

    @property
    def model(self) -> str:
        """Hugging Face id of the model."""
        return self.file.model

    @property
    def nodes(self) -> int:
        """A4X nodes that prefill and decode take together: what the ComputeDomain counts."""
        return self.file.prefill.nodes + self.file.decode.nodes

    @property
    def gpus(self) -> int:
        """GPUs of all worker nodes."""
        return self.nodes * a4x.GPUS_PER_NODE

    @property
    def shape(self) -> str:
        """Replicas and nodes per replica in short; a change of it changes the graph itself."""
        prefill, decode = self.file.prefill, self.file.decode
        return f"{prefill.replicas}x{prefill.nodes_per_replica}p-{decode.replicas}x{decode.nodes_per_replica}d"

    def workers(self, role: WorkerRole) -> Workers:
        """Replicas, nodes and own environment of `role`."""
        return self.file.prefill if role == "prefill" else self.file.decode

    def arguments(self, role: WorkerRole) -> Arguments:
        """Server arguments of `role`."""
        return self.prefill_arguments if role == "prefill" else self.decode_arguments

    def environment(self, role: WorkerRole) -> Mapping[str, str]:
        """Environment of `role`: what both roles share, then its own."""
        return {**self.file.workers.environment, **self.workers(role).environment}


def available(folder: Path = LAYOUTS) -> list[str]:
    """Names of the layouts that `folder` holds."""
    return sorted(path.parent.name for path in folder.glob("*/layout.yaml"))


@functools.cache
def load(name: str, folder: Path = LAYOUTS) -> Layout:
    """Read layout `name`.

    Raises:
        LayoutError: no such folder, a file is missing or is no YAML, or a key or value is wrong.
    """
    if name not in available(folder):
        rule = f"a layout is a folder of {folder.name}/ with a layout.yaml"
        raise LayoutError([Problem("layout", name, rule, nearest(name, available(folder)))])
    where = f"{folder.name}/{name}"
    content = _read(folder / name / "layout.yaml", f"{where}/layout.yaml")
    arguments = {role: _read_arguments(folder / name / f"{role}.yaml", f"{where}/{role}.yaml") for role in WORKER_ROLES}
    try:
        file = LayoutFile.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise LayoutError(from_pydantic(error, LayoutFile, f"{where}/layout.yaml: ")) from None
    return Layout(name, file, arguments["prefill"], arguments["decode"])


def _read(path: Path, shown: str) -> Any:
    cure = f"write {shown} as a YAML mapping; compare with a layout that ships"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LayoutError([Problem(shown, None, "this file is required", cure)]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise LayoutError([Problem(shown, reason, "must be YAML", cure)]) from None
    if not isinstance(content, dict):
        raise LayoutError([Problem(shown, content, "must be a mapping of keys to values", cure)])
    return content  # pyright: ignore[reportUnknownVariableType] - YAML is untyped; the models check it


def _read_arguments(path: Path, shown: str) -> Arguments:
    arguments: dict[str, Argument] = {}
    problems: list[Problem] = []
    for key, value in _read(path, shown).items():
        if isinstance(key, str) and isinstance(value, (str, int, float, bool)):
            arguments[key] = value
        else:
            rule = "an argument is a name with one text, number or `true`"
            cure = "quote nested JSON as one string; leave an argument out to get SGLang's default"
            problems.append(Problem(f"{shown}: {key}", value, rule, cure))
    if problems:
        raise LayoutError(problems)
    return arguments

"""One rehearsal: the real program in the real engine, phase by phase, against an embedded cloud.

    with Rehearsal("dev") as rehearsal:
        rehearsal.preview()
        rehearsal.up()
        rehearsal.set_config({"dynamo-a4x:protect": False})
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()

The engine's files (project, state, home) are in one temporary folder: the checkout, the user's own Pulumi login and
plugins are neither read nor written. Secrets of the stack file cannot be decrypted here and are replaced by made-up
ones.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
import os
import re
import runpy
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self

import yaml
from pulumi import automation as auto

from rehearsal import sdk, seeds
from rehearsal.command import EngineCommand
from rehearsal.engine import Engine, EngineError, ensure
from rehearsal.loops import EventLoops
from rehearsal.policy_pack import Violation
from rehearsal.simulator import CloudServer, CloudState, EmbeddedCloud
from rehearsal.simulator.provider import kind_of, name_of
from rehearsal.simulator.state import Checkpoint
from rehearsal.simulator.values import mapping
from rehearsal.workspace import Workspace, is_encrypted

ROOT = Path(__file__).resolve().parent.parent
"""The project: where Pulumi.yaml and `__main__.py` are."""
STACK_FILES = "DYNAMO_A4X_STACK_FILES"
"""Variable with a folder that has stack files in place of the project's, in the same subfolders: the tests' own."""
_QUIET = frozenset({"same", "read", "refresh"})
"""Operations without a change."""
_REPLACEMENT = frozenset({"replace", "create-replacement", "delete-replaced"})
"""Operations that a replacement is made of."""
_ROOT = "pulumi:pulumi:Stack"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
"""Marks a secret in the engine's JSON (Pulumi SDK, `runtime/rpc.py`)."""
_READINESS = "dynamo-a4x:serving:ReadinessCheck$"
RUNS_AGAIN = "readiness check runs again"
"""Label for the replacement of a readiness check: a Job cannot be started twice, so the engine deletes the old one and
creates another; nothing that serves is affected."""


class RehearsalError(Exception):
    """A phase that failed. The text is one line: the phase, the resource if there is one, and the cause."""

    def __init__(self, phase: str, causes: list[str]) -> None:
        super().__init__(f"{phase} failed: {causes[0]}" + (f" (and {len(causes) - 1} more)" if causes[1:] else ""))
        self.phase = phase
        self.causes = causes


class ConfigError(Exception):
    """The environment's config is invalid. The text is the program's own message."""


@dataclass(frozen=True)
class Step:
    """One operation that the engine did, or in a preview would do."""

    op: str
    urn: str
    metadata: auto.StepEventMetadata | None = field(default=None, compare=False, repr=False)
    """What the engine reported of it, with old and new state; secrets are masked."""

    @property
    def kind(self) -> str:
        """Type token of the resource."""
        return kind_of(self.urn)

    @property
    def name(self) -> str:
        """Logical name of the resource."""
        return name_of(self.urn)

    @property
    def runs_again(self) -> bool:
        """Whether this is part of rerunning a readiness check."""
        return self.op in _REPLACEMENT and _READINESS in self.urn

    def __str__(self) -> str:
        return f"{RUNS_AGAIN}: {self.name}" if self.runs_again else f"{self.op} {self.kind} {self.name}"


@dataclass
class Phase:
    """Result of one run of the engine."""

    name: str
    seconds: float = 0.0
    steps: list[Step] = field(default_factory=list[Step])
    warnings: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])
    violations: list[Violation] = field(default_factory=list[Violation])
    """What a policy pack found."""
    outputs: dict[str, Output] = field(default_factory=dict[str, "Output"])
    """Stack outputs, after an `up`."""

    @property
    def changed(self) -> list[Step]:
        """The steps that changed something."""
        return [step for step in self.steps if step.op not in _QUIET]

    def count(self) -> Counter[str]:
        """Steps by operation; a rerun readiness check counts once, as such."""
        found = Counter(step.op for step in self.steps if not step.runs_again)
        found[RUNS_AGAIN] = sum(step.runs_again and step.op == "replace" and _is_job(step) for step in self.steps)
        return +found


@dataclass(frozen=True)
class Output:
    """One stack output."""

    value: Any
    """None for a secret: see `Rehearsal.secret`."""
    secret: bool

    @classmethod
    def shown(cls, value: Any) -> Output:
        """As an event of the engine shows it."""
        secret = _SECRET in json.dumps(value)
        return cls(None if secret else value, secret)


@dataclass(frozen=True)
class Snapshot:
    """What a rehearsal had come to."""

    root: Path
    stack: Mapping[str, Any]
    """In the format of `pulumi stack export`."""
    cloud: Checkpoint
    phases: Sequence[Phase]


class Listener(Protocol):
    """Receives progress."""

    def say(self, text: str) -> None:
        """A line for the user."""

    def begin(self, phase: Phase) -> None:
        """A phase starts."""

    def step(self, phase: Phase, step: Step) -> None:
        """The engine has finished a step."""

    def end(self, phase: Phase) -> None:
        """A phase has ended, successfully or not."""


class Silent:
    """A listener that shows nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""

    def begin(self, phase: Phase) -> None:
        """Show nothing."""

    def step(self, phase: Phase, step: Step) -> None:
        """Show nothing."""

    def end(self, phase: Phase) -> None:
        """Show nothing."""


class Rehearsal:
    """An environment in an embedded cloud of its own; use it as a context manager."""

    def __init__(  # noqa: PLR0913 - one keyword for each thing that a test may change
        self,
        stack: str = "dev",
        *,
        root: Path = ROOT,
        program: Path | None = None,
        config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        listener: Listener | None = None,
        engine: Engine | None = None,
        name: str | None = None,
        cloud: EmbeddedCloud | None = None,
        checkpoints: bool = False,
    ) -> None:
        """`root` has Pulumi.yaml and the stack files. `program` runs in place of its `__main__.py`. `config` overrides
        the stack file (None removes a key), `secrets` are set as secrets (default: made-up values for all secrets of
        the program's settings). `engine` defaults to the one that is found, `name` of the Pulumi stack to that of the
        stack file. `cloud` is that of another rehearsal, to share it: no seeds are planted, what is adopted must exist.
        With `checkpoints` the engine saves its state after every step, as it does for a user: whoever kills it needs
        them. Without them it saves once, at the end of a run, and an `up` of prod takes half the time.
        """
        self.file = stack
        self.name = name or stack
        self.root = root
        self.program: Path = (program or root / "__main__.py").resolve()
        self.listener: Listener = listener or Silent()
        self.phases: list[Phase] = []
        self._secrets: Mapping[str, str] | None = secrets
        self._raw = self._read_config(dict(config or {}))
        self.settings: Any = self._parse(self._raw)
        self._shared = cloud is not None
        self.cloud = cloud or EmbeddedCloud(
            CloudState(),
            kubernetes_version=seeds.kubernetes_version(self.settings),
            dynamo_version=seeds.dynamo_version(self.settings),
        )
        self.engine = engine
        self.command: EngineCommand | None = None
        self._server = CloudServer(self.cloud)
        self._checkpoints = checkpoints
        self._workspace: Workspace | None = None
        self._loops = EventLoops()

    @property
    def state(self) -> CloudState:
        """What exists in the embedded cloud."""
        return self.cloud.state

    @property
    def stack(self) -> auto.Stack:
        """The engine's stack, for what has no method here."""
        return self._files.stack

    @property
    def folder(self) -> Path:
        """The engine's files: project, state and home. Deleted at the end of the rehearsal."""
        return self._files.folder

    @property
    def config(self) -> Mapping[str, Any]:
        """The environment's current config, without secrets."""
        return copy.deepcopy(self._raw)

    @property
    def secrets(self) -> Mapping[str, str]:
        """The made-up secrets of the stack."""
        return dict(self._secrets or {})

    @property
    def protected(self) -> bool:
        """Whether the environment's config protects it from a destroy."""
        return bool(getattr(self.settings, "protect", False))

    @property
    def _files(self) -> Workspace:
        if self._workspace is None:
            raise RuntimeError("the rehearsal has not been entered")
        return self._workspace

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the engine and the embedded cloud's server, and remove the temporary folder. Idempotent."""
        if self.command is not None:
            self.command.stop()
        self._server.stop()
        self._loops.close()
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None

    def preview(self, name: str = "preview", **options: Any) -> Phase:
        """Preview; `options` go to the Automation API's `preview`."""
        return self._phase(name, lambda listen: self.stack.preview(on_event=listen, **options))

    def up(self, name: str = "up", **options: Any) -> Phase:
        """Deploy; `options` go to the Automation API's `up`."""

        phase = self._phase(name, lambda listen: self.stack.up(on_event=listen, **options))
        unwatched = self.cloud.unwatched()
        if unwatched:
            # The API server accepts a graph that can never run, and without a readiness check nothing waits for it.
            phase.errors += [f"never becomes ready, and nothing waits for it: {reason}" for reason in unwatched]
            raise RehearsalError(name, phase.errors)
        return phase

    def up_without_change(self, name: str = "up again") -> Phase:
        """Deploy again, and raise `RehearsalError` with every change, if there is any."""
        phase = self.up(name)
        changed = phase.changed
        if changed:
            raise RehearsalError(name, [f"{step}, although nothing changed" for step in changed])
        return phase

    def refresh(self, name: str = "refresh", **options: Any) -> Phase:
        """Refresh; `options` go to the Automation API's `refresh`."""
        return self._phase(name, lambda listen: self.stack.refresh(on_event=listen, **options))

    def destroy(self, name: str = "destroy", **options: Any) -> Phase:
        """Destroy; `options` go to the Automation API's `destroy`."""
        return self._phase(name, lambda listen: self.stack.destroy(on_event=listen, **options))

    def unlock(self) -> None:
        """Unlock the stack after the engine was killed (`pulumi cancel`)."""
        self.stack.cancel()

    def export(self) -> dict[str, Any]:
        """The deployed stack, in the format of `pulumi stack export`; secrets are encrypted in it.

        (The Automation API's own `export_stack` writes them in plaintext.)
        """
        target = self.folder / "export.json"
        self.cli(["stack", "export", "--file", str(target)])
        content = json.loads(target.read_text(encoding="utf-8"))
        target.unlink()
        return content

    def secret(self, output: str) -> Any:
        """The value of a secret stack output, of which a phase says only that it is one."""
        return json.loads(self.cli(["stack", "output", output, "--json", "--show-secrets"]))

    def moment(self) -> Snapshot:
        """This moment, to go back to."""
        return Snapshot(self.root, self.export(), self.state.checkpoint(), list(self.phases))

    def restore(self, moment: Snapshot) -> None:
        """Go back to a moment of this rehearsal: checkout, stack, embedded cloud, and the phases until then."""
        self.state.restore(moment.cloud)
        self.cli(["stack", "import"], text=json.dumps(moment.stack))
        self.phases[:] = moment.phases
        self.move_to(moment.root)

    def cli(
        self, arguments: Sequence[str], *, text: str | None = None, variables: Mapping[str, str] | None = None
    ) -> str:
        """Run a command of the engine that has no method here, on this stack; returns its output.

        `text` goes to its standard input, `variables` into its environment. Raises the Automation API's `CommandError`.
        """
        return self._files.cli(arguments, text=text, variables=variables)

    def set_config(self, changes: Mapping[str, Any]) -> None:
        """Change the environment's config for the following phases; None removes a key.

        Raises `ConfigError`, and changes nothing, if the program rejects it.
        """
        raw = _overridden(self._raw, changes)
        self.settings = self._parse(raw)
        self._raw = raw
        self._files.write_config(raw)

    def move_to(self, root: Path, secrets: Mapping[str, str] | None = None) -> None:
        """Run the program of another checkout from now on, over what the one before has deployed.

        What its settings adopt is from now on as they say. `secrets` override the made-up ones. Raises `ConfigError`,
        and changes nothing, if the program rejects its config, `RehearsalError` if the engine rejects its project file.
        """
        old_root, old_program, old_secrets = self.root, self.program, self._secrets
        self.root, self.program, self._secrets = root, (root / "__main__.py").resolve(), None
        try:
            raw = self._read_config({})
            self.settings = self._parse(raw)
        except ConfigError:
            self.root, self.program, self._secrets = old_root, old_program, old_secrets
            raise
        self._raw = raw
        made_up: Mapping[str, str] = self._secrets or {}
        self._secrets = {**made_up, **(secrets or {})}
        if self.settings is not None:
            seeds.replant(self.cloud, self.settings)
        self._files.set_project(root / "Pulumi.yaml")
        self.set_config({})
        try:
            self._files.set_secrets(self._secrets)
        except auto.CommandError as error:
            raise RehearsalError("config", [_last_line(str(error))]) from None

    def _read_config(self, changes: dict[str, Any]) -> dict[str, Any]:
        folder, others = self.root, os.environ.get(STACK_FILES)
        if others and self.root.is_relative_to(ROOT) and (Path(others) / self.root.relative_to(ROOT)).is_dir():
            folder = Path(others) / self.root.relative_to(ROOT)
        path = folder / f"Pulumi.{self.file}.yaml"
        if not path.is_file():
            files = folder.glob("Pulumi.*.yaml")
            known = sorted(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in files)
            raise ConfigError(f"there is no stack {self.file!r}: {path.name} is missing (stacks: {', '.join(known)})")
        # Parsed by the program's own reader as by the engine, because the file is rewritten for the engine.
        reader = self._of_program("settings.stack_file")
        try:
            if reader is None:
                config = mapping(yaml.safe_load(path.read_text(encoding="utf-8")), "config")
            else:
                config = reader.read(path)
        except (yaml.YAMLError, ValueError) as error:
            text = " ".join(str(error).split())
            raise ConfigError(text if reader else f"{path.name} is not valid YAML: {text}") from None
        plain = {key: value for key, value in config.items() if not is_encrypted(value)}
        return _overridden(plain, changes)

    def _of_program(self, module: str) -> Any:
        """A module of the rehearsed program; None if it has no settings."""
        if self.program != (self.root / "__main__.py").resolve() or not (self.root / "settings").is_dir():
            return None
        with _first_on_path(self.root):
            try:
                return importlib.import_module(module)
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{Path(where.filename).name}:{where.lineno}"
                raise ConfigError(
                    f"the program's {module} cannot be imported ({place}): {type(error).__name__}: {error}"
                ) from error

    def _parse(self, raw: Mapping[str, Any]) -> Any:
        """The config, validated by the program itself; None if it has no settings."""
        settings = self._of_program("settings")
        if settings is None:
            return None
        for name in [str(key).rsplit(":", 1)[-1] for key, value in raw.items() if value]:
            if name in settings.SECRETS:
                raise ConfigError(
                    f"{name} is in plaintext in Pulumi.{self.file}.yaml\n    rule: a secret must be encrypted\n"
                    f"    fix: revoke it, remove the line, then: pulumi config set --secret {name}"
                )
        try:
            parsed = settings.parse(raw, self.name)
        except settings.SettingsError as error:
            raise ConfigError(str(error)) from None
        if self._secrets is None:
            # An older program has one list for all settings.
            wanted = settings.needed(parsed) if hasattr(settings, "needed") else settings.SECRETS
            self._secrets = {key: f"made-up-{key}" for key in settings.SECRETS if key in wanted}
        return parsed

    def _open(self) -> None:
        sdk.apply()
        self.engine = self.engine or ensure(self.listener.say)
        self.listener.say(f"engine: {self.engine}")
        if self.settings is not None and not self._shared:
            seeds.plant(self.cloud, self.settings)
        self._server.start()
        self._workspace = Workspace(self.root / "Pulumi.yaml", self.name)
        try:
            self.command = self._workspace.create(
                self.engine,
                self._run_program,
                self._server.attach,
                self._raw,
                self._secrets or {},
                checkpoints=self._checkpoints,
            )
        except auto.CommandError as error:
            raise EngineError(f"the engine cannot set up the stack: {_last_line(str(error))}") from None

    def _run_program(self) -> None:
        self._loops.add(asyncio.get_running_loop())
        with _first_on_path(self.root):
            runpy.run_path(str(self.program), run_name="__main__")

    def _phase(self, name: str, run: Callable[[Callable[[auto.EngineEvent], None]], object]) -> Phase:
        phase = Phase(name)
        self.phases.append(phase)
        self.listener.begin(phase)
        started = time.monotonic()
        try:
            run(lambda event: self._listen(phase, event))
        except auto.CommandError as error:
            causes = phase.errors or [_last_line(str(error))]
            phase.errors = causes
            raise RehearsalError(name, causes) from None
        finally:
            phase.seconds = time.monotonic() - started
            self.listener.end(phase)
        return phase

    def _done(self, phase: Phase, seen: auto.StepEventMetadata) -> None:
        if seen.type == _ROOT and seen.new is not None:
            phase.outputs = {key: Output.shown(value) for key, value in (seen.new.outputs or {}).items()}
        step = Step(_op(seen.op), seen.urn, seen)
        # Components report twice: when they are registered and when their outputs are.
        if step not in phase.steps:
            phase.steps.append(step)
            self.listener.step(phase, step)

    def _listen(self, phase: Phase, event: auto.EngineEvent) -> None:
        done = event.res_outputs_event
        if done is not None:
            self._done(phase, done.metadata)
        judged = event.policy_event
        if judged is not None:
            found = _violation(judged)
            if found not in phase.violations:
                phase.violations.append(found)
                if found.level == "mandatory":
                    phase.errors.append(str(found))
        said = event.diagnostic_event
        if said is not None and said.severity in ("warning", "error"):
            # The SDK reports the failure of an inline program twice.
            text = _plain(said.message).removeprefix("an unhandled error occurred: ")
            if said.severity == "warning":
                phase.warnings.append(_blamed(said.urn, text))
            elif _tells_something(text):
                cause = _blamed(said.urn, _cause(text))
                if cause not in phase.errors:
                    phase.errors.append(cause)


def _violation(event: auto.PolicyEvent) -> Violation:
    urn = event.resource_urn or ""
    text = " ".join(_plain(event.message).split())
    return Violation(event.policy_name, event.enforcement_level, kind_of(urn), name_of(urn), text)


def _is_job(step: Step) -> bool:
    return step.kind == "kubernetes:batch/v1:Job"


_TOOLS = frozenset({"rehearsal", "change_report", "github_workflows", "policy", "mutants", "tests", "tools"})
"""Packages that look at a program and are none of its own."""


class _first_on_path:  # noqa: N801 - reads as a word where it is used
    """Temporarily puts a checkout first on the module search path; modules of another one are loaded again from it."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._folder = str(folder)

    def __enter__(self) -> None:
        _forget_others(self._root)
        sys.path.insert(0, self._folder)

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self._folder)


_SET_ASIDE: dict[str, ModuleType] = {}
"""This project's own modules, while another checkout runs: back here they are the same objects as before."""


def _forget_others(root: Path) -> None:
    """Forget modules of other checkouts that have the names of packages in this one."""
    names = {path.parent.name for path in root.glob("*/__init__.py")} - _TOOLS
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in names and file and not Path(file).is_relative_to(root):
            if Path(file).is_relative_to(ROOT):
                _SET_ASIDE[name] = module
            del sys.modules[name]
    if root == ROOT:
        sys.modules.update(_SET_ASIDE)
        _SET_ASIDE.clear()


def write_export(content: dict[str, Any], target: Path) -> None:
    """Write an export; an existing file is replaced atomically."""
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
    partial.replace(target)


def _overridden(raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**raw, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def _op(op: Any) -> str:
    return str(getattr(op, "value", op))


def _plain(text: str) -> str:
    return re.sub(r"<\{%[^%]*%\}>", "", text).strip()


def _tells_something(text: str) -> bool:
    """Whether a message says more than that the operation failed (the engine repeats that at every level)."""
    return text.removesuffix(".") not in ("update failed", "preview failed", "destroy failed", "refresh failed", "")


def _cause(text: str) -> str:
    """A message in one line: the last line of a traceback, otherwise all lines joined."""
    if "Traceback (most recent call last)" in text:
        return next(line.strip() for line in reversed(text.splitlines()) if line.strip())
    return " ".join(text.split())


def _blamed(urn: str | None, text: str) -> str:
    kind = kind_of(urn or "")
    if not urn or kind == "pulumi:pulumi:Stack":
        return text
    return f"{kind} {name_of(urn)}: {text}"


def _last_line(text: str) -> str:
    lines = [_plain(line) for line in text.splitlines() if _plain(line)]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["no message"])[-1]

"""The engine's files of one rehearsal, in a temporary folder: project, state and home; and the stack in them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml
from pulumi import automation as auto
from pulumi.automation._stack import StackInitMode
from typing_extensions import override

from rehearsal import policy_pack
from rehearsal.command import EngineCommand
from rehearsal.engine import Engine
from rehearsal.simulator.values import mapping

PASSPHRASE = "rehearsal"


class Workspace:
    """A Pulumi project with one stack. The user's own Pulumi login and plugins are neither read nor written."""

    def __init__(self, project_file: Path, name: str) -> None:
        """`project_file` is the Pulumi.yaml to copy, `name` that of the stack."""
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
        """Deleted by `close`."""
        for part in ("project", "state", "home"):
            (self.folder / part).mkdir()
        # The engine logs each run into this folder; where it cannot, it runs without (pkg/logging/encrypted.go of
        # 3.259.0). The log was a third of its time, and goes with the folder anyway.
        (self.folder / "home" / "logs").touch()
        policy_pack.install(self.folder / "home")
        self._project = b""
        self._secrets: dict[str, str] = {}
        self._stack: auto.Stack | None = None
        self.set_project(project_file)

    @property
    def stack(self) -> auto.Stack:
        """The engine's stack, after `create`."""
        if self._stack is None:
            raise RuntimeError("the stack has not been created")
        return self._stack

    @property
    def stack_file(self) -> Path:
        """The stack's config, with encrypted secrets."""
        return self.folder / "project" / f"Pulumi.{self.name}.yaml"

    def create(
        self,
        engine: Engine,
        program: Callable[[], None],
        attach: str,
        config: Mapping[str, Any],
        secrets: Mapping[str, str],
        *,
        checkpoints: bool,
    ) -> EngineCommand:
        """Create the stack; returns the command that runs its engine. Raises the Automation API's `CommandError`.

        `attach` names the providers that run (`PULUMI_DEBUG_PROVIDERS`). Without `checkpoints` the engine saves its
        state at the end of a run only.
        """
        command = EngineCommand(engine)
        workspace = auto.LocalWorkspace(
            work_dir=str(self.folder / "project"),
            pulumi_home=str(self.folder / "home"),
            program=program,
            env_vars={
                "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
                "PULUMI_DEBUG_PROVIDERS": attach,
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_SUPPRESS_NEO_LINK": "true",
                "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
                "PULUMI_SKIP_CHECKPOINTS": "false" if checkpoints else "true",
                # The engine is short-lived: a seventh of its time was garbage collection.
                "GOGC": "800",
            },
            pulumi_command=command,
        )
        made = _NewStack(str(engine.path), self._project, self.name, tuple(secrets.items()))
        files = _MADE.get(made)
        if files is None:
            self.write_config(config)
            self._stack = _Stack(self.name, workspace, exists=False)
            self.set_secrets(secrets)
            _MADE[made] = {path: path_in.read_bytes() for path, path_in in self._written()}
        else:
            for path, content in files.items():
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_bytes(content)
            self.write_config(config)
            self._stack = _Stack(self.name, workspace, exists=True)
            self._secrets = dict(secrets)
        return command

    def set_project(self, project_file: Path) -> None:
        """Put another Pulumi.yaml in place of the one before."""
        content = project_file.read_bytes()
        if content != self._project:
            # Keys belong to a project: the engine has to read it before it can say what they are.
            self._secrets.clear()
        self._project = content
        (self.folder / "project" / "Pulumi.yaml").write_bytes(content)

    def write_config(self, plain: Mapping[str, Any]) -> None:
        """Replace what the stack's config has in plaintext; secrets and their salt stay."""
        content: dict[str, Any] = {}
        if self.stack_file.is_file():
            content = cast("dict[str, Any]", yaml.safe_load(self.stack_file.read_text(encoding="utf-8")))
        recorded = cast("dict[str, Any]", content.get("config") or {})
        secrets = {key: value for key, value in recorded.items() if is_encrypted(value)}
        content["config"] = {**plain, **secrets}
        self.stack_file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Encrypt those into the stack's config that are not in it yet. Raises the Automation API's `CommandError`.

        Through standard input: every user of the machine can read the arguments of a process.
        """
        for key, value in secrets.items():
            if self._secrets.get(key) != value:
                self.cli(["config", "set", "--secret", key], text=value)
                self._secrets[key] = value

    def cli(
        self, arguments: Sequence[str], *, text: str | None = None, variables: Mapping[str, str] | None = None
    ) -> str:
        """Run a command of the engine on this stack: see `Rehearsal.cli`."""
        workspace = self.stack.workspace
        command = cast("EngineCommand", workspace.pulumi_command)
        environment = {**workspace.env_vars, "PULUMI_HOME": workspace.pulumi_home or "", **(variables or {})}
        return command.run([*arguments, "--stack", self.name], workspace.work_dir, environment, text=text).stdout

    def close(self) -> None:
        """Delete the folder. Idempotent."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _written(self) -> list[tuple[Path, Path]]:
        files = [self.stack_file, *(path for path in (self.folder / "state").rglob("*") if path.is_file())]
        return [(path.relative_to(self.folder), path) for path in files]


@dataclass(frozen=True)
class _NewStack:
    """What decides what the engine writes for a new stack."""

    engine: str
    project: bytes
    name: str
    secrets: tuple[tuple[str, str], ...]


_MADE: dict[_NewStack, Mapping[Path, bytes]] = {}
"""What the engine wrote for the first of several equal stacks of this process: stack file and state. For each of the
others it would derive a key of a million rounds again, once for the stack and once for each secret.
"""


class _Stack(auto.Stack):
    """Asks the engine neither for outputs, which its events have, nor for the history after every run: a third of the
    time of an `up`.
    """

    def __init__(self, name: str, workspace: auto.Workspace, *, exists: bool) -> None:
        if exists:
            # Not the base class's __init__, which runs the engine to select the stack: every command names it.
            self.name, self.workspace, self._mode = name, workspace, StackInitMode.SELECT
        else:
            super().__init__(name, workspace, StackInitMode.CREATE)

    @override
    def outputs(self) -> auto.OutputMap:
        return {}

    @override
    def info(self, show_secrets: bool = True) -> auto.UpdateSummary:
        return auto.UpdateSummary("", datetime.now(UTC), "", {}, {}, "succeeded")


def is_encrypted(value: Any) -> bool:
    """Whether a value of a stack file is a secret."""
    return "secure" in mapping({"value": value}, "value")

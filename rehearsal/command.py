"""The engine as a child process that can be stopped, and never outlives this one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import IO, Any

from pulumi.automation import CommandResult, OnOutput, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo
from typing_extensions import override

from rehearsal.engine import Engine

_GRACE_SECONDS = 20.0


class EngineCommand(PulumiCommand):
    """Runs the engine's command line for the Automation API.

    The SDK's own class looks for `<root>/bin/pulumi`, inherits every `PULUMI_*` variable of the user, and orphans its
    child on Ctrl-C.
    """

    def __init__(self, engine: Engine) -> None:
        # Not the base class's __init__, which searches PATH.
        self.command = str(engine.path)
        self.version = VersionInfo.parse(engine.version)
        self.process: subprocess.Popen[str] | None = None
        """The running engine, between start and end of a command."""

    @override
    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
        *,
        text: str | None = None,
    ) -> CommandResult:
        """Run one command; `text` goes to its standard input. Raises the SDK's `CommandError` if it fails."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        environment = {**own, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        stdout: list[str] = []
        stderr: list[str] = []
        process = subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment,
            encoding="utf-8",
            # A process group of its own: Ctrl-C reaches only this process, which then stops the engine cleanly.
            start_new_session=True,
        )
        self.process = process
        try:
            readers = [
                threading.Thread(target=_drain, args=(process.stdout, on_output, stdout), daemon=True),
                threading.Thread(target=_drain, args=(process.stderr, on_error, stderr), daemon=True),
            ]
            for reader in readers:
                reader.start()
            if text is not None and process.stdin is not None:
                process.stdin.write(text)
                process.stdin.close()
            process.wait()
            for reader in readers:
                reader.join()
        finally:
            self.stop()
            self.process = None
        result = CommandResult("\n".join(stdout), "\n".join(stderr), process.returncode)
        if process.returncode != 0:
            raise create_command_error(result)
        return result

    def stop(self) -> None:
        """Stop a running engine: first by SIGINT, so that it closes its state file, then by SIGKILL."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill a running engine, like a power failure."""
        process = self.process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def _drain(stream: IO[str] | None, listener: Any, lines: list[str]) -> None:
    if stream is None:
        return
    for line in stream:
        stripped = line.rstrip()
        if listener is not None:
            listener(stripped)
        lines.append(stripped)
    stream.close()

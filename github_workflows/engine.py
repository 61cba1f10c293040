"""Runs `pulumi preview` for a check, and writes what it printed only after the stack's secrets were masked in it.

The secrets are read with `pulumi config --show-secrets` and `pulumi stack export --show-secrets`: a diff also shows old
values. That gives this process nothing that it could not have: the engine decrypts them for the program anyway, and a
preview runs only after a review. They stay in memory; the output of these commands is never shown, also not where one
fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from change_report import safe_text
from github_workflows import cut, engine_errors, masking, outcome
from github_workflows.outcome import Outcome, Verdict

NO_CHANGES_EXPECTED: Final = 7
"""Exit code of `--expect-no-changes` when there are changes (Pulumi 3.259.0, cmd/exit_codes.go)."""
PREVIEW: Final = ("preview", "--diff")
POLICY_CONFIG: Final = "policy/config.json"
POLICY: Final = ("--policy-pack", "policy", "--policy-pack-config", POLICY_CONFIG)
"""What `up` is judged by as well (`deploy.yml`)."""
DRIFT: Final = ("preview", "--diff", "--refresh", "--expect-no-changes")


@dataclass(frozen=True)
class Check:
    """One run of the engine on one stack."""

    stack: str
    command: Sequence[str]
    minutes: float = 30.0
    environment: Mapping[str, str] | None = None
    """Default: that of this process."""

    @property
    def _variables(self) -> dict[str, str]:
        own = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_SUPPRESS_NEO_LINK": "true", "NO_COLOR": "1"}
        return {**(os.environ if self.environment is None else self.environment), **own}

    def run(self) -> Outcome:
        """Run it; never raises for what the engine does."""
        pulumi = shutil.which("pulumi", path=self._variables.get("PATH"))
        if pulumi is None:
            return self._failed("there is no `pulumi` on PATH. Fix: install it (https://www.pulumi.com/docs/install/)")
        try:
            shown = self._call([pulumi, "config", "--show-secrets", "--json"], together=False)
            if shown.returncode:
                return self._failed(_reason(shown.stderr, "the stack's config"), shown.stderr)
            state = self._call([pulumi, "stack", "export", "--show-secrets"], together=False)
            if state.returncode:
                return self._failed(_reason(state.stderr, "the stack's state"), state.stderr)
            secrets = [*masking.config_secrets(shown.stdout), *masking.state_secrets(state.stdout)]
            masker = masking.Masker(secrets)
            ran = self._call([pulumi, *self.command], together=True)
        except subprocess.TimeoutExpired:
            return self._failed(f"pulumi took more than {self.minutes:g} minutes and was stopped")
        except ValueError:
            return self._failed("the engine did not print config and state as JSON: the secrets to mask are not known")
        return self._judged(ran.returncode, masker.masked(safe_text.plain(masker.masked(ran.stdout))))

    def _judged(self, code: int, text: str) -> Outcome:
        expects = "--expect-no-changes" in self.command
        if code == 0:
            verdict: Verdict = "done"
        elif code == NO_CHANGES_EXPECTED and expects:
            verdict = "drift"
        else:
            return self._failed(_reason(text, f"`pulumi {self.command[0]}`"), text)
        return Outcome(subject=self.stack, verdict=verdict, text=_bounded(text))

    def _call(self, command: Sequence[str], *, together: bool) -> subprocess.CompletedProcess[str]:
        """`together`: errors go where the output goes, in the order in which they were printed."""
        arguments = [*command, "--stack", self.stack, "--non-interactive", "--color", "never"]
        process = subprocess.Popen(  # noqa: S603 - the engine, with arguments of this package
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=self._variables,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=self.minutes * 60)
        finally:
            if process.poll() is None:
                # With its plugins, which would keep the pipes open.
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def _failed(self, message: str, text: str = "") -> Outcome:
        return Outcome(
            subject=self.stack,
            verdict="failed",
            message=cut.middle_cut(message, outcome.MESSAGE_MOST),
            text=_bounded(safe_text.plain(text)),
        )


def _bounded(text: str) -> str:
    return cut.middle_cut(text, outcome.TEXT_MOST)


def _reason(output: str, what: str) -> str:
    known = engine_errors.explained(output)
    if known is not None:
        return known
    errors = [line.strip() for line in safe_text.plain(output).splitlines() if line.strip().startswith("error:")]
    return errors[-1].removeprefix("error:").strip() if errors else f"{what} failed without a message"

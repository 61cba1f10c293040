"""`python -m preflight --stack NAME`: checks whether `pulumi up` of the stack can work.

Exit codes: 0 no check failed; 1 a check failed; 2 the config, the command line or the installation is wrong;
130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

import settings as config
from preflight import report
from preflight.checks import plan
from preflight.cloud import Cloud
from preflight.results import Result, exit_code
from preflight.run import run
from preflight.site import Site
from settings import Settings, SettingsError, stack_file
from validation.command_line import positive_number

ROOT: Final = Path(__file__).resolve().parents[1]
REQUIREMENTS: Final = "requirements-preflight.txt"
LIBRARIES: Final = ("google", "requests")
"""Packages whose absence shows that the requirements are not installed."""


class UsageError(Exception):
    """The command cannot start. The text is the whole message."""


def main(arguments: Sequence[str] | None = None, connect: Callable[[Settings, float], Cloud] | None = None) -> int:
    """Run the command line; returns the exit code. `connect` replaces Google Cloud (tests)."""
    options = _options(arguments)
    errors = Console(stderr=True)
    try:
        settings = read(options.stack, options.root)
        cloud = (connect or google)(settings, options.timeout)
        return _inspect(options, Site(settings, cloud))
    except (UsageError, SettingsError) as error:
        return _end(errors, str(error), 2)
    except KeyboardInterrupt:
        return _end(errors, "interrupted; nothing was changed", 130)


def read(stack: str, root: Path = ROOT) -> Settings:
    """The settings of `stack`, from its file below `root`, without the engine.

    Raises:
        UsageError: there is no such file, or it is not a stack file.
        SettingsError: the config is wrong.
    """
    try:
        return config.parse(stack_file.of_stack(stack, root), stack)
    except stack_file.StackFileError as error:
        raise UsageError(str(error)) from error


def google(settings: Settings, timeout: float) -> Cloud:
    """Google Cloud, with the user's credentials.

    Raises:
        UsageError: its libraries are not installed.
    """
    try:
        from preflight.google_cloud import GoogleCloud  # noqa: PLC0415 - only now, so that its absence is a message
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in LIBRARIES:
            raise
        raise UsageError(
            f"{error.name} is not installed; install it: {sys.executable} -m pip install -r {REQUIREMENTS}"
        ) from error
    return GoogleCloud(settings.project, timeout)


def _inspect(options: argparse.Namespace, site: Site) -> int:
    checks = plan(site)
    if options.only:
        unknown = sorted(set(options.only) - {check.name for check in checks})
        if unknown:
            names = ", ".join(check.name for check in checks)
            raise UsageError(f"no check is called {', '.join(unknown)}; this stack has: {names}")
        checks = [check for check in checks if check.gate or check.name in options.only]
    console = Console(width=None)
    if options.json:
        shown: report.Lines | report.Board | report.NoOutput = report.NoOutput(console, options.stack)
    elif console.is_terminal:
        shown = report.Board(console, len(checks))
    else:
        shown = report.Lines(console, len(checks), max(len(check.name) for check in checks))
    results: list[Result] = []
    try:
        for result in run(checks, limit=options.limit, started=shown.started):
            results.append(result)
            shown.result(result)
    finally:
        shown.close(results)
    return exit_code(results)


def _end(errors: Console, text: str, code: int) -> int:
    errors.print(f"preflight: {text}", style="red", highlight=False, markup=False, soft_wrap=True)
    return code


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m preflight",
        description="Ask Google Cloud whether `pulumi up` of a stack can work. Reads only.",
        epilog="Exit code 0: nothing failed; 1: a check failed; 2: config or installation is wrong.",
    )
    parser.add_argument("--stack", default="dev", help="the stack whose Pulumi.STACK.yaml is read (default: dev)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--only", action="append", metavar="CHECK", help="run this check only; may be repeated")
    parser.add_argument(
        "--timeout", type=positive_number, default=15.0, metavar="SECONDS", help="for one call (default: 15)"
    )
    parser.add_argument(
        "--limit", type=positive_number, default=60.0, metavar="SECONDS", help="for one check (default: 60)"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

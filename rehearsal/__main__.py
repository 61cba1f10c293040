"""`python -m rehearsal`: preview, up, an up that changes nothing, destroy; tables; an exit code that tells.

Exit codes: 0 all well; 1 a phase failed, the second up changed something, or objects were left; 2 the config or
the command line is wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rehearsal import report
from rehearsal.engine import EngineError
from rehearsal.run import ROOT, ConfigError, Phase, Rehearsal, RehearsalError, write_export


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(arguments)
    console, errors = Console(), Console(stderr=True)
    progress = report.Progress(console)
    try:
        return _rehearse(options, console, progress)
    except ConfigError as error:
        return _fail(progress, errors, str(error), 2)
    except (RehearsalError, EngineError) as error:
        return _fail(progress, errors, str(error), 1)
    except KeyboardInterrupt:
        return _fail(progress, errors, "interrupted; nothing is left behind", 130)


def _fail(progress: report.Progress, errors: Console, text: str, code: int) -> int:
    progress.close()
    errors.print(f"rehearsal: {text}", style="red", highlight=False, markup=False, soft_wrap=True)
    return code


def _rehearse(options: argparse.Namespace, console: Console, progress: report.Progress) -> int:
    root = options.program.resolve().parent if options.program else ROOT
    with Rehearsal(options.stack, root=root, program=options.program, listener=progress) as rehearsal:
        deployed: Phase | None = None
        try:
            rehearsal.preview()
            deployed = rehearsal.up()
            rehearsal.up_without_change()
            if options.export is not None:
                write_export(rehearsal.export(), options.export)
                progress.say(f"exported to {options.export}")
            if rehearsal.protected:
                # A protected environment is destroyed in two steps, as the engine demands of a user as well.
                rehearsal.set_config({"dynamo-a4x:protect": False})
                rehearsal.up("up without protection")
        except RehearsalError:
            if options.keep_going:
                _take_down(rehearsal, console, deployed)
            raise
        return _take_down(rehearsal, console, deployed)


def _take_down(rehearsal: Rehearsal, console: Console, deployed: Phase | None) -> int:
    rehearsal.destroy()
    report.summary(console, rehearsal, deployed)
    left = rehearsal.world.leftovers()
    report.leftovers(console, left)
    return 1 if left else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal",
        description="Run the program through the real Pulumi engine against an embedded cloud: preview, up, an up "
        "that changes nothing, destroy. No account, no credentials, nothing left behind.",
    )
    parser.add_argument("--stack", default="dev", help="the environment: Pulumi.STACK.yaml (default: dev)")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="write the deployed stack there, in the format of `pulumi stack export`",
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="after a phase that failed, still destroy and show what is left"
    )
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.export is not None and not options.export.resolve().parent.is_dir():
        parser.error(f"--export: there is no folder {options.export.resolve().parent}")
    if options.program is not None and not options.program.is_file():
        parser.error(f"--program: there is no file {options.program}")
    return options


if __name__ == "__main__":
    sys.exit(main())

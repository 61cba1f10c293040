"""`python -m rehearsal`: preview, up, an up that changes nothing, destroy; tables; an exit code.

Exit codes: 0 success; 1 a phase failed, a mandatory policy was violated, the policy pack has no environment, the second
up changed something, objects were left, or the timeline check failed; 2 the config or the command line is wrong; 130
interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rehearsal import policy_pack, report, timeline
from rehearsal.engine import EngineError
from rehearsal.policy_pack import CONFIG, PACK, PolicyPackError
from rehearsal.run import ROOT, ConfigError, Phase, Rehearsal, RehearsalError, write_export
from rehearsal.timeline import paced


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(arguments)
    console, errors = Console(), Console(stderr=True)
    progress = report.Progress(console)
    try:
        return _rehearse(options, console, progress)
    except ConfigError as error:
        return _fail(progress, errors, str(error), 2)
    except (RehearsalError, EngineError, PolicyPackError) as error:
        return _fail(progress, errors, str(error), 1)
    except KeyboardInterrupt:
        return _fail(progress, errors, "interrupted; nothing is left behind", 130)


def _fail(progress: report.Progress, errors: Console, text: str, code: int) -> int:
    progress.close()
    errors.print(f"rehearsal: {text}", style="red", highlight=False, markup=False, soft_wrap=True)
    return code


def _rehearse(options: argparse.Namespace, console: Console, progress: report.Progress) -> int:
    root = options.program.resolve().parent if options.program else ROOT
    judged: dict[str, Any] = {}
    if options.policy:
        policy_pack.check(PACK)
        judged = {"policy_packs": [str(PACK)], "policy_pack_configs": [str(PACK / CONFIG)]}
    with Rehearsal(options.stack, root=root, program=options.program, listener=progress) as rehearsal:
        deployed: Phase | None = None
        try:
            rehearsal.preview(**judged)
            deployed = rehearsal.up(**judged)
            if options.policy:
                report.advice(console, deployed)
            rehearsal.up_without_change()
            if options.export is not None:
                write_export(rehearsal.export(), options.export)
                progress.say(f"exported to {options.export}")
            if rehearsal.protected:
                # A protected environment is destroyed in two steps, as by a user.
                rehearsal.set_config({"dynamo-a4x:protect": False})
                rehearsal.up("up without protection")
            drawn = paced.watch(rehearsal) if options.timeline is not None or options.check_timeline else None
        except RehearsalError:
            if options.keep_going:
                _take_down(rehearsal, console, deployed)
            raise
        return max(_take_down(rehearsal, console, deployed), _show(drawn, options, progress))


def _show(drawn: timeline.Timeline | None, options: argparse.Namespace, progress: report.Progress) -> int:
    """Draw and print the timeline; returns 1 if it was to be checked and fails."""
    if drawn is None:
        return 0
    if options.timeline is not None:
        timeline.draw(drawn, options.timeline)
    for line in timeline.tell(drawn):
        progress.say(line)
    if options.timeline is not None:
        progress.say(f"timeline drawn to {options.timeline}")
    found = timeline.failures(drawn) if options.check_timeline else []
    for line in found:
        progress.say(f"timeline: {line}")
    return 1 if found else 0


def _take_down(rehearsal: Rehearsal, console: Console, deployed: Phase | None) -> int:
    rehearsal.destroy()
    report.summary(console, rehearsal, deployed)
    left = rehearsal.state.leftovers()
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
        "--timeline",
        type=Path,
        metavar="FILE.svg",
        help="draw there what ran when, by typical durations, for up and destroy, and tell the longest chains",
    )
    parser.add_argument(
        "--check-timeline",
        action="store_true",
        help=f"fail when the program takes more than {timeline.LIMIT} times its longest necessary chain",
    )
    parser.add_argument(
        "--policy", action="store_true", help="let the policy pack judge preview and up (make policy sets it up)"
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="after a phase that failed, still destroy and show what is left"
    )
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name, target in (("--export", options.export), ("--timeline", options.timeline)):
        if target is not None and not target.resolve().parent.is_dir():
            parser.error(f"{name}: there is no folder {target.resolve().parent}")
    if options.program is not None and not options.program.is_file():
        parser.error(f"--program: there is no file {options.program}")
    return options


if __name__ == "__main__":
    sys.exit(main())

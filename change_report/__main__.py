"""`python -m change_report --base main`: what the change does to each environment, as Markdown.

Exit codes: 0 the report was written (a change that fails is part of it); 1 there is no engine, or a file cannot be
written; 2 the base or the command line is wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from change_report import markdown, rehearsed, trees
from change_report.assembly import assembled
from change_report.model import ENVIRONMENTS, Environment, Report
from change_report.trees import Tree, TreeError
from rehearsal.engine import EngineError
from rehearsal.report import Progress
from rehearsal.run import ROOT


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line on the checkout in `root`; returns the exit code."""
    options = _options(arguments)
    # Standard output carries the report alone.
    progress = Progress(Console(stderr=True))
    try:
        report = _report(options, root, progress)
        text = markdown.render(report)
        for target, content in ((options.json, report.model_dump_json(indent=1) + "\n"), (options.markdown, text)):
            if target is not None:
                target.write_text(content, encoding="utf-8")
        sys.stdout.write(text)
    except TreeError as error:
        return _fail(progress, str(error), 2)
    except (EngineError, OSError) as error:
        return _fail(progress, str(error), 1)
    except KeyboardInterrupt:
        return _fail(progress, "interrupted; nothing is left behind", 130)
    return 0


def _report(options: argparse.Namespace, root: Path, progress: Progress) -> Report:
    with tempfile.TemporaryDirectory(prefix="change-report-") as folder:
        base, head = trees.base(root, options.base, Path(folder) / "base"), trees.head(root)
        wanted = _stacks(options.stack, base, head)
        deployed = partial(rehearsed.deploy, listener=progress)
        progress.say(f"comparing {head.commit} with {base.commit}: {', '.join(wanted)}")
        environments: list[Environment] = []
        for name in wanted:
            progress.say(f"environment {name}")
            environments.append(rehearsed.compare(name, base, head, deployed, progress))
        return assembled(base, head, environments)


def _stacks(asked: Sequence[str], base: Tree, head: Tree) -> list[str]:
    known = sorted({*base.stacks, *head.stacks})
    for name in asked:
        if name not in known:
            raise TreeError(f"there is no stack {name!r}: Pulumi.{name}.yaml is missing (stacks: {', '.join(known)})")
    wanted = list(dict.fromkeys(asked)) or known
    if not 0 < len(wanted) <= ENVIRONMENTS:
        raise TreeError(
            f"there are {len(wanted)} stack files (Pulumi.<stack>.yaml), 1 to {ENVIRONMENTS} can be compared"
        )
    return wanted


def _fail(progress: Progress, text: str, code: int) -> int:
    progress.close()
    sys.stderr.write(f"compare: {text}\n")
    return code


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m change_report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", required=True, metavar="REF", help="branch or commit to compare with, such as main")
    parser.add_argument("--stack", action="append", default=[], help="only this environment (may be repeated)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as data")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it there as well")
    options = parser.parse_args(arguments)
    for name, target in (("--json", options.json), ("--markdown", options.markdown)):
        if target is not None and (target.is_dir() or not target.resolve().parent.is_dir()):
            parser.error(f"{name}: {target} is a folder, or lies in none")
    return options


if __name__ == "__main__":
    sys.exit(main())

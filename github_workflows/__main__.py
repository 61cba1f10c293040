"""`python -m github_workflows COMMAND`: what the workflows in `.github/` run.

    preview    `pulumi preview` of a stack, its result as a file for the comment
    drift      the same against the cloud, which must not differ from the program
    compare    the report of a change, as files for the comment
    comment    bring the comment on a pull request up to date
    issue      open, edit or close the issue about drift
    variables  check the repository variables that a job needs

Exit codes: 0 done (drift is a result, not an error); 1 it failed; 2 the command line or the job's environment is wrong.
In GitHub Actions, text that others wrote goes to the job summary only, in code blocks: in the log, a line of it could
be a command to the runner.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from change_report import safe_text
from github_workflows import comparison, cut, drift_issue, engine, outcome, pull_request, variables
from github_workflows.api import GitHub, GitHubError
from github_workflows.objects import CompletedRun
from github_workflows.outcome import Name, Outcome
from github_workflows.pull_request import Render, Site

ROOT: Final = Path(__file__).resolve().parents[1]
SUMMARY_MOST: Final = 1_000_000
"""Bytes; GitHub drops a step's summary above 1 MiB (docs.github.com, "Workflow commands", job summaries)."""
_SUMMARY_CHARACTERS: Final = SUMMARY_MOST // 4 - 2
"""A character has at most 4 bytes in UTF-8."""


class UsageError(Exception):
    """The command cannot start. The text is the whole message."""


def main(
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    render: Render = comparison.rendered,
    connect: Callable[[Mapping[str, str]], GitHub] | None = None,
) -> int:
    """Run the command line; returns the exit code. `render` and `connect` are other ones in tests."""
    options = _options(arguments)
    variables_ = os.environ if environment is None else environment
    try:
        return _COMMANDS[options.command](options, variables_, render, connect or _github)
    except UsageError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except GitHubError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1


_Connect = Callable[[Mapping[str, str]], GitHub]


def _check(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, _connect: _Connect) -> int:
    command = engine.DRIFT if options.command == "drift" else engine.DIFF if options.diff else engine.PREVIEW
    result = engine.Check(options.stack, command, options.minutes, environment).run()
    return _finish(result, options.out, environment)


def _finish(result: Outcome, out: Path | None, environment: Mapping[str, str]) -> int:
    """Hand on a result: as a file, in the summary or on the terminal; returns the exit code."""
    if out is not None:
        result.write(out)
    said = result.message or {"done": "done", "drift": "the cloud differs from the program"}.get(result.verdict, "")
    shown = [f"## {result.subject}: {result.verdict}"]
    texts = (result.message, cut.middle_cut(result.text, _SUMMARY_CHARACTERS // 2))
    shown += [safe_text.block(text) for text in texts if text]
    if not _summarized("\n\n".join(shown), environment) and result.text:
        print(result.text)
    # One line, which begins with the project's own words: the runner takes a line that begins with :: for a command.
    print(f"{result.subject}: {' '.join(said.split())}", file=sys.stderr if result.verdict == "failed" else sys.stdout)
    return int(result.verdict == "failed")


def _summarized(markdown: str, environment: Mapping[str, str]) -> bool:
    """Append to the job summary, if there is one."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    if not path:
        return False
    text = cut.shortened(markdown, _SUMMARY_CHARACTERS, "_Shortened._") + "\n\n"
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)
    return True


def _compare(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, _connect: _Connect) -> int:
    result, markdown = comparison.compare(options.base, options.out, options.root)
    if result.verdict == "failed":
        return _finish(result, None, environment)
    if not _summarized(markdown, environment):
        print(markdown)
    return 0


def _comment(_options: argparse.Namespace, environment: Mapping[str, str], render: Render, connect: _Connect) -> int:
    path = _needed(environment, "GITHUB_EVENT_PATH")
    try:
        event = CompletedRun.of_event(Path(path).read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH holds no `workflow_run` event ({type(error).__name__})") from None
    site = Site(connect(environment), render, environment.get("GITHUB_SERVER_URL", "https://github.com"))
    print(pull_request.comment(event, site))
    return 0


def _issue(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, connect: _Connect) -> int:
    def content(stack: str) -> bytes | None:
        path: Path = options.results / f"{stack}.json"
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(outcome.FILE_MOST + 1)

    results = drift_issue.collected({stack: content(stack) for stack in options.stack})
    server, run = environment.get("GITHUB_SERVER_URL", "https://github.com"), _needed(environment, "GITHUB_RUN_ID")
    github = connect(environment)
    print(drift_issue.update(github, results, f"{server}/{github.repository}/actions/runs/{run}"))
    return 0


def _variables(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, _connect: _Connect) -> int:
    message = variables.wrong(options.name, environment)
    if message is None:
        return 0
    for path in options.out:
        Outcome(subject=path.stem, verdict="failed", message=message).write(path)
    print(f"variables: {message}", file=sys.stderr)
    return 1


def _github(environment: Mapping[str, str]) -> GitHub:
    return GitHub(
        _needed(environment, "GITHUB_REPOSITORY"),
        _needed(environment, "GITHUB_TOKEN"),
        environment.get("GITHUB_API_URL", "https://api.github.com"),
    )


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise UsageError(f"{name} is not set; this command runs in a workflow, with GITHUB_TOKEN from `github.token`")
    return value


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace, Mapping[str, str], Render, _Connect], int]]] = {
    "preview": _check,
    "drift": _check,
    "compare": _compare,
    "comment": _comment,
    "issue": _issue,
    "variables": _variables,
}


def _stack(text: str) -> str:
    try:
        return TypeAdapter(Name).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a stack (a-z, 0-9 and -)") from None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m github_workflows", description="What the workflows in .github/ run."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (("preview", "`pulumi preview` of a stack"), ("drift", "compare the cloud with the program")):
        check = commands.add_parser(name, help=text)
        check.add_argument("--stack", required=True, type=_stack)
        check.add_argument("--out", type=Path, metavar="FILE", help="write the result there, as JSON")
        check.add_argument("--minutes", type=float, default=30.0, help="after which it is stopped (default: 30)")
        if name == "preview":
            check.add_argument("--diff", action="store_true", help="show every changed value")
    compare = commands.add_parser("compare", help="report of the change since a commit")
    compare.add_argument("--base", required=True, metavar="COMMIT")
    compare.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="write report or failure there")
    compare.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    commands.add_parser("comment", help="bring the comment on a pull request up to date")
    issue = commands.add_parser("issue", help="open, edit or close the issue about drift")
    issue.add_argument("--results", required=True, type=Path, metavar="FOLDER", help="with STACK.json of each stack")
    issue.add_argument("--stack", required=True, action="append", type=_stack)
    variables_ = commands.add_parser("variables", help="check repository variables")
    variables_.add_argument("name", nargs="+", choices=variables.NAMES)
    variables_.add_argument("--out", action="append", default=[], type=Path, metavar="STACK.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m github_workflows COMMAND`: what the workflows in `.github/` run.

    preview     `pulumi preview` of each initialised stack, its results as files for the comment
    drift       the same against the cloud, which must not differ from the program
    compare     the report of a change, as files for the comment
    comment     bring the comment on a pull request up to date
    issue       open, edit or close the issue about drift
    variables   check the repository variables that a job needs
    protection  check the environments and the protection of main, on a developer's machine

Exit codes: 0 done (drift is a result, not an error); 1 it failed; 2 the command line or the job's environment is wrong.
In GitHub Actions, text that others wrote goes to the job summary only, in code blocks: in the log, a line of it could
be a command to the runner.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from change_report import safe_text
from github_workflows import comparison, cut, drift_issue, engine, outcome, protection, pull_request, stacks, variables
from github_workflows.api import GitHub, GitHubError
from github_workflows.objects import CompletedRun
from github_workflows.outcome import Name, Outcome
from github_workflows.pull_request import Render, Site
from policy import config

ROOT: Final = Path(__file__).resolve().parents[1]
SUMMARY_MOST: Final = 1_000_000
"""Bytes; GitHub drops a step's summary above 1 MiB (docs.github.com, "Workflow commands", job summaries)."""
MINUTES_MOST: Final = 360
"""The longest that GitHub lets a job run."""
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
    except (GitHubError, stacks.StacksError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"{options.command}: {where}{error.strerror or error}. Fix: name a place that can be written",
            file=sys.stderr,
        )
        return 1


_Connect = Callable[[Mapping[str, str]], GitHub]


def _check(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, _connect: _Connect) -> int:
    """One stack, or every initialised one: what fails with one of them does not keep the others from being checked."""
    names = options.stack or _initialised(options.root)
    command = engine.DRIFT if options.command == "drift" else engine.PREVIEW
    command = (*command, *engine.POLICY) if options.policy else command
    wrong = config.problems(options.root / engine.POLICY_CONFIG) if options.policy else []
    code = 0
    for name in names:
        if wrong:
            message = cut.middle_cut("; ".join(wrong), outcome.MESSAGE_MOST)
            result = Outcome(subject=name, verdict="failed", message=message)
        else:
            result = engine.Check(name, command, options.minutes, environment).run()
        code |= _finish(result, options.out and options.out / f"{name}.json", environment)
    return code


def _initialised(root: Path) -> tuple[str, ...]:
    names = stacks.initialised(root)
    if not names:
        raise UsageError(stacks.NONE)
    return names


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


def _comment(options: argparse.Namespace, environment: Mapping[str, str], render: Render, connect: _Connect) -> int:
    path = _needed(environment, "GITHUB_EVENT_PATH")
    try:
        event = CompletedRun.of_event(Path(path).read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH holds no `workflow_run` event ({type(error).__name__})") from None
    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    site = Site(connect(environment), render, server, stacks.initialised(options.root))
    print(pull_request.comment(event, site))
    return 0


def _issue(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, connect: _Connect) -> int:
    def content(stack: str) -> bytes | None:
        path: Path = options.results / f"{stack}.json"
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(outcome.FILE_MOST + 1)

    results = drift_issue.collected({stack: content(stack) for stack in _initialised(options.root)})
    server, run = environment.get("GITHUB_SERVER_URL", "https://github.com"), _needed(environment, "GITHUB_RUN_ID")
    github = connect(environment)
    print(drift_issue.update(github, results, f"{server}/{github.repository}/actions/runs/{run}"))
    return 0


def _variables(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, _connect: _Connect) -> int:
    message = variables.wrong(options.name, environment)
    if message is None:
        return 0
    for stack in stacks.initialised(options.root) if options.out else ():
        Outcome(subject=stack, verdict="failed", message=message).write(options.out / f"{stack}.json")
    print(f"variables: {message}", file=sys.stderr)
    return 1


def _protection(options: argparse.Namespace, environment: Mapping[str, str], _render: Render, connect: _Connect) -> int:
    missing = protection.missing(connect(environment), reviewers=not options.without_reviewers)
    for problem in missing:
        print(f"protection: {problem}", file=sys.stderr)
    if not missing:
        print("protection: environments and main are protected as far as GitHub's API tells")
    return int(bool(missing))


def _github(environment: Mapping[str, str]) -> GitHub:
    return GitHub(
        _needed(environment, "GITHUB_REPOSITORY"),
        _needed(environment, "GITHUB_TOKEN"),
        environment.get("GITHUB_API_URL", "https://api.github.com"),
    )


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise UsageError(
            f"{name} is not set; in a workflow GITHUB_TOKEN is `github.token`, on a machine set "
            "GITHUB_REPOSITORY=OWNER/NAME and GITHUB_TOKEN=$(gh auth token)"
        )
    return value


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace, Mapping[str, str], Render, _Connect], int]]] = {
    "preview": _check,
    "drift": _check,
    "compare": _compare,
    "comment": _comment,
    "issue": _issue,
    "variables": _variables,
    "protection": _protection,
}


def _stack(text: str) -> str:
    try:
        return TypeAdapter(Name).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a stack (a-z, 0-9 and -)") from None


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MINUTES_MOST:  # also where it is no number
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0 and up to {MINUTES_MOST}")
    return value


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m github_workflows", description="What the workflows in .github/ run."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (("preview", "`pulumi preview --diff`"), ("drift", "compare the cloud with the program")):
        check = commands.add_parser(name, help=text)
        check.add_argument("--stack", action="append", type=_stack, help="default: every initialised stack")
        check.add_argument("--out", type=Path, metavar="FOLDER", help="write STACK.json there")
        check.add_argument(
            "--minutes", type=_minutes, default=30.0, help="after which each is stopped (default: 30; up to 360)"
        )
        check.add_argument("--policy", action="store_true", help="judged by the policy pack (make policy-venv)")
        _add_root(check)
    compare = commands.add_parser("compare", help="report of the change since a commit")
    compare.add_argument("--base", required=True, metavar="COMMIT")
    compare.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="write report or failure there")
    _add_root(compare)
    _add_root(commands.add_parser("comment", help="bring the comment on a pull request up to date"))
    issue = commands.add_parser("issue", help="open, edit or close the issue about drift")
    issue.add_argument("--results", required=True, type=Path, metavar="FOLDER", help="with STACK.json of each stack")
    _add_root(issue)
    variables_ = commands.add_parser("variables", help="check repository variables")
    variables_.add_argument("name", nargs="+", choices=variables.NAMES)
    variables_.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write what is wrong there, as each stack's result"
    )
    _add_root(variables_)
    protected = commands.add_parser("protection", help="check the environments and the protection of main")
    protected.add_argument(
        "--without-reviewers", action="store_true", help="the plan has none; bootstrap then has `previews: false`"
    )
    return parser.parse_args(arguments)


def _add_root(command: argparse.ArgumentParser) -> None:
    """Another project, in tests."""
    command.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)


if __name__ == "__main__":
    sys.exit(main())

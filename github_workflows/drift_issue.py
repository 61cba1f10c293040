"""The one issue about drift: opened or edited while a stack differs or cannot be checked, closed when none does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from change_report import safe_text
from github_workflows import outcome, sections
from github_workflows.api import GitHub
from github_workflows.objects import BOT, Issue
from github_workflows.outcome import Outcome, OutcomeError

MARKER: Final = "<!-- dynamo-a4x: drift -->"
LABEL: Final = "drift"
NO_RESULT: Final = "The check gave no result: it ended before it began, or was cancelled. The run has the reason."


def collected(files: Mapping[str, bytes | None]) -> list[Outcome]:
    """The results of stacks, by name; one that is missing or unreadable is a failed check."""
    return [_result(stack, content) for stack, content in files.items()]


def _result(stack: str, content: bytes | None) -> Outcome:
    if content is None:
        return Outcome(subject=stack, verdict="failed", message=NO_RESULT)
    try:
        result = outcome.read(content)
    except OutcomeError as error:
        return Outcome(subject=stack, verdict="failed", message=f"The result is refused: {error}.")
    if result.subject != stack:
        return Outcome(subject=stack, verdict="failed", message="The result is refused: it is that of another stack.")
    return result


def update(github: GitHub, results: Sequence[Outcome], run: str) -> str:
    """Open, edit or close the issue; `run` is the address of the run. Returns what was done. Raises `GitHubError`."""
    old = _own_issue(github)
    title = titled(results)
    parts = {result.subject: _section(result) for result in results}
    parts["check"] = f"[The run that found this]({run}) has the whole text in its summary."
    body = sections.assembled(MARKER, parts, ["check"])
    if title is None:
        if old is None:
            return "no stack differs from the program"
        content = {"state": "closed", "state_reason": "completed", "body": body}
        github.send(f"closing issue #{old.number}", "PATCH", f"issues/{old.number}", content)
        return f"no stack differs from the program any more; issue #{old.number} closed"
    if old is None:
        content = {"title": title, "body": body, "labels": [LABEL]}
        github.send("opening the issue about drift", "POST", "issues", content)
        return f"issue opened: {title}"
    github.send(f"editing issue #{old.number}", "PATCH", f"issues/{old.number}", {"title": title, "body": body})
    return f"issue #{old.number} edited: {title}"


def titled(results: Sequence[Outcome]) -> str | None:
    """Title of the issue, which tells drift from a check that failed; None if there is neither."""
    drifted = ", ".join(result.subject for result in results if result.verdict == "drift")
    failed = ", ".join(result.subject for result in results if result.verdict == "failed")
    said = [f"Drift in {drifted}"] if drifted else []
    if failed:
        said.append(f"drift of {failed} could not be checked" if said else f"Drift of {failed} could not be checked")
    return "; ".join(said) or None


def _section(result: Outcome) -> str:
    title = f"## {result.subject}"
    if result.verdict == "done":
        return f"{title}\n\nDoes not differ from the program."
    if result.verdict == "drift":
        said = "**The cloud differs from the program.** Deploying main would make these changes."
        return f"{title}\n\n{said}\n\n{sections.details('What the engine would do', result.text)}"
    shown = [title, "**The check failed**, so whether there is drift is not known.", safe_text.block(result.message)]
    return "\n\n".join([*shown, *([sections.details("What was printed", result.text)] if result.text else [])])


def _own_issue(github: GitHub) -> Issue | None:
    """The open issue with the marker, by its author: labels can be removed, and anybody can write the marker."""
    for found in github.pages("looking for the issue about drift", Issue, "issues", state="open"):
        ours = found.user is not None and found.user.login == BOT and found.pull_request is None
        if ours and (found.body or "").startswith(MARKER):
            return found
    return None

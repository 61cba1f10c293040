"""The comment on a pull request, written after a run of `compare.yml` or `preview.yml` by code of main.

The event names a run, and so the head's owner, branch and commit; `workflow_run.pull_requests` is empty for forks. The
comment shows the newest finished runs of the commit that is the head now, whichever run has ended last: of the runs
that wait in a concurrency group GitHub keeps one, and that one brings the comment up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from change_report import safe_text
from github_workflows import archive, outcome, sections
from github_workflows.api import GitHub, GitHubError
from github_workflows.archive import ArchiveError
from github_workflows.objects import BOT, Artifact, Comment, CompletedRun, PullRequest, Review, Run
from github_workflows.outcome import Outcome, OutcomeError

MARKER: Final = "<!-- dynamo-a4x: what this pull request changes -->"
COMPARISON: Final = "comparison"
REPORT: Final = "report.json"
FAILURE: Final = "failure.json"
ENVIRONMENT: Final = "preview"
ORDER: Final = (COMPARISON,)
_REPORTS: Final = re.compile(rf"{re.escape(REPORT)}|{re.escape(FAILURE)}")
_RESULTS: Final = re.compile(r"[a-z][a-z0-9-]{0,39}\.json")
"""Of any stack: a pull request can add one. A section has the name `preview-STACK`, so none becomes the comparison."""
_ENDED: Final = frozenset({"success", "failure", "timed_out", "startup_failure"})
"""Conclusions of runs that did something; others (cancelled, skipped, ...) leave the comment as it is."""
_ATTEMPTS: Final = 3

Render = Callable[[bytes], str]
"""Markdown of a JSON report of `change_report`. Raises `ValueError` if it is none (Pydantic's error is one)."""


@dataclass(frozen=True)
class Site:
    """Where it is written, and how a report is rendered."""

    github: GitHub
    render: Render
    server: str = "https://github.com"
    stacks: tuple[str, ...] = ()
    """The initialised ones of main, of which a preview without a result is told."""

    def link(self, run: Run) -> str:
        """Markdown link to the page of a run; made of a number and a hash, not of text of the run."""
        return f"[{run.head_sha[:7]}]({self.server}/{self.github.repository}/actions/runs/{run.id})"


def comment(event: CompletedRun, site: Site) -> str:
    """Bring the comment up to date; returns what was done. Raises `GitHubError`."""
    run = event.workflow_run
    found = _pull_request(site.github, run, event.default_branch)
    if found is None:
        return f"commit {run.head_sha[:7]} belongs to no open pull request to {event.default_branch}; nothing to do"
    new: dict[str, str] = {}
    for workflow, read in (("compare.yml", _comparison), ("preview.yml", _previews)):
        # A fork can bring a preview.yml of its own; only branches of this repository have previews.
        if workflow == "preview.yml" and not _of_repository(found, site.github.repository):
            continue
        newest = _newest_run(site.github, workflow, found)
        if newest is not None and newest.status == "completed" and newest.conclusion in _ENDED:
            new |= read(site, newest)
    moved = "" if run.head_sha == found.head.sha else f" (commit {run.head_sha[:7]} is no longer its head)"
    if not new:
        return f"no check of pull request #{found.number} has ended on {found.head.sha[:7]}; nothing to do{moved}"
    return f"{_write(site.github, found.number, new)} on pull request #{found.number}: {', '.join(new)}{moved}"


def _of_repository(found: PullRequest, repository: str) -> bool:
    return found.head.repo is not None and found.head.repo.full_name.lower() == repository.lower()


def _pull_request(github: GitHub, run: Run, default_branch: str) -> PullRequest | None:
    """The open pull request whose head is the branch of a run; a branch has one at most to the same base."""
    source = run.head_repository
    if run.event != "pull_request" or source is None or run.head_branch is None:
        return None
    listed = github.pages(
        "looking for the pull request",
        PullRequest,
        "pulls",
        state="open",
        base=default_branch,
        head=f"{source.owner.login}:{run.head_branch}",
    )
    for candidate in listed:
        head, base = candidate.head, candidate.base
        if (
            head.repo is not None
            and (head.repo.full_name, head.ref, base.ref) == (source.full_name, run.head_branch, default_branch)
            and base.repo is not None
            and base.repo.full_name.lower() == github.repository.lower()
        ):
            return candidate
    return None


def _newest_run(github: GitHub, workflow: str, of: PullRequest) -> Run | None:
    """The newest run of a workflow on the head of a pull request."""
    repository = of.head.repo.full_name if of.head.repo else ""
    listed = github.pages(
        f"looking for runs of {workflow}",
        Run,
        f"actions/workflows/{workflow}/runs",
        "workflow_runs",
        event="pull_request",
        head_sha=of.head.sha,
    )
    runs = [
        run
        for run in listed
        if run.event == "pull_request"
        and run.head_repository is not None
        and (run.head_sha, run.head_branch, run.head_repository.full_name) == (of.head.sha, of.head.ref, repository)
    ]
    return max(runs, key=lambda run: (run.run_number, run.run_attempt), default=None)


def _artifact(site: Site, run: Run, name: str, files: re.Pattern[str]) -> dict[str, bytes]:
    """Files of an artifact; none if the run has none of that name. Raises `ArchiveError`."""
    listed = site.github.pages(
        f"looking for the artifact {name}", Artifact, f"actions/runs/{run.id}/artifacts", "artifacts", name=name
    )
    found = max((one for one in listed if one.name == name and not one.expired), key=lambda one: one.id, default=None)
    if found is None:
        return {}
    if found.size_in_bytes > archive.ARCHIVE_MOST:
        raise ArchiveError(f"it has {found.size_in_bytes} bytes, at most {archive.ARCHIVE_MOST} are read")
    what = f"reading the artifact {name}"
    content = site.github.download(what, f"actions/artifacts/{found.id}/zip", archive.ARCHIVE_MOST)
    return archive.members(content, files, outcome.FILE_MOST)


def _comparison(site: Site, run: Run) -> dict[str, str]:
    source = (
        f"Rehearsed at {site.link(run)}, by this pull request's own code and without access to the cloud. Compared "
        "with main as of that run; a new commit or reopening the pull request compares it with main as it is now."
    )
    try:
        files = _artifact(site, run, COMPARISON, _REPORTS)
        if REPORT in files and run.conclusion == "success":
            return {COMPARISON: f"{source}\n\n{site.render(files[REPORT]).strip()}"}
        text = _failed(files.get(FAILURE), COMPARISON)
    except (ArchiveError, OutcomeError) as error:
        text = f"The result of this run is refused: {error}."
    except ValueError:
        text = "The result of this run is refused: its report does not have the form of this project's reports."
    return {COMPARISON: f"## What this change does\n\n{source}\n\n{text}"}


def _previews(site: Site, run: Run) -> dict[str, str]:
    """A section for each stack; none only where neither main nor the run has a stack."""
    if not _approved(site.github, run):
        # Without this, a branch could bring a preview.yml without the environment, and make up what it uploads.
        said = (
            f"**Nothing to show.** No reviewer has approved this run for the environment `{ENVIRONMENT}`, so it was "
            "rejected, ended before, or runs without the reviewers that the environment must have. The page of the run "
            "that is linked above has the reason."
        )
        return {f"preview-{stack}": f"{_preview_title(site, run, stack)}\n\n{said}" for stack in site.stacks}
    try:
        files = _artifact(site, run, "preview", _RESULTS)
    except ArchiveError as error:
        refused = f"The result of this run is refused: {error}."
        return {f"preview-{stack}": f"{_preview_title(site, run, stack)}\n\n{refused}" for stack in site.stacks}
    stacks = sorted({*site.stacks, *(name.removesuffix(".json") for name in files)})
    return {
        f"preview-{stack}": f"{_preview_title(site, run, stack)}\n\n{_preview(files.get(f'{stack}.json'), stack)}"
        for stack in stacks
    }


def _approved(github: GitHub, run: Run) -> bool:
    """Whether a reviewer has let this run into the environment, and so has seen the workflow that it runs."""
    reviews = github.pages("looking for the approval of the preview", Review, f"actions/runs/{run.id}/approvals")
    return any(
        review.state == "approved" and any(one.name == ENVIRONMENT for one in review.environments) for review in reviews
    )


def _preview_title(site: Site, run: Run, stack: str) -> str:
    return (
        f"## `pulumi preview` of {stack} at {site.link(run)}\n\n"
        "Produced by this pull request's own code, whose run a reviewer approved, merged into main as of that run."
    )


def _preview(content: bytes | None, stack: str) -> str:
    try:
        result = None if content is None else _read(content, stack)
    except OutcomeError as error:
        return f"The result of this run is refused: {error}."
    if result is None or result.verdict == "failed":
        return _failed(content, stack)
    return sections.details("What the engine would do", result.text)


def _read(content: bytes, subject: str) -> Outcome:
    result = outcome.read(content)
    if result.subject != subject:
        raise OutcomeError("it is that of another check")
    return result


def _failed(content: bytes | None, subject: str) -> str:
    """A failure, or what there is to say without one. Raises `OutcomeError`."""
    if content is None:
        return (
            "**It gave no result.** It ended before its check began; the page of the run that is linked above has the "
            "reason."
        )
    result = _read(content, subject)
    shown = ["**It failed.**", safe_text.block(result.message)]
    return "\n\n".join([*shown, *([sections.details("What was printed", result.text)] if result.text else [])])


def _write(github: GitHub, number: int, new: Mapping[str, str]) -> str:
    """Replace sections of the one comment, or write the first; returns which of the two."""
    for attempt in range(1, _ATTEMPTS + 1):
        old = _own_comment(github, number)
        kept = sections.found_in(old.body or "") if old is not None else {}
        body = sections.assembled(MARKER, {**kept, **new}, ORDER)
        try:
            if old is None:
                what = f"commenting on pull request #{number}"
                github.send(what, "POST", f"issues/{number}/comments", {"body": body})
                return "comment written"
            if body == old.body:
                return "comment is up to date"
            github.send(
                f"editing the comment on pull request #{number}", "PATCH", f"issues/comments/{old.id}", {"body": body}
            )
        except GitHubError as error:
            # Lost answer to a POST: the comment may be there. Comment gone: somebody has deleted it.
            unclear = error.status is None or error.status >= 500 if old is None else error.status == 404
            if not unclear or attempt == _ATTEMPTS:
                raise
        else:
            return "comment edited"
    raise AssertionError("unreachable")


def _own_comment(github: GitHub, number: int) -> Comment | None:
    """The first comment with the marker whose author is this workflow's: anybody can write the marker."""
    what = f"reading the comments on pull request #{number}"
    for found in github.pages(what, Comment, f"issues/{number}/comments"):
        if found.user is not None and found.user.login == BOT and (found.body or "").startswith(MARKER):
            return found
    return None

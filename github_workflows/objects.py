"""The parts of GitHub's objects that are used. Fields that are not named here are ignored."""

from __future__ import annotations

from pydantic import BaseModel

BOT = "github-actions[bot]"
"""Author of what is written with `github.token` (docs.github.com, "Use GITHUB_TOKEN for authentication")."""


class User(BaseModel):
    """An account."""

    login: str


class Repository(BaseModel):
    """A repository."""

    full_name: str
    owner: User


class End(BaseModel):
    """Head or base of a pull request; a fork that was deleted has no repository."""

    sha: str
    ref: str
    repo: Repository | None


class PullRequest(BaseModel):
    """A pull request."""

    number: int
    head: End
    base: End


class Run(BaseModel):
    """A run of a workflow; `head_sha` of one on a pull request is the head's, not that of the merge commit."""

    id: int
    run_number: int
    run_attempt: int
    event: str
    status: str | None
    conclusion: str | None
    head_sha: str
    head_branch: str | None
    head_repository: Repository | None


class Environment(BaseModel):
    """An environment, as a review names it."""

    name: str


class Review(BaseModel):
    """What a reviewer has said of a run that waited for environments."""

    state: str
    environments: list[Environment]


class Artifact(BaseModel):
    """A file that a run has uploaded."""

    id: int
    name: str
    size_in_bytes: int
    expired: bool


class Comment(BaseModel):
    """A comment on an issue or pull request."""

    id: int
    body: str | None = None
    user: User | None = None


class Issue(BaseModel):
    """An issue or, with `pull_request`, a pull request."""

    number: int
    body: str | None = None
    user: User | None = None
    pull_request: object = None


class CompletedRun(BaseModel):
    """What the event `workflow_run` says."""

    workflow_run: Run
    default_branch: str

    @classmethod
    def of_event(cls, content: bytes) -> CompletedRun:
        """Read the file at GITHUB_EVENT_PATH. Raises Pydantic's `ValidationError`."""
        event = _Event.model_validate_json(content)
        return cls(workflow_run=event.workflow_run, default_branch=event.repository.default_branch)


class _EventRepository(BaseModel):
    default_branch: str


class _Event(BaseModel):
    workflow_run: Run
    repository: _EventRepository

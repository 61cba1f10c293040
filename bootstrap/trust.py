"""Which workflow of the repository is which identity: the claims of GitHub's token, as Google's attribute mapping.

Google evaluates these CEL expressions on the token of every job. All conditions of an identity are one expression with
one value, to which the permission is bound: permissions that are bound to single claims (a branch, an environment) add
up, so that a job with either of them would have it. Names of owner and repository are not used, because somebody else
can take them after a rename; the numbers stay. Claims: docs.github.com, OpenID Connect reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ISSUER: Final = "https://token.actions.githubusercontent.com"
REF: Final = "refs/heads/main"
"""The protected branch, which `.github/workflows` and `github_workflows` name as well."""
PREVIEWER: Final = "previewer"
"""The one identity that a team can do without, and must without required reviewers: nothing else protects it."""


@dataclass(frozen=True)
class Workflow:
    """The jobs that may become an identity."""

    environment: str
    """The job's GitHub environment, whose protection rules (reviewers, branches) GitHub has enforced by then."""
    events: tuple[str, ...]
    files: tuple[str, ...]
    """The workflow files, as they are on main. Empty: any file of any branch, since whoever opens a pull request also
    writes the file; the environment's reviewers are what protects the identity then."""

    @property
    def expression(self) -> str:
        """The condition on a token, in CEL."""
        events = ", ".join(f"'{event}'" for event in self.events)
        parts = [f"assertion.environment == '{self.environment}'", f"assertion.event_name in [{events}]"]
        if self.files:
            files = " || ".join(
                f"assertion.workflow_ref.endsWith('/.github/workflows/{file}@{REF}')" for file in self.files
            )
            parts += [f"assertion.ref == '{REF}'", f"({files})"]
        return " && ".join(parts)


WORKFLOWS: Final[Mapping[str, Workflow]] = {
    PREVIEWER: Workflow("preview", ("pull_request",), ()),
    # Also for a deployment: what it would do is shown before somebody approves it.
    "drift": Workflow("drift", ("schedule", "workflow_dispatch"), ("drift.yml", "deploy.yml")),
    "deployer": Workflow("production", ("workflow_dispatch",), ("deploy.yml",)),
}
"""Workflow of each identity."""


def identities(*, previews: bool) -> tuple[str, ...]:
    """Names of the identities, with that of previews or without it."""
    return tuple(name for name in WORKFLOWS if previews or name != PREVIEWER)


NOBODY: Final = "none"


def condition(repository_id: str, owner_id: str, names: Sequence[str]) -> str:
    """Which tokens are accepted at all: those of this repository's jobs in the environment of one of the identities."""
    environments = ", ".join(f"'{WORKFLOWS[name].environment}'" for name in names)
    return (
        f"assertion.repository_id == '{repository_id}' && assertion.repository_owner_id == '{owner_id}' && "
        f"has(assertion.environment) && assertion.environment in [{environments}]"
    )


def mapping(names: Sequence[str]) -> dict[str, str]:
    """Google's attributes. The subject names the run, for the audit log; no permission is bound to it."""
    identity = f"'{NOBODY}'"
    for name in reversed(names):
        identity = f"({WORKFLOWS[name].expression}) ? '{name}' : ({identity})"
    return {
        "google.subject": "'repository/' + assertion.repository_id + '/run/' + assertion.run_id",
        # The repository is in the value too: a condition that lets in a second repository gives it nothing.
        "attribute.identity": f"assertion.repository_id + '/' + ({identity})",
    }


def attribute(repository_id: str, identity: str) -> str:
    """The attribute and value to which `identity` is bound, as in a `principalSet://`."""
    return f"attribute.identity/{repository_id}/{identity}"

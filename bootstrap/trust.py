"""Which workflow of the repository is which identity: the claims of GitHub's token, as Google's attribute mapping.

Google evaluates these CEL expressions on the token of every job. All conditions of an identity are one expression with
one value, to which the permission is bound: permissions that are bound to single claims (a branch, an environment) add
up, so that a job with either of them would have it. Names of owner and repository are not used, because somebody else
can take them after a rename; the numbers stay. Claims: docs.github.com, OpenID Connect reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ISSUER: Final = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True)
class Workflow:
    """The jobs that may become an identity."""

    environment: str
    """The job's GitHub environment, whose protection rules (reviewers, branches) GitHub has enforced by then."""
    events: tuple[str, ...]
    file: str | None
    """The workflow file, as it is on the protected branch. None: any file of any branch, since whoever opens a pull
    request also writes the file; the environment's reviewers are what protects the identity then."""

    def expression(self, branch: str) -> str:
        """The condition on a token, in CEL."""
        events = ", ".join(f"'{event}'" for event in self.events)
        parts = [f"assertion.environment == '{self.environment}'", f"assertion.event_name in [{events}]"]
        if self.file is not None:
            parts += [
                f"assertion.ref == 'refs/heads/{branch}'",
                f"assertion.workflow_ref.endsWith('/.github/workflows/{self.file}@refs/heads/{branch}')",
            ]
        return " && ".join(parts)


WORKFLOWS: Final[Mapping[str, Workflow]] = {
    "previewer": Workflow("preview", ("pull_request",), None),
    "drift": Workflow("drift", ("schedule", "workflow_dispatch"), "drift.yml"),
    "deployer": Workflow("production", ("workflow_dispatch",), "deploy.yml"),
}
"""Workflow of each identity."""

NOBODY: Final = "none"


def condition(repository_id: str, owner_id: str) -> str:
    """Which tokens are accepted at all: those of this repository's jobs in one of the environments."""
    environments = ", ".join(f"'{workflow.environment}'" for workflow in WORKFLOWS.values())
    return (
        f"assertion.repository_id == '{repository_id}' && assertion.repository_owner_id == '{owner_id}' && "
        f"has(assertion.environment) && assertion.environment in [{environments}]"
    )


def mapping(branch: str) -> dict[str, str]:
    """Google's attributes. The subject names the run, for the audit log; no permission is bound to it."""
    identity = f"'{NOBODY}'"
    for name, workflow in reversed(WORKFLOWS.items()):
        identity = f"({workflow.expression(branch)}) ? '{name}' : ({identity})"
    return {
        "google.subject": "'repository/' + assertion.repository_id + '/run/' + assertion.run_id",
        # The repository is in the value too: a condition that lets in a second repository gives it nothing.
        "attribute.identity": f"assertion.repository_id + '/' + ({identity})",
    }


def attribute(repository_id: str, identity: str) -> str:
    """The attribute and value to which `identity` is bound, as in a `principalSet://`."""
    return f"attribute.identity/{repository_id}/{identity}"

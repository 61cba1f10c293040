"""Reads existing resources, and explains a failed read in terms of the config.

The SDK turns a failed invoke into a traceback that names no key. Here it becomes one message with key, value, rule and
fix, as everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import pulumi

from reference import iam
from validation.problems import Problem

T = TypeVar("T")

_ROLES: Final = {
    "compute": "roles/compute.viewer",
    "container": "roles/container.admin",
    "storage": "roles/storage.admin",
    "resourcemanager": "roles/browser",
    "serviceusage": "roles/serviceusage.serviceUsageConsumer",
}
"""The role that grants a missing permission, by its service."""

_PERMISSION: Final = re.compile(
    r"\b((?:compute|container|storage|resourcemanager|serviceusage)\.(?!googleapis)\w+\.\w+)"
)
_API: Final = re.compile(r"(\w+\.googleapis\.com)")
_CREDENTIALS: Final = re.compile(
    r"default credentials|invalid_grant|reauth|oauth2|Error 401|UNAUTHENTICATED|invalid authentication", re.IGNORECASE
)
_DISABLED: Final = re.compile(r"SERVICE_DISABLED|accessNotConfigured|has not been used in project|it is disabled")
_UNREACHED: Final = re.compile(
    r"dial tcp|no such host|i/o timeout|connection (?:refused|reset)|network is unreachable|TLS handshake|"
    r"deadline exceeded|context canceled|\bEOF\b|no route to host",
    re.IGNORECASE,
)
_FORBIDDEN: Final = re.compile(r"Error 403|forbidden|PERMISSION_DENIED|does not have \S+ access", re.IGNORECASE)
_MISSING: Final = re.compile(r"Error 404|not ?found|does not exist", re.IGNORECASE)


@dataclass(frozen=True)
class ReadTarget:
    """A resource to read."""

    key: str
    """Key of the config that names it."""
    value: str
    """Value of the key."""
    what: str
    """Kind and location, such as "cluster in us-central1 of project p"."""
    project: str
    """Id of the project."""
    listed_by: str
    """A command that lists the resources of this kind."""
    service: str
    """The service that is called: a key of `_ROLES`."""


def found(read: Callable[[], T], subject: ReadTarget) -> T:
    """The result of `read`, or `pulumi.RunError` with what its failure means for the config.

    The call is synchronous, so that a program that cannot read what it adopts ends here, with this message alone.
    """
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - the SDK raises plain exceptions, distinguished by their text alone
        raise pulumi.RunError(str(problem(subject, str(error)))) from None


def problem(subject: ReadTarget, answer: str) -> Problem:
    """What a failed read of `subject` means, from the error text of Google Cloud or the plugin."""
    rule, fix = _meaning(subject, answer)
    return Problem(subject.key, subject.value, rule, fix)


def _meaning(subject: ReadTarget, answer: str) -> tuple[str, str]:
    project = subject.project
    # A token that cannot be fetched without a network is a network problem.
    if _UNREACHED.search(answer) and "default credentials" not in answer:
        return (
            f"Google Cloud was not reached, and adopting needs it: {_short(answer)}",
            "Check network and proxy (HTTPS_PROXY); an environment that creates everything is previewed without",
        )
    if _CREDENTIALS.search(answer):
        return (
            "Google Cloud does not accept the credentials, so what is adopted cannot be read",
            "Log in: gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS",
        )
    if _DISABLED.search(answer):
        api = _API.search(answer)
        name = api[1] if api else "container.googleapis.com"
        return f"the API {name} is off in project {project}", f"gcloud services enable {name} --project {project}"
    if _FORBIDDEN.search(answer):
        permission = _PERMISSION.search(answer)
        lacking = f" lacks {permission[1]}" if permission else " has no right"
        service = permission[1].partition(".")[0] if permission else subject.service
        grant = iam.command("project", project, _ROLES[service], "user:YOU")
        return (
            f"the caller{lacking} to read the {subject.what} (or it does not exist)",
            f"Grant {_ROLES[service]}: {grant}; or correct the name: {subject.listed_by}",
        )
    if _MISSING.search(answer):
        return f"there is no such {subject.what}", f"Correct the name, or set its mode to create: {subject.listed_by}"
    return f"the {subject.what} cannot be read: {_short(answer)}", "python -m preflight asks Google Cloud step by step"


def _short(answer: str) -> str:
    words = " ".join(answer.split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}..."


_LONGEST: Final = 300
"""Characters of an answer that a message quotes."""

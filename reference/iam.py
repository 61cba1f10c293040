"""Role bindings: the one description of a binding that the program makes, or prints for somebody else to make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from validation.problems import RuleError

On = Literal["project", "bucket", "service account", "key"]
"""What a role is given on."""

ADD: Final[Mapping[On, Callable[[str], str]]] = {
    # Without it gcloud asks, if the policy has a binding with a condition.
    "project": lambda target: f"gcloud projects add-iam-policy-binding {target} --condition=None",
    "bucket": lambda target: f"gcloud storage buckets add-iam-policy-binding gs://{target}",
    "service account": lambda target: f"gcloud iam service-accounts add-iam-policy-binding {target}",
    "key": lambda target: f"gcloud kms keys add-iam-policy-binding {target}",
}

_EMAIL: Final = re.compile(r"[^@\s:/]+@(?P<project>[a-z][-a-z0-9.]+?)\.iam\.gserviceaccount\.com")
_DEFAULT_EMAIL: Final = re.compile(r"[0-9]+-compute@developer\.gserviceaccount\.com")


def command(on: On, target: str, role: str, member: str) -> str:
    """The command that adds `member` to `role` on `target` and removes nobody."""
    # A principal of a pod has characters that a shell takes for its own.
    return f"{ADD[on](target)} --role={role} --member='{member}'"


def check_account(email: str, key: str = "account") -> None:
    """Raise `RuleError` unless `email` is that of a Google service account."""
    if not (_EMAIL.fullmatch(email) or _DEFAULT_EMAIL.fullmatch(email)):
        raise RuleError(
            key,
            email,
            "a Google service account is named by its email",
            "write NAME@PROJECT.iam.gserviceaccount.com: gcloud iam service-accounts list",
        )


def project_of(email: str) -> str | None:
    """Id of the project that owns a service account; None for the default account of Compute Engine."""
    found = _EMAIL.fullmatch(email)
    if found is None:
        return None
    # The domain of a domain-scoped project follows its name: NAME@PROJECT.DOMAIN.iam.gserviceaccount.com.
    name, _, domain = found["project"].partition(".")
    return f"{domain}:{name}" if domain else name

"""The project's number is given where an account or a pool of identities is named by it."""

from __future__ import annotations

from collections.abc import Iterator

from settings.checks import encryption, network, nodes
from settings.model import Settings
from validation.problems import Problem


def check(settings: Settings) -> Iterator[Problem]:
    """One problem with every reason, where the number is missing."""
    if settings.project_number is not None:
        return
    parts = (_direct, encryption.number_needed, network.number_needed, nodes.number_needed)
    reasons = [reason for part in parts if (reason := part(settings))]
    if not reasons:
        return
    fix = f"set it: gcloud projects describe {settings.project} --format='value(projectNumber)'"
    if reasons == [_direct(settings)]:
        fix += "; or set workloadIdentity: serviceAccount"
    yield Problem("projectNumber", None, "; ".join(reasons), fix)


def _direct(settings: Settings) -> str:
    """Why Workload Identity needs it; empty: pods act as service accounts."""
    return "workloadIdentity: direct names the project by its number" if settings.workload_identity == "direct" else ""

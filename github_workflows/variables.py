"""The repository variables that bootstrap/ has outputs for: set, and of the right form, before a step uses them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from change_report import safe_text
from github_workflows import cut
from github_workflows.engine_errors import HOW_TO

_ACCOUNT: Final = re.compile(r"^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z0-9.:-]+\.iam\.gserviceaccount\.com$")
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "WORKLOAD_IDENTITY_PROVIDER": (
        re.compile(r"^projects/\d+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+$"),
        "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, with the project's number",
    ),
    "PULUMI_BACKEND_URL": (re.compile(r"^gs://[a-z0-9][a-z0-9._-]+(/\S*)?$"), "gs://BUCKET"),
    "PREVIEWER_ACCOUNT": (_ACCOUNT, "NAME@PROJECT.iam.gserviceaccount.com"),
    "DRIFT_ACCOUNT": (_ACCOUNT, "NAME@PROJECT.iam.gserviceaccount.com"),
    "DEPLOYER_ACCOUNT": (_ACCOUNT, "NAME@PROJECT.iam.gserviceaccount.com"),
}
NAMES: Final = tuple(_FORMS)


def wrong(names: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """One message about all variables of `names` that are not set or not of the right form."""
    problems: list[str] = []
    for name in names:
        pattern, form = _FORMS[name]
        value = environment.get(name, "")
        if not value:
            problems.append(f"{name} is not set (form: {form})")
        elif not pattern.fullmatch(value):
            problems.append(f"{name} is {safe_text.span(cut.middle_cut(value, 200))}, its form is {form}")
    if not problems:
        return None
    return (
        f"repository variables: {'; '.join(problems)}. Fix: `gh variable set NAME --body VALUE` with the outputs of "
        f"bootstrap/. See {HOW_TO}."
    )

"""The API server's own plugin for ValidatingAdmissionPolicies (k8s.io/apiserver), built once outside the checkout.

It compiles and runs expressions with the variables and limits that the API server gives them, and matches, binds and
decides as the API server does. What it does not do is convert requests of other versions of a kind.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.conformance import go_programs

_SOURCE: Final = Path(__file__).with_name("api_server_admission")


@dataclass(frozen=True)
class Request:
    """A request to the API server."""

    object: Mapping[str, Any]
    operation: str = "CREATE"
    old: Mapping[str, Any] | None = None
    user: str = "somebody"


def binary() -> Path:
    """The program, which is built if it is not there. Raises `AbsentError`."""
    return go_programs.built(_SOURCE)


def judge(worlds: Sequence[tuple[Sequence[Mapping[str, Any]], Sequence[Request]]]) -> list[list[str]]:
    """Why each request is refused in each world, of manifests and requests; an empty text: it is not."""
    asked = [
        {
            "manifests": list(manifests),
            "requests": [
                {"operation": r.operation, "object": r.object, "oldObject": r.old, "user": r.user} for r in requests
            ],
        }
        for manifests, requests in worlds
    ]
    ran = subprocess.run(  # noqa: S603 - our own build
        [str(binary())], input=json.dumps(asked), capture_output=True, text=True, timeout=600, check=True
    )
    answers: list[list[str]] = json.loads(ran.stdout)
    return answers

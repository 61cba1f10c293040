"""The environments that the tests run. Their stack files are the tests' own: a team edits those of the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).parent / "data" / "stacks"
VARIABLE: Final = "DYNAMO_A4X_STACK_FILES"
"""As in `rehearsal.run`, which preflight's tests cannot load beside Google's libraries."""


def install() -> None:
    """Let rehearsals of this process and of those that it starts read these stack files."""
    os.environ[VARIABLE] = str(FOLDER)


def path(environment: str) -> Path:
    """The stack file of an environment."""
    return FOLDER / f"Pulumi.{environment}.yaml"


def config(environment: str) -> dict[str, Any]:
    """Its `config`."""
    return yaml.safe_load(path(environment).read_text(encoding="utf-8"))["config"]

"""The result of one check of one stack, as a file: what a job hands to the job that writes to GitHub.

The reader does not trust the writer, which ran the code of a pull request: the file is bounded and strictly read, and
its text is shown in code blocks only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MESSAGE_MOST: Final = 4_000
TEXT_MOST: Final = 400_000
FILE_MOST: Final = 4_000_000
"""Bytes; JSON writes a character in up to 12."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
"""Of a stack, or `comparison`."""
Verdict = Literal["done", "drift", "failed"]


class Outcome(BaseModel):
    """What came of one check."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    subject: Name
    verdict: Verdict
    message: Annotated[str, Field(max_length=MESSAGE_MOST)] = ""
    """Cause and fix of a failure."""
    text: Annotated[str, Field(max_length=TEXT_MOST)] = ""
    """What the engine printed, masked."""

    def write(self, path: Path) -> None:
        """Write the file, and the folder that it is in."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json() + "\n", encoding="utf-8")


class OutcomeError(Exception):
    """A file that is not an outcome. The text has the reason, and nothing of the file."""


def read(content: bytes) -> Outcome:
    """The outcome in a file. Raises `OutcomeError`."""
    if len(content) > FILE_MOST:
        raise OutcomeError(f"it has {len(content)} bytes, at most {FILE_MOST} are read")
    try:
        return Outcome.model_validate_json(content)
    except ValidationError as error:
        # The location is a key of the model or of the file: of the latter only the kind of the error is told.
        kinds = sorted({problem["type"] for problem in error.errors(include_input=False, include_url=False)})
        raise OutcomeError(f"it is not a result of this project's checks ({', '.join(kinds)})") from None

"""One fault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath


class MisplacedError(Exception):
    """The list is behind the program: the text of a fault is not where it says, or not once."""


@dataclass(frozen=True)
class Mutant:
    """One wrong line of the program, and who sees it."""

    name: str
    """What is wrong, as a sentence about the program."""
    path: str
    """The file, from the project's root."""
    old: str
    """The text as it is, which stands in the file exactly once."""
    new: str
    """What it becomes."""
    test: str
    """The test that fails then, the fastest that is known: a node or a file of pytest."""

    @property
    def package(self) -> str:
        """The folder of the file; `.` for the project's root."""
        return PurePosixPath(self.path).parent.as_posix()

    def planted(self, root: Path) -> str:
        """The text of the file with the fault in it.

        Raises:
            MisplacedError: the old text is not in the file, or more than once; or the new one is not valid Python.
        """
        file = root / self.path
        if not file.is_file():
            raise MisplacedError(f"{self.name}: there is no {self.path}")
        text = file.read_text(encoding="utf-8")
        count = text.count(self.old)
        if count != 1:
            raise MisplacedError(f"{self.name}: the old text stands {count} times in {self.path}")
        return text.replace(self.old, self.new)

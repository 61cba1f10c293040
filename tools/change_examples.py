"""Writes the stored reports of tests/data/change_report, one for each change of cases.yaml.

python -m tools.change_examples            # prints them
python -m tools.change_examples --write    # writes them; minutes, in the real engine against the embedded cloud
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict

from change_report import markdown, rehearsed
from change_report.assembly import assembled
from change_report.model import Report
from change_report.trees import Tree
from rehearsal import Rehearsal
from rehearsal.run import ROOT, Snapshot

FOLDER: Final = ROOT / "tests" / "data" / "change_report"
STACKS: Final = ROOT / "tests" / "data" / "stacks"
"""Stack files of the tests: a team edits those of the project."""
_LEFT_OUT: Final = shutil.ignore_patterns(".*", "Pulumi.*.yaml", "__pycache__", "docs", "tests", "rehearsal", "mutants")


class Edit(BaseModel):
    """One edit of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    old: str = ""
    """Stands in the file exactly once."""
    new: str = ""
    append: str = ""
    copy_of: str = ""
    remove: bool = False

    def apply(self, root: Path) -> None:
        """Edit the file in a checkout."""
        path = root / self.file
        if self.remove:
            path.unlink()
            return
        if self.copy_of:
            shutil.copy(root / self.copy_of, path)
            return
        text = path.read_text(encoding="utf-8")
        if self.old and text.count(self.old) != 1:
            raise ValueError(f"{self.old!r} stands {text.count(self.old)} times in {self.file}")
        text = text.replace(self.old, self.new) if self.old else text + self.append
        path.write_text(text, encoding="utf-8")


class Case(BaseModel):
    """A change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    stacks: tuple[str, ...]
    whole: bool = False
    """Whether only `make test-all` runs it."""
    base: tuple[Edit, ...] = ()
    edits: tuple[Edit, ...]

    @property
    def stored(self) -> Path:
        """Where its report stands."""
        return FOLDER / f"{self.name}.md"


def cases() -> list[Case]:
    """All changes, in the order of the file."""
    content = yaml.safe_load((FOLDER / "cases.yaml").read_text(encoding="utf-8"))
    return [Case.model_validate(one) for one in content]


def checkout(target: Path) -> Path:
    """A copy of what the program needs."""
    shutil.copytree(ROOT, target, ignore=_LEFT_OUT)
    for file in STACKS.glob("Pulumi.*.yaml"):
        shutil.copy(file, target)
    return target


class Bench:
    """Deploys each base once, and goes back to it after each change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._deployed: dict[tuple[str, tuple[Edit, ...]], tuple[Rehearsal, Snapshot]] = {}

    def report(self, case: Case) -> str:
        """The report of a change as Markdown."""
        base = self._tree("base", case.base)
        head = self._tree("change", (*case.base, *case.edits))
        deployed = partial(self._base, edits=case.base)
        found = [rehearsed.compare(name, base, head, deployed) for name in case.stacks]
        report = assembled(base, head, found)
        return markdown.render(Report.model_validate_json(report.model_dump_json()))

    def close(self) -> None:
        """Stop every engine."""
        for rehearsal, *_ in self._deployed.values():
            rehearsal.close()

    @contextmanager
    def _base(self, name: str, base: Tree, edits: tuple[Edit, ...]) -> Generator[Rehearsal]:
        key = (name, edits)
        if key not in self._deployed:
            rehearsal = Rehearsal(name, root=base.root).__enter__()
            rehearsal.up()
            self._deployed[key] = (rehearsal, rehearsal.moment())
        rehearsal, deployed = self._deployed[key]
        rehearsal.restore(deployed)
        yield rehearsal

    def _tree(self, commit: str, edits: Sequence[Edit]) -> Tree:
        root = checkout(Path(tempfile.mkdtemp(dir=self._folder)) / "checkout")
        for edit in edits:
            edit.apply(root)
        return Tree(root, commit)


@contextmanager
def bench() -> Generator[Bench]:
    """A bench whose folder is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="change-examples-") as folder:
        made = Bench(Path(folder))
        try:
            yield made
        finally:
            made.close()


def main(command: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the files")
    parser.add_argument("names", nargs="*", help="only these changes")
    options: Mapping[str, Any] = vars(parser.parse_args(command))
    with bench() as made:
        for case in cases():
            if options["names"] and case.name not in options["names"]:
                continue
            text = made.report(case)
            if options["write"]:
                case.stored.write_text(text, encoding="utf-8")
            else:
                sys.stdout.write(f"<!-- {case.title} -->\n{text}\n")


if __name__ == "__main__":
    main()

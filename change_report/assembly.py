"""The whole report: the environments, and what differs in the project itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from change_report import stack_files
from change_report.fields import differences
from change_report.model import Environment, FieldChange, Report, short
from change_report.trees import Tree


def assembled(base: Tree, head: Tree, environments: Iterable[Environment]) -> Report:
    """The report of two checkouts and their compared environments."""
    return Report(
        base=short(base.commit),
        head=short(head.commit),
        packages=tuple(_packages(base.packages, head.packages)),
        project=stack_files.project_changes(base, head),
        environments=tuple(environments),
    )


def _packages(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[FieldChange]:
    """Packages whose version differs, or whose hashes do at the same version; each once, however many files pin it."""
    found = {change.path: change for change in differences(before, after)}
    seen: set[tuple[str, str | None, str | None]] = set()
    for path, change in found.items():
        package, _, what = path.rpartition(".")
        if what == "hashes" and f"{package}.version" in found:
            continue
        key = (package.rsplit("]", 1)[-1].rsplit(".", 1)[-1], change.before, change.after)
        if key not in seen:
            seen.add(key)
            yield change

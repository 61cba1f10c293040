"""Writes docs/reference/platform-team.md: what a platform team must give before a company's environment is deployed.

python -m tools.platform_team                # prints the page of the example
python -m tools.platform_team --write        # writes it
python -m tools.platform_team --stack prod   # prints the same for a stack of yours
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import settings
from settings import Settings, SettingsError, prerequisites, stack_file
from settings.stack_file import StackFileError

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "reference" / "platform-team.md"
_FOLDER: Final = ROOT / "docs" / "how-to" / "company"
EXAMPLE: Final = _FOLDER / "Pulumi.company.yaml"
"""An environment with a cluster of its own."""
SHARED: Final = _FOLDER / "Pulumi.company-cluster.yaml"
"""An environment in somebody else's cluster and namespaces."""

_HEAD: Final = """\
# What the platform team must provide

<!-- Generated from the settings by `make generated`; do not edit. -->

This page is that of two examples with a Shared VPC, no internet access, mirrors, customer-managed keys, accounts and
roles of others: [Pulumi.company.yaml](../how-to/company/Pulumi.company.yaml) creates its cluster, and
[Pulumi.company-cluster.yaml](../how-to/company/Pulumi.company-cluster.yaml), last on the page, brings its rack into a
cluster and namespaces of others. For a stack of yours:

```sh
.venv/bin/python -m tools.platform_team --stack prod
```

Each row is one thing that the program uses and does not create. `make preflight` looks for it with the check that is
named, and says which one is missing. What is marked [inferred] no document says. What can only follow the first
`pulumi up` is in its outputs: `firewallRules`, `iamBindings` (commands), `policyExemptions` (what admission policies
object to in which pod).
"""
_SHARED_HEAD: Final = """\
## In a cluster of others

What this example needs beside the entries above for the same host project, NICs, accounts, keys and mirrors; what
belongs to a cluster or a bucket of its own does not concern it:
"""


def rows(chosen: Settings, known: Collection[prerequisites.Prerequisite] = (), level: str = "##") -> Iterator[str]:
    """Markdown of the prerequisites of `chosen` beside the `known` ones, one section for each key of the config."""
    sections: dict[str, list[prerequisites.Prerequisite]] = {}
    said = {(one.what, one.command) for one in known}
    for one in prerequisites.of(chosen):
        if (one.what, one.command) not in said:
            sections.setdefault(one.key, []).append(one)
    for key, found in sections.items():
        yield f"{level} `{key}`\n"
        for one in found:
            yield f"- {one.what}  \n  preflight: {one.check}; source: {one.source}\n\n  ```sh\n  {one.command}\n  ```"
        yield ""


def page() -> str:
    """The content of docs/reference/platform-team.md."""
    own, shared = (settings.parse(stack_file.read(file), "company") for file in (EXAMPLE, SHARED))
    return "\n".join([_HEAD, *rows(own), _SHARED_HEAD, *rows(shared, list(prerequisites.of(own)), "###")])


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page of the example or of a stack, or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    parser.add_argument("--stack", help="print what this stack needs")
    arguments = parser.parse_args(command)
    if arguments.stack:
        try:
            chosen = settings.parse(stack_file.of_stack(arguments.stack, ROOT), arguments.stack)
        except (SettingsError, StackFileError) as error:
            sys.exit(str(error))
        text = "\n".join(rows(chosen)) or "nothing: the program creates all that it needs\n"
        sys.stdout.write(text)
    elif arguments.write:
        DOCUMENT.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main()

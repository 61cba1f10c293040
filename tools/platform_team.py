"""Writes docs/reference/platform-team.md: what a platform team must give before a company's environment is deployed.

python -m tools.platform_team                # prints the page of the example
python -m tools.platform_team --write        # writes it
python -m tools.platform_team --stack prod   # prints the same for a stack of yours
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import settings
from settings import Settings, SettingsError, prerequisites, stack_file
from settings.stack_file import StackFileError

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "reference" / "platform-team.md"
EXAMPLE: Final = ROOT / "docs" / "how-to" / "company" / "Pulumi.company.yaml"

_HEAD: Final = """\
# What a platform team must give you

<!-- Generated from the settings by `make generated`; do not edit. -->

This page is that of the example [Pulumi.company.yaml](../how-to/company/Pulumi.company.yaml): a Shared VPC, no way to
the internet, mirrors, keys of one's own, accounts and roles of others. For a stack of yours:

```sh
.venv/bin/python -m tools.platform_team --stack prod
```

Each row is one thing that the program uses and does not create. `make preflight` looks for it with the check that is
named, and says which one is missing. What is marked [inferred] no document says. What can only follow the first
`pulumi up` is in its outputs: `firewallRules`, `iamBindings` (commands), `policyExemptions` (what admission policies
object to in which pod).
"""


def rows(chosen: Settings) -> Iterator[str]:
    """Markdown of the prerequisites of `chosen`, one section for each key of the config."""
    sections: dict[str, list[prerequisites.Prerequisite]] = {}
    for one in prerequisites.of(chosen):
        sections.setdefault(one.key, []).append(one)
    for key, found in sections.items():
        yield f"## `{key}`\n"
        for one in found:
            yield f"- {one.what}  \n  preflight: {one.check}; source: {one.source}\n\n  ```sh\n  {one.command}\n  ```"
        yield ""


def page() -> str:
    """The content of docs/reference/platform-team.md."""
    return "\n".join([_HEAD, *rows(settings.parse(stack_file.read(EXAMPLE), "company"))])


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the page of the example or of a stack, or write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    parser.add_argument("--stack", help="print what this stack needs")
    arguments = parser.parse_args(command)
    if arguments.stack:
        try:
            chosen = settings.parse(stack_file.read(ROOT / f"Pulumi.{arguments.stack}.yaml"), arguments.stack)
        except (SettingsError, StackFileError, OSError) as error:
            sys.exit(str(error))
        text = "\n".join(rows(chosen)) or "nothing: the program creates all that it needs\n"
        sys.stdout.write(text)
    elif arguments.write:
        DOCUMENT.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main()

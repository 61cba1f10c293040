"""Writes docs/reference/policies.md, the rules of the policy pack, from the pack.

python -m tools.policy_rules            # prints the page
python -m tools.policy_rules --write    # writes it
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from policy.catalog import RULES
from policy.rule import Rule

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "policies.md"

_HEAD: Final = """\
# Policies

<!-- Generated from policy/ by `make generated`; do not edit. -->

Rules of the policy pack ([check policies](../how-to/check-policies.md)). A violated mandatory rule stops preview and
up, an advisory one is a warning. What a preview does not know is judged by the `up`, before the resource is created.

The pack is made for environments. It is not meant for `bootstrap/`, whose deployers may write buckets; nor does it see
what a Helm chart makes of its values, a file of values (`valueYamlFiles`), or what is changed outside of Pulumi.
"""

_SETTINGS: Final = """
## Settings

Set in `policy/config.json`. A list replaces the default, so repeat what is to stay.

| rule | setting | meaning | default |
|---|---|---|---|
"""


def page() -> str:
    """The page."""
    return "\n".join([_HEAD, "| rule | level | what must hold |", "|---|---|---|", *_rows()]) + "\n" + _settings()


def _rows() -> Iterator[str]:
    for rule in sorted(RULES, key=lambda rule: (rule.level != "mandatory", rule.name)):
        yield f"| `{rule.name}` | {rule.level} | {rule.text} |"


def _settings() -> str:
    return _SETTINGS + "".join(line for rule in RULES for line in _of(rule))


def _of(rule: Rule) -> Iterator[str]:
    for name, setting in rule.settings.items():
        default = json.dumps(setting.default)
        yield f"| `{rule.name}` | `{name}` | {setting.meaning} | `{default}` |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.policy_rules", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    if parser.parse_args(arguments).write:
        DOCUMENT.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())

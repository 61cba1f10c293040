"""The stacks that the workflows look after: those whose file says how their secrets are encrypted.

`pulumi stack init` writes that into the file, so a file that has only been copied or shipped is left alone, and a team
with one environment has nothing to delete.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, cast

import yaml

_FILE: Final = re.compile(r"Pulumi\.([a-z][a-z0-9-]{0,39})\.yaml")
_INITIALISED: Final = frozenset({"secretsprovider", "encryptedkey", "encryptionsalt"})
"""Keys of which the engine writes one or more (sdk/go/common/workspace/project.go, `ProjectStack`)."""
NONE: Final = (
    "no stack is initialised: no Pulumi.STACK.yaml says how its secrets are encrypted. Fix: `pulumi stack init STACK "
    "--secrets-provider gcpkms://...`, and commit the file"
)


class StacksError(Exception):
    """A stack file that cannot be read. The text has file, reason and fix."""


def initialised(root: Path) -> tuple[str, ...]:
    """Names of the stacks of the project in `root`, sorted. Raises `StacksError`."""
    named = ((found[1], path) for path in root.glob("Pulumi.*.yaml") if (found := _FILE.fullmatch(path.name)))
    return tuple(sorted(name for name, path in named if _INITIALISED & _read(path).keys()))


def _read(path: Path) -> dict[str, Any]:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StacksError(f"{path.name} cannot be read ({type(error).__name__}). Fix: make it YAML again") from None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}

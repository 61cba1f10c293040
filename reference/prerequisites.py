"""What somebody else must have done before an environment with company settings can be created.

One entry per grant or object that the program neither creates nor may create: the page "What the
platform team must provide" lists them, and preflight looks for each and names the missing ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prerequisite:
    """One thing that a platform team provides."""

    key: str
    """Key of the config that needs it, such as `encryption.disks`."""
    what: str
    """What must exist or be granted, and where."""
    command: str
    """A gcloud or kubectl command that provides it; placeholders in capitals."""
    check: str
    """Name of the preflight check that looks for it."""
    source: str = ""
    """Where it was read; "[inferred]" if nowhere."""

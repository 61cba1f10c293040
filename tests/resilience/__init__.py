"""Failures: what happens to the program's resources when something breaks, in the real engine.

Each test runs one or more rehearsals, breaks something on purpose, does what `docs/how-to/recover.md` says, and checks
what exists afterwards. `make faults` runs all of them, `make test` a selection (those that are not marked `whole`).
"""

from __future__ import annotations

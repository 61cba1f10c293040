"""Proofs under fault: what happens to the program's resources on failures, in the real engine.

Each proof runs one or more rehearsals, breaks something on purpose, does what `docs/how-to/recover.md` says, and checks
what exists afterwards. `make faults` runs the long forms, `make test` the short.
"""

from __future__ import annotations

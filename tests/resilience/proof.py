"""What tests in the real engine share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rehearsal import engine as engines

needs_engine = pytest.mark.skipif(
    engines.find() is None,
    reason=f"no Pulumi engine on PATH or at {engines.cached()}; `python -m rehearsal` gets one",
)
RecordProperty = Callable[[str, object], None]
"""pytest's fixture of that name; `conftest.py` prints what was recorded."""

"""What tests in the real engine share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rehearsal import engine as engines
from rehearsal import policy_pack

needs_engine = pytest.mark.skipif(
    engines.find() is None,
    reason=f"no Pulumi engine on PATH or at {engines.cached()}; `python -m rehearsal` gets one",
)
_PACK = policy_pack.lacks(policy_pack.PACK)
needs_policy_pack = pytest.mark.skipif(_PACK is not None, reason=str(_PACK))
RecordProperty = Callable[[str, object], None]
"""pytest's fixture of that name; `conftest.py` prints what was recorded."""

"""A late debug line of the SDK to an engine that has gone does not fail a run."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from pulumi import log

from rehearsal import sdk


class Gone(grpc.RpcError):
    """What a call to an engine that has gone raises."""


class Engine:
    """An engine that has gone."""

    def Log(self, _: Any) -> None:  # noqa: N802 - as the SDK calls it
        """Fail."""
        raise Gone


def _refuse(*_: Any, **__: Any) -> None:
    raise Gone


def test_a_debug_line_to_an_engine_that_has_gone_is_lost_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "_original", _refuse)
    sdk.mend()
    log.debug("run_pulumi_func completed")


def test_an_error_is_never_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "get_engine", Engine)
    sdk.mend()
    with pytest.raises(Gone):
        log.error("something failed")

"""What the rehearsal fixes in the SDK: engines that come and go in one process do not disturb each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from pulumi import log
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from rehearsal import sdk


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """An engine's resource monitor."""

    def SupportsFeature(self, *_: Any) -> Any:  # noqa: N802 - as gRPC calls it
        """Answer."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)


def _engine(port: int = 0) -> tuple[grpc.Server, int]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def _connect(port: int) -> Callable[[], Any]:
    """A question to the engine, over a channel as `pulumi.runtime.settings` makes it."""
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=sdk.channel_options())
    monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
    return lambda: monitor.SupportsFeature(resource_pb2.SupportsFeatureRequest(id="secrets"))


def _second_engine_at_the_port_of_the_first() -> None:
    first, port = _engine()
    asked = _connect(port)
    asked()
    first.stop(None).wait()
    for _ in range(3):
        with pytest.raises(grpc.RpcError):
            asked()
    second, _ = _engine(port)
    try:
        _connect(port)()
    finally:
        second.stop(None).wait()


@pytest.fixture
def unmended() -> Iterator[None]:
    """The SDK as it comes."""
    kept = list(sdk.channel_options())
    # The dead connection is not tried again while the test runs.
    slow = ("grpc.initial_reconnect_backoff_ms", 60_000)
    sdk.channel_options()[:] = [slow, *(option for option in kept if option != sdk.OWN_CONNECTIONS)]
    yield
    sdk.channel_options()[:] = kept


def test_a_new_engine_at_the_port_of_one_that_has_gone_is_reached() -> None:
    sdk.apply()
    _second_engine_at_the_port_of_the_first()


@pytest.mark.usefixtures("unmended")
def test_as_the_sdk_comes_the_new_engine_is_taken_for_the_old_one() -> None:
    with pytest.raises(grpc.RpcError, match="failed to connect to all addresses"):
        _second_engine_at_the_port_of_the_first()


@pytest.mark.usefixtures("unmended")
def test_the_mend_may_be_put_in_place_twice() -> None:
    sdk.apply()
    sdk.apply()
    assert sdk.channel_options().count(sdk.OWN_CONNECTIONS) == 1


class Gone(grpc.RpcError):
    """What a call to an engine that has gone raises."""


class Engine:
    """An engine that has gone."""

    def Log(self, _: Any) -> None:  # noqa: N802 - as the SDK calls it
        """Fail."""
        raise Gone


def test_a_debug_line_to_an_engine_that_has_gone_is_lost_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "get_engine", Engine)
    sdk.apply()
    log.debug("run_pulumi_func completed")


def test_an_error_is_never_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "get_engine", Engine)
    sdk.apply()
    with pytest.raises(Gone):
        log.error("something failed")

"""The gRPC servers that the engine attaches to, in one thread with an event loop of its own.

Each package has its own port, so that each can report the version that the engine expects of its plugin. The rehearsed
program runs event loops in other threads of the same process; none is shared. What the SDK's servicer lacks is added
here: `Handshake` and `Attach`, the old inputs of a diff, the connection of a call, and error messages without the
exception's name.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.provider.experimental import provider as sdk
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2
from typing_extensions import override

from rehearsal.simulator.faults import LostConnectionError, NotReadyError
from rehearsal.simulator.provider import EmbeddedCloud, client, configured_package, inputs_on_record
from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import props_from_plain, props_to_plain

# The engine's own message limit (a stack with many objects exceeds gRPC's default of 4 MiB).
_OPTIONS = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
_START_SECONDS = 20.0
# Its methods are not fully typed.
_SDK: Any = ProviderServicer


class CloudServicer(ProviderServicer):
    """The SDK's servicer for one package, with what it lacks."""

    def __init__(self, cloud: EmbeddedCloud, package: str) -> None:
        # The engine warns if a plugin is older than the program's SDK.
        super().__init__([], importlib.metadata.version(f"pulumi-{package}"), cloud, engine_address="")
        self._cloud = cloud
        self._package = package

    async def _guard(self, context: Any, answer: Callable[[], Awaitable[Any]]) -> Any:
        client.set(str(context.peer()))
        try:
            return await answer()
        except LostConnectionError as lost:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(lost))
        except NotReadyError as late:
            await context.abort(grpc.StatusCode.UNKNOWN, str(late), _with_object(late))
        except ApiError as refusal:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refusal))

    @override
    async def Handshake(self, request: Any, context: Any) -> Any:
        # Same as in `configure`, which the engine does not evaluate after a handshake.
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    @override
    async def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    @override
    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return await self._guard(context, lambda: _SDK.CheckConfig(self, request, context))

    @override
    async def DiffConfig(self, request: Any, context: Any) -> Any:
        # The SDK's own method returns a bool instead of an enum, so that "changed" is read as "no change".
        async def answer() -> Any:
            response = await self._cloud.diff_config(
                sdk.DiffRequest(
                    request.urn,
                    request.id,
                    PropertyValue.unmarshal_map(request.old_inputs or request.olds),
                    PropertyValue.unmarshal_map(request.news),
                    list(request.ignoreChanges),
                )
            )
            some, none = proto.DiffResponse.DIFF_SOME, proto.DiffResponse.DIFF_NONE
            return proto.DiffResponse(
                changes=some if response.changes else none, replaces=response.replaces, diffs=response.diffs
            )

        return await self._guard(context, answer)

    @override
    async def Configure(self, request: Any, context: Any) -> Any:
        configured_package.set(self._package)
        return await self._guard(context, lambda: _SDK.Configure(self, request, context))

    @override
    async def Check(self, request: Any, context: Any) -> Any:
        return await self._guard(context, lambda: _SDK.Check(self, request, context))

    @override
    async def Diff(self, request: Any, context: Any) -> Any:
        if request.HasField("old_inputs"):
            inputs_on_record.set(props_to_plain(PropertyValue.unmarshal_map(request.old_inputs)))
        return await self._guard(context, lambda: _SDK.Diff(self, request, context))

    @override
    async def Create(self, request: Any, context: Any) -> Any:
        return await self._guard(context, lambda: _SDK.Create(self, request, context))

    @override
    async def Read(self, request: Any, context: Any) -> Any:
        async def answer() -> Any:
            found = await _SDK.Read(self, request, context)
            # Of an object that is gone the plugins in Go send no properties. The SDK's servicer sends an empty object,
            # which the engine takes for one that exists.
            return found if found.id else proto.ReadResponse()

        return await self._guard(context, answer)

    @override
    async def Update(self, request: Any, context: Any) -> Any:
        return await self._guard(context, lambda: _SDK.Update(self, request, context))

    @override
    async def Delete(self, request: Any, context: Any) -> Any:
        return await self._guard(context, lambda: _SDK.Delete(self, request, context))

    @override
    async def Invoke(self, request: Any, context: Any) -> Any:
        return await self._guard(context, lambda: _SDK.Invoke(self, request, context))


def _with_object(late: NotReadyError) -> tuple[tuple[str, bytes], ...]:
    """The existing object, as the error detail in which the engine expects it."""
    if late.outputs is None:
        return ()
    values = PropertyValue.marshal_map(props_from_plain(late.outputs))
    found = provider_pb2.ErrorResourceInitFailed(id=late.id, properties=values, reasons=[str(late)])
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(late))
    status.details.add().Pack(found)
    return (("grpc-status-details-bin", status.SerializeToString()),)


class CloudServer:
    """Runs the embedded cloud on local ports until stopped."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.ports: dict[str, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="embedded-cloud", daemon=True)

    def start(self) -> CloudServer:
        """Start serving; raises `RuntimeError` if the server does not start."""
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise RuntimeError("the embedded cloud did not start")
        if self._failure is not None:
            raise RuntimeError(f"the embedded cloud did not start: {self._failure}")
        return self

    def stop(self) -> None:
        """Stop serving and end the thread; does nothing if it never ran."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_START_SECONDS)

    @property
    def attach(self) -> str:
        """The value for `PULUMI_DEBUG_PROVIDERS`."""
        return ",".join(f"{package}:{port}" for package, port in self.ports.items())

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - passed to start(), which raises it in the caller's thread
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        servers: list[grpc.aio.Server] = []
        for package in self.cloud.packages:
            server = grpc.aio.server(options=_OPTIONS)
            servicer = CloudServicer(self.cloud, package)
            provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
            self.ports[package] = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            servers.append(server)
        self._started.set()
        await self._stop.wait()
        for server in servers:
            await server.stop(grace=0)

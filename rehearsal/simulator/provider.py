"""The embedded cloud as a Pulumi provider: one object for all packages.

It selects the service by the package of the type token, runs the fault hooks around the call, and writes the journal.
It has no rules of any service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TypeVar

from pulumi.provider.experimental import provider as sdk
from pulumi.provider.experimental.property_value import PropertyValue
from typing_extensions import override

from rehearsal.simulator.faults import Call, Faults, NotReadyError
from rehearsal.simulator.gcp.service import GoogleCloud
from rehearsal.simulator.kubernetes.service import Kubernetes
from rehearsal.simulator.random_provider import Random
from rehearsal.simulator.service import Difference, Failure, Service
from rehearsal.simulator.state import ApiError, CloudState, Entry, now
from rehearsal.simulator.values import Change, Props, props_from_plain, props_to_plain
from rehearsal.simulator.workloads import blockers, readiness_jobs, serving

_Result = TypeVar("_Result")

client: ContextVar[str] = ContextVar("client", default="")
"""The connection of the current call. Each provider instance of the engine has its own, and nothing else in a call
identifies the instance."""
inputs_on_record: ContextVar[Props | None] = ContextVar("inputs_on_record", default=None)
"""The old inputs of the current diff, which the engine sends and the SDK's `DiffRequest` lacks."""
configured_package: ContextVar[str] = ContextVar("configured_package", default="")
"""The package of the current configure call; empty: all."""


def kind_of(urn: str) -> str:
    """The type token of a URN, without the tokens of its parents."""
    parts = urn.split("::", 3)
    return parts[2].rsplit("$", 1)[-1] if len(parts) == 4 else ""


def name_of(urn: str) -> str:
    """The logical name of a URN."""
    parts = urn.split("::", 3)
    return parts[3] if len(parts) == 4 else urn


class EmbeddedCloud(sdk.Provider):
    """Google Cloud, Kubernetes and random values, kept in memory."""

    def __init__(
        self, state: CloudState | None = None, *, kubernetes_version: str = "1.34", dynamo_version: str = "0.7.0"
    ) -> None:
        self.state = state or CloudState()
        self.faults = Faults()
        self.gcp = GoogleCloud(self.state)
        self.kubernetes = Kubernetes(self.state, kubernetes_version, dynamo_version)
        self.random = Random(self.state)
        services: tuple[Service, ...] = (self.gcp, self.kubernetes, self.random)
        self._services = {service.package: service for service in services}

    @property
    def packages(self) -> list[str]:
        """The packages that it replaces."""
        return list(self._services)

    def unwatched(self) -> list[str]:
        """What keeps the program's graphs without a readiness check from running, which nothing else would report."""
        with self.state.lock:
            graphs = [
                graph
                for graph in self.state.find(serving.GRAPH, where=lambda graph: graph.origin == "program")
                if not readiness_jobs.watches(self.state, graph)
            ]
            found = [list(blockers.of(self.state, graph.scope, graph.outputs)) for graph in graphs]
            return [reason for reasons in found for reason in reasons]

    def _service(self, kind: str) -> Service:
        package = kind.split(":", 1)[0]
        if package == "pulumi":
            package = kind.rsplit(":", 1)[-1]
        if package not in self._services:
            raise ApiError(f"the embedded cloud has no package {package} ({kind})")
        return self._services[package]

    async def _run(self, call: Call, work: Callable[[Service], _Result], seconds: float = 0.0) -> _Result:
        started, refused = now(), ""
        try:
            service = self._service(call.kind)
            await self.faults.run(self.faults.before, call)
            if seconds and not call.preview:
                await asyncio.sleep(seconds)
            with self.state.lock:
                result = work(service)
            await self.faults.run(self.faults.after, call)
        except ApiError as refusal:
            refused = str(refusal)
            raise
        except Exception as error:
            refused = f"{type(error).__name__}: {error}"
            raise
        else:
            return result
        finally:
            ended = now()
            self.state.record(
                Entry(call.op, call.kind, call.name, call.urn, call.id, call.preview, started, ended, refused)
            )

    def _call(
        self,
        op: str,
        urn: str,
        *,
        kind: str = "",
        id_: str | None = None,
        preview: bool = False,
        inputs: Mapping[str, PropertyValue] | None = None,
        outputs: Mapping[str, PropertyValue] | None = None,
    ) -> Call:
        return Call(
            op=op,
            urn=urn,
            kind=kind or kind_of(urn),
            name=name_of(urn) if urn else kind,
            client=client.get(),
            preview=preview,
            id=id_ or "",
            inputs_before=inputs_on_record.get() if op == "diff" else _plain(inputs),
            outputs_before=_plain(outputs),
        )

    # Provider configuration

    @override
    async def check_config(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        props = props_to_plain(request.new_inputs)
        call = self._call("check_config", request.urn)
        failures = await self._run(call, lambda service: service.check_config(call, props))
        return sdk.CheckResponse(inputs=request.new_inputs, failures=_failures(failures))

    @override
    async def diff_config(self, request: sdk.DiffRequest) -> sdk.DiffResponse:
        olds, news = props_to_plain(request.old_state), props_to_plain(request.new_inputs)
        call = self._call("diff_config", request.urn)
        replaces = await self._run(call, lambda service: service.config_differs(olds, news))
        return sdk.DiffResponse(changes=olds != news, replaces=replaces)

    @override
    async def configure(self, request: sdk.ConfigureRequest) -> sdk.ConfigureResponse:
        props = props_to_plain(request.args)
        package = configured_package.get()
        for service in self._services.values():
            if package in ("", service.package):
                service.configure(client.get(), props)
        # Without accept_secrets the engine unwraps secrets before the call, and marks the same property paths of the
        # result. So no rule of the services has to handle secret wrappers.
        return sdk.ConfigureResponse(
            accept_secrets=False, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    # Objects

    @override
    async def check(self, request: sdk.CheckRequest) -> sdk.CheckResponse:
        olds, news = props_to_plain(request.old_inputs), props_to_plain(request.new_inputs)
        call = self._call("check", request.urn)
        inputs, failures = await self._run(call, lambda service: service.check(call, olds, news))
        return sdk.CheckResponse(inputs=props_from_plain(inputs), failures=_failures(failures))

    @override
    async def diff(self, request: sdk.DiffRequest) -> sdk.DiffResponse:
        call = self._call("diff", request.urn, id_=request.resource_id)
        news = props_to_plain(request.new_inputs)

        def work(service: Service) -> Difference:
            olds = inputs_on_record.get()
            if olds is None:
                # An engine that does not send old inputs: use the object's.
                known = service.read(call, request.resource_id)
                olds = known[0] if known else {}
            difference = service.diff(call, request.resource_id, olds, news)
            return difference.without(request.ignore_changes)

        found = await self._run(call, work)
        replaced = {str(change) for change in found.replaces}
        return sdk.DiffResponse(
            changes=bool(found.changes),
            replaces=sorted({str(change.path[0]) for change in found.replaces}),
            delete_before_replace=found.delete_first,
            diffs=sorted({str(change.path[0]) for change in found.changes}),
            detailed_diff={
                str(change): sdk.PropertyDiff(_kind(change, str(change) in replaced), True) for change in found.changes
            },
        )

    @override
    async def create(self, request: sdk.CreateRequest) -> sdk.CreateResponse:
        inputs = props_to_plain(request.properties)
        call = self._call("create", request.urn, preview=request.preview)
        if request.preview:
            outputs = await self._run(call, lambda service: service.preview(call, inputs))
            return sdk.CreateResponse(None, props_from_plain(outputs))
        made: list[tuple[str, Props]] = []

        def work(service: Service) -> tuple[str, Props]:
            made.append(service.create(call, inputs))
            return made[0]

        try:
            id_, outputs = await self._run(call, work, self.state.wait_for(call.kind))
        except NotReadyError as late:
            if made:
                late.id, late.outputs = made[0]
            raise
        return sdk.CreateResponse(id_, props_from_plain(outputs))

    @override
    async def read(self, request: sdk.ReadRequest) -> sdk.ReadResponse:
        call = self._call(
            "read", request.urn, id_=request.resource_id, inputs=request.inputs, outputs=request.properties
        )
        found = await self._run(call, lambda service: service.read(call, request.resource_id))
        if found is None:
            return sdk.ReadResponse("")
        inputs, outputs = found
        return sdk.ReadResponse(request.resource_id, _read(call.kind, outputs), _read(call.kind, inputs))

    @override
    async def update(self, request: sdk.UpdateRequest) -> sdk.UpdateResponse:
        news = props_to_plain(request.news)
        call = self._call("update", request.urn, id_=request.resource_id, preview=request.preview, outputs=request.olds)
        outputs = await self._run(
            call,
            lambda service: service.update(call, request.resource_id, news),
            self.state.wait_for(call.kind),
        )
        return sdk.UpdateResponse(props_from_plain(outputs))

    @override
    async def delete(self, request: sdk.DeleteRequest) -> None:
        call = self._call("delete", request.urn, id_=request.resource_id, outputs=request.properties)
        await self._run(call, lambda service: service.delete(call, request.resource_id))

    @override
    async def invoke(self, request: sdk.InvokeRequest) -> sdk.InvokeResponse:
        args = props_to_plain(request.args)
        call = self._call("invoke", "", kind=request.tok)
        result = await self._run(call, lambda service: service.invoke(call, args))
        return sdk.InvokeResponse(props_from_plain(result))


def _plain(props: Mapping[str, PropertyValue] | None) -> Props | None:
    return None if props is None else props_to_plain(props)


def _read(kind: str, props: Props) -> dict[str, PropertyValue]:
    """The result of a read: the plugin marks the contents of any Secret as secret."""
    values = props_from_plain(props)
    if kind == "kubernetes:core/v1:Secret":
        for key in ("data", "stringData"):
            if key in values:
                values[key] = PropertyValue(values[key].value, is_secret=True)
    return values


def _failures(failures: list[Failure]) -> list[sdk.CheckFailure]:
    return [sdk.CheckFailure(failure.property, failure.reason) for failure in failures]


_KINDS = {
    ("add", False): sdk.PropertyDiffKind.ADD,
    ("add", True): sdk.PropertyDiffKind.ADD_REPLACE,
    ("delete", False): sdk.PropertyDiffKind.DELETE,
    ("delete", True): sdk.PropertyDiffKind.DELETE_REPLACE,
    ("update", False): sdk.PropertyDiffKind.UPDATE,
    ("update", True): sdk.PropertyDiffKind.UPDATE_REPLACE,
}


def _kind(change: Change, replaced: bool) -> sdk.PropertyDiffKind:
    return _KINDS[change.kind, replaced]

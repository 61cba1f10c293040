"""Runs the real `__main__.py` under Pulumi mocks and hands back, as plain data, all that it registered.

Plain Pulumi mocks show a test the inputs of a resource and no more. This monitor sits one layer lower, where the
SDK hands its requests to the engine, and so also sees options: protection, dependencies, provider, timeouts,
hooks, and what is secret. A `Recording` exists only after the program has drained: no assertion of any
test has to sit inside `.apply()`, where a false one can pass unseen.

Every run has a context, an event loop and a monitor of its own, so runs cannot see each other. `settings` and
`components` stay imported between runs, as they are within one run of the engine; only the program file is
executed again. RPCs are served on the loop's own thread, in the order the program made them.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import gc
import json
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import chdir
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import pulumi
import yaml
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import mocks, rpc
from pulumi.runtime import settings as runtime_settings
from pulumi.runtime import stack as runtime_stack
from pulumi.runtime.proto import engine_pb2, resource_pb2

from tests import answers, stacks

ROOT = Path(__file__).resolve().parent.parent
"""The project: the folder of `Pulumi.yaml` and `__main__.py`."""

SECRETS: Mapping[str, str] = {"ngcApiKey": "nvapi-recorder-0001", "hfToken": "hf_recorder0002"}
"""Secret config of a run that says nothing else: made up, distinct, easy to search for."""

STACK_TYPE = "pulumi:pulumi:Stack"
_T = TypeVar("_T")


# --- values -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Secret:
    """A value that crossed the wire marked as secret."""

    value: Any


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
"""Stands for a value that only an `up` would know (previews)."""


def _from_wire(value: Any) -> Any:
    """Decodes JSON-like wire data: secrets become `Secret`, unknowns `UNKNOWN`, references their URN."""
    match value:
        case list():
            return [_from_wire(v) for v in value]
        case dict() if rpc._special_sig_key in value:
            return _from_tagged(value)
        case dict():
            return {k: _from_wire(v) for k, v in value.items()}
        case rpc.UNKNOWN:
            return UNKNOWN
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _from_tagged(value: dict[str, Any]) -> Any:
    match value[rpc._special_sig_key]:
        case rpc._special_secret_sig:
            return Secret(_from_wire(value.get("value")))
        case rpc._special_resource_sig:
            return value["urn"]
        case rpc._special_output_value_sig:
            inner = _from_wire(value["value"]) if "value" in value else UNKNOWN
            return Secret(inner) if value.get("secret") else inner
        case _:  # an asset or an archive
            return {k: _from_wire(v) for k, v in value.items() if k != rpc._special_sig_key}


def _to_wire(value: Any) -> Any:
    if isinstance(value, Secret):
        return {rpc._special_sig_key: rpc._special_secret_sig, "value": _to_wire(value.value)}
    if value is UNKNOWN:
        return rpc.UNKNOWN
    if isinstance(value, Mapping):
        return {k: _to_wire(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_wire(v) for v in value]
    return value


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(_to_wire(values), struct_pb2.Struct())


def _unstruct(struct: struct_pb2.Struct) -> dict[str, Any]:
    return {k: _from_wire(v) for k, v in json_format.MessageToDict(struct).items()}


def plain(value: Any) -> Any:
    """`value` without its secret wrappers."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def secret_paths(value: Any, at: str = "") -> frozenset[str]:
    """Paths (`a.b[0].c`) of the outermost secrets within `value`."""
    return frozenset(path for path, leaf in _walk(value, at) if isinstance(leaf, Secret))


def _walk(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of `value` with their paths; a `Secret` is a leaf."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{at}[{index}]")
    else:
        yield at, value


# --- what is recorded -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Resource:
    """One registered resource, as the engine would have been told about it."""

    type: str
    name: str
    urn: str
    id: str
    """Empty in a preview of something that is still to be created."""

    custom: bool
    """False for a component."""

    parent: str
    raw: Mapping[str, Any]
    """Inputs with their secrets still wrapped in `Secret`."""

    provider: str = ""
    """`urn::id` of the explicit provider; empty when the default provider would be used."""

    dependencies: frozenset[str] = frozenset()
    """URNs of all that this resource waits for, whether it said so or uses its data."""

    property_dependencies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    protect: bool | None = None
    delete_before_replace: bool | None = None
    replacement_trigger: str | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    custom_timeouts: Mapping[str, str] = field(default_factory=dict)
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Inputs as plain data."""
        return plain(self.raw)

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Paths of the secret inputs, such as `stringData.token`."""
        return secret_paths(self.raw)

    @property
    def depends_on(self) -> frozenset[str]:
        """URNs of dependencies that carry no data: those which only `depends_on` can have brought in."""
        return self.dependencies.difference(*self.property_dependencies.values())

    @property
    def provider_urn(self) -> str:
        """URN of the explicit provider, or empty."""
        return self.provider.rpartition("::")[0]

    @property
    def is_kubernetes_object(self) -> bool:
        """Whether this is one object of the Kubernetes API (no Helm release, no provider)."""
        return self.type.startswith("kubernetes:") and self.type != "kubernetes:helm.sh/v3:Release"

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


@dataclass(frozen=True)
class Invoke:
    """One call of a provider function."""

    token: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Read:
    """One object that exists and that the program reads as a resource."""

    type: str
    name: str
    id: str


Selector = str | Callable[[Resource], bool]
"""Chooses resources: by type (exact, or its last part, such as `Cluster`), or by a function."""


def _chosen(selector: Selector, resource: Resource) -> bool:
    if callable(selector):
        return selector(resource)
    return resource.type == selector or resource.type.rsplit(":", 1)[-1] == selector


@dataclass
class Recording:
    """All that one run of the program did."""

    stack: str
    preview: bool
    resources: list[Resource] = field(default_factory=list)
    """In the order of registration; the stack itself is left out."""

    invokes: list[Invoke] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    raw_outputs: dict[str, Any] = field(default_factory=dict)
    """Stack outputs, secrets wrapped in `Secret`."""

    component_outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By URN of the component: what it passed to `register_outputs`."""

    logs: list[tuple[str, str]] = field(default_factory=list)
    """(severity, message) of what the program logged; the SDK's own debug lines, which hold values, are left out
    as the engine leaves them out unless asked."""

    @property
    def outputs(self) -> dict[str, Any]:
        """Stack outputs as plain data."""
        return plain(self.raw_outputs)

    @property
    def secret_outputs(self) -> frozenset[str]:
        """Paths of the secret stack outputs."""
        return secret_paths(self.raw_outputs)

    @cached_property
    def by_urn(self) -> dict[str, Resource]:
        """Every resource by its URN."""
        return {r.urn: r for r in self.resources}

    def select(self, selector: Selector) -> list[Resource]:
        """Resources that `selector` chooses, in order of registration."""
        return [r for r in self.resources if _chosen(selector, r)]

    def of_type(self, type_: str) -> list[Resource]:
        """Resources of a type: the whole token, or its last part, such as `Namespace`."""
        return self.select(type_)

    def find(self, type: Selector | None = None, name: str | None = None) -> Resource:  # noqa: A002 - reads well
        """The one resource of this kind and logical name; fails, saying what there is, unless it is exactly one."""
        found = [r for r in self.resources if (type is None or _chosen(type, r)) and (name is None or r.name == name)]
        if len(found) != 1:
            near = [str(r) for r in self.resources if (type is not None and _chosen(type, r)) or r.name == name]
            raise LookupError(f"{len(found)} resources are type={type} name={name}; near: {near or self.names()}")
        return found[0]

    def names(self) -> list[str]:
        """`type name` of every resource, for messages."""
        return [str(r) for r in self.resources]

    def manifests(self) -> list[tuple[Resource, dict[str, Any]]]:
        """Every Kubernetes object that is created or patched here, as its manifest."""
        return [(r, r.inputs) for r in self.resources if r.is_kubernetes_object]

    @cached_property
    def _needs(self) -> dict[str, frozenset[str]]:
        """For each URN, the URNs of all that it needs, near and far."""
        direct = {
            r.urn: {u for u in (r.parent, r.provider_urn) if u}
            | r.dependencies
            | frozenset[str]().union(*r.property_dependencies.values())
            for r in self.resources
        }
        closed: dict[str, frozenset[str]] = {}

        def close(urn: str) -> frozenset[str]:
            if urn not in closed:
                closed[urn] = frozenset()  # a resource cannot need itself: the SDK refuses cycles
                near = direct.get(urn, set())
                closed[urn] = frozenset(near).union(*(close(u) for u in near))
            return closed[urn]

        for r in self.resources:
            close(r.urn)
        return closed

    def depends_on_transitively(self, dependent: Resource, needed: Resource) -> bool:
        """Whether the engine creates `dependent` after `needed` and deletes it before.

        Counts what the engine's own graph counts: parent, provider, explicit and property dependencies.
        """
        return needed.urn in self._needs[dependent.urn]

    def delete_order_violations(self, order: Sequence[Selector]) -> list[str]:
        """What is wrong with the claim that a destroy deletes in this `order`; empty when it holds.

        Every resource that a selector chooses must need, near or far, every one that any later selector chooses.
        A selector that chooses nothing is a violation as well: a claim about nothing proves nothing.
        """
        groups = [self.select(s) for s in order]
        wrong = [f"nothing is chosen by {s!r}" for s, group in zip(order, groups, strict=True) if not group]
        for index, earlier in enumerate(groups):
            for later in groups[index + 1 :]:
                wrong += [
                    f"{a} may outlive {b}: it does not depend on it"
                    for a in earlier
                    for b in later
                    if not self.depends_on_transitively(a, b)
                ]
        return wrong

    def in_clear(self, secret: str) -> list[str]:
        """Places where `secret` can be read: as it is, or inside base64, outside of anything marked as secret."""
        needles = _disguises(secret)

        def hits(where: str, value: Any) -> list[str]:
            return [
                f"{where}: {path}"
                for path, leaf in _walk(value)
                if isinstance(leaf, str) and any(n in leaf or n in path for n in needles)
            ]

        found: list[str] = []
        for r in self.resources:
            found += hits(f"inputs of {r}", r.raw)
            found += hits(f"options of {r}", {"name": r.name, "id": r.id, "hooks": repr(r.hooks)})
        found += hits("stack outputs", self.raw_outputs)
        for urn, outputs in self.component_outputs.items():
            found += hits(f"outputs of {urn}", outputs)
        for invoke in self.invokes:
            found += hits(f"arguments of {invoke.token}", invoke.arguments)
        for severity, message in self.logs:
            found += hits(f"log ({severity})", {"message": message})
        return found


def _disguises(secret: str) -> set[str]:
    """`secret`, and what it looks like within base64 text at each of the three alignments."""
    forms = {secret}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
        # The characters that share bits with what stands before and after the secret differ from case to case.
        forms.add(encoded[(shift * 8 + 5) // 6 : len(encoded) - (1 if (shift + len(secret)) % 3 else 0)])
    return forms


class ProgramFailedError(Exception):
    """The program ended with an error: `__cause__` is that error, `recording` what was registered until then."""

    def __init__(self, cause: BaseException, recording: Recording) -> None:
        super().__init__(str(cause))
        self.recording = recording


# --- the monitor ------------------------------------------------------------------------------------------


class _Nothing(mocks.Mocks):
    """Never asked: `RecordingMonitor` answers by itself."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise NotImplementedError

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise NotImplementedError


class RecordingMonitor(mocks.MockMonitor):
    """Takes the engine's part, as far as one program run can see it, and writes down what it is told."""

    def __init__(self, recording: Recording, invokes: Mapping[str, answers.Answer]) -> None:
        super().__init__(_Nothing())
        self.recording = recording
        self._invokes = invokes
        self._urns: set[str] = set()
        self._stack_urn = ""

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """A URN as the engine makes it: the types of all ancestors but the stack, joined by `$`."""
        ancestors = parent.split("::")[2] if parent else ""
        qualified = f"{ancestors}${type_}" if ancestors and ancestors != STACK_TYPE else type_
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{qualified}::{name}"

    def _claim(self, request: Any) -> str:
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self._urns:
            raise ValueError(f"duplicate resource URN {urn}")
        self._urns.add(urn)
        return urn

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        """Records a registration and answers what the provider would."""
        urn = self._claim(request)
        if request.type == STACK_TYPE:
            self._stack_urn = urn
            return resource_pb2.RegisterResourceResponse(urn=urn)
        raw = _unstruct(request.object)
        identity, computed = "", {}
        if request.custom and not self.recording.preview:
            identity, computed = answers.resource(request.type, request.name, plain(raw))
        state = {**raw, **computed} if request.custom else {}
        for key in request.additionalSecretOutputs:
            if key in state and not isinstance(state[key], Secret):
                state[key] = Secret(state[key])
        self.recording.resources.append(_registered(request, urn, identity, raw))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=_struct(state))

    def ReadResource(self, request: Any) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        """Answers with a namespace of somebody else; the program reads everything else through invokes."""
        if request.type != "kubernetes:core/v1:Namespace":
            raise LookupError(f"the program reads {request.type} {request.name}")
        urn = self._claim(request)
        self.recording.reads.append(Read(request.type, request.name, request.id))
        return resource_pb2.ReadResourceResponse(urn=urn, properties=_struct({"metadata": {"name": request.id}}))

    def Invoke(self, request: Any) -> resource_pb2.ResourceInvokeResponse:  # noqa: N802
        """Records a call and answers from the table."""
        arguments = _unstruct(request.args)
        self.recording.invokes.append(Invoke(request.tok, arguments))
        answer = self._invokes.get(request.tok)
        if answer is None:
            raise LookupError(f"the program calls {request.tok}, and the test has no answer to it")
        result = answer(plain(arguments)) if callable(answer) else answer
        return resource_pb2.ResourceInvokeResponse(**cast("Any", {"return": _struct(result)}))

    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        """Records the outputs of a component, or those of the stack."""
        outputs = _unstruct(request.outputs)
        if request.urn == self._stack_urn:
            self.recording.raw_outputs = outputs
        else:
            self.recording.component_outputs[request.urn] = outputs
        return empty_pb2.Empty()


def _registered(request: Any, urn: str, identity: str, raw: Mapping[str, Any]) -> Resource:
    hooks = {f.name: tuple(getattr(request.hooks, f.name)) for f in request.hooks.DESCRIPTOR.fields}
    timeouts = {k: getattr(request.customTimeouts, k) for k in ("create", "update", "delete")}
    parent_type = request.parent.split("::")[2] if request.parent else ""
    return Resource(
        type=request.type,
        name=request.name,
        urn=urn,
        id=identity,
        custom=request.custom,
        parent="" if parent_type == STACK_TYPE else request.parent,
        raw=raw,
        provider=request.provider,
        dependencies=frozenset(request.dependencies),
        property_dependencies={k: frozenset(v.urns) for k, v in request.propertyDependencies.items() if v.urns},
        protect=request.protect if request.HasField("protect") else None,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        replacement_trigger=request.replacement_trigger.string_value or None,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        custom_timeouts={k: v for k, v in timeouts.items() if v},
        hooks={k: v for k, v in hooks.items() if v},
    )


class _Callbacks:
    """Accepts hooks in place of the callback server, which the SDK starts only for a real engine."""

    def register_resource_hook(self, hook: object) -> None:
        """A hook is recorded where a resource names it; none is ever run here."""

    def register_error_hook(self, hook: object) -> None:
        """As `register_resource_hook`."""


class _Engine(mocks.MockEngine):
    def __init__(self, recording: Recording) -> None:
        super().__init__(None)
        self._recording = recording

    def Log(self, request: Any) -> None:  # noqa: N802
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        if severity != "debug":
            self._recording.logs.append((severity, request.message))


# --- stack config -----------------------------------------------------------------------------------------


def _encoded(value: Any) -> str:
    """A config value as the engine hands it to a program: text as it is, all else as compact JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)


def _yaml(path: Path) -> Mapping[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


@dataclass(frozen=True)
class StackConfig:
    """What `Pulumi.yaml` and the stack's file say, before a test changes it."""

    project: str
    values: Mapping[str, str]
    """By full key (`namespace:key`), encoded as the program gets them."""

    secret_keys: frozenset[str]

    @staticmethod
    def read(stack: str, root: Path = ROOT) -> StackConfig:
        """Reads the config of `stack`, defaults of `Pulumi.yaml` applied as the engine applies them.

        Encrypted values (`secure:`) cannot be read here and are left out: a test gives secrets by itself.
        """
        document = _yaml(root / "Pulumi.yaml")
        project = str(document["name"])
        values: dict[str, str] = {}
        secret_keys: set[str] = set()
        for key, declared in (document.get("config") or {}).items():
            full = key if ":" in key else f"{project}:{key}"
            given = declared
            if isinstance(declared, Mapping):
                given = declared.get("value", declared.get("default"))
                if declared.get("secret"):
                    secret_keys.add(full)
            if given is not None:
                values[full] = _encoded(given)
        for key, given in (
            _yaml((stacks.FOLDER if root == ROOT else root) / f"Pulumi.{stack}.yaml").get("config") or {}
        ).items():
            full = key if ":" in key else f"{project}:{key}"
            if isinstance(given, Mapping) and set(given) == {"secure"}:
                secret_keys.add(full)
                values.pop(full, None)
            elif given is not None:
                values[full] = _encoded(given)
        return StackConfig(project, values, frozenset(secret_keys))


# --- running ----------------------------------------------------------------------------------------------


class _Inline(ThreadPoolExecutor):
    """Runs each call at once, where it is made.

    The SDK calls its monitor through the loop's executor. The monitor here never blocks, and without threads the
    order of registrations is the same on every run.
    """

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the call
            future.set_exception(error)
        return future


def _run(program: Callable[[], object], recording: Recording, settings: Callable[[], None]) -> None:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_Inline(max_workers=1))
    asyncio.set_event_loop(loop)
    try:
        settings()
        loop.run_until_complete(runtime_stack.run_in_stack(lambda: cast("None", program() and None)))
    except (Exception, SystemExit) as error:
        raise ProgramFailedError(error, recording) from error
    finally:
        leftover = asyncio.all_tasks(loop)
        for task in leftover:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        runtime_settings.reset_options()
        asyncio.set_event_loop(None)
        loop.close()


def record(
    program: Callable[[], object],
    *,
    stack: str = "test",
    project: str = "dynamo-a4x",
    config: Mapping[str, str] | None = None,
    secret_keys: Iterable[str] = (),
    preview: bool = False,
    invokes: Mapping[str, answers.Answer] | None = None,
    collect: bool = False,
) -> Recording:
    """Runs any function as a Pulumi program and records it; components are tested alone this way.

    Args:
        program: called once, inside a stack; what it returns is dropped.
        config: by full key, encoded as the engine would (see `StackConfig`).
        secret_keys: the full keys among them that are secret.
        invokes: answers laid over those of `answers.invokes`, by token.
        collect: leave garbage collection as it is, for measurements.

    Raises:
        ProgramFailedError: the program raised, or called `sys.exit`.
    """
    recording = Recording(stack=stack, preview=preview)
    monitor = RecordingMonitor(recording, {**answers.invokes(config or {}, project), **(invokes or {})})

    def settings() -> None:
        runtime_settings.reset_options()
        # A stack is made by run_in_stack, as in the real language host; set_mocks must not make another.
        runtime_settings.set_root_resource(cast("Any", object()))
        mocks.set_mocks(_Nothing(), project=project, stack=stack, preview=preview, monitor=monitor)
        runtime_settings.set_root_resource(cast("Any", None))
        ambient = cast("Any", runtime_settings.SETTINGS)
        ambient.engine = _Engine(recording)
        ambient.callbacks = _Callbacks()
        pulumi.runtime.set_all_config(dict(config or {}), list(secret_keys))

    # A full collection walks every class of the provider SDKs, which takes longer than the run itself.
    if not collect:
        gc.disable()
    try:
        contextvars.copy_context().run(_run, program, recording, settings)
    finally:
        gc.enable()
    return recording


def run_program(
    stack: str,
    *,
    config: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    preview: bool = False,
    invokes: Mapping[str, answers.Answer] | None = None,
    root: Path = ROOT,
    collect: bool = False,
) -> Recording:
    """Runs the real program for `stack` and records it.

    Args:
        stack: `dev` or `prod`: its `Pulumi.<stack>.yaml` is the config.
        config: laid over that file. Keys without a namespace belong to the project; a value of None removes
            the key; what is no text is encoded as the engine encodes it.
        secrets: secret config in place of `SECRETS`; `{}` for a user who has set none.
        preview: a preview leaves computed outputs unknown.
        invokes: answers laid over those of `answers.invokes`, by token.
        root: the folder of `Pulumi.yaml` and `__main__.py`.
        collect: leave garbage collection as it is, for measurements.

    Raises:
        ProgramFailedError: the program ended with an error.
    """
    read = StackConfig.read(stack, root)
    values = dict(read.values)
    secret_keys = set(read.secret_keys)

    def full(key: str) -> str:
        return key if ":" in key else f"{read.project}:{key}"

    for key, value in (SECRETS if secrets is None else secrets).items():
        values[full(key)] = value
        secret_keys.add(full(key))
    for key, value in (config or {}).items():
        if value is None:
            values.pop(full(key), None)
        else:
            values[full(key)] = _encoded(value)

    def program() -> None:
        with chdir(root):
            before = list(sys.path)
            sys.path.insert(0, str(root))
            try:
                runpy.run_path(str(root / "__main__.py"), run_name="__main__")
            finally:
                sys.path[:] = before

    return record(
        program,
        stack=stack,
        project=read.project,
        config=values,
        secret_keys=secret_keys,
        preview=preview,
        invokes=invokes,
        collect=collect,
    )

"""Random values: the kinds of the `random` package that a program can use for suffixes and keys.

A change of any input of these kinds, such as `keepers`, generates a new value.
"""

from __future__ import annotations

import base64
import copy
import itertools
import uuid

from typing_extensions import override

from rehearsal.simulator import sdk_schema
from rehearsal.simulator.faults import Call
from rehearsal.simulator.service import Difference, Failure, Service
from rehearsal.simulator.state import ApiError, CloudResource
from rehearsal.simulator.values import UNKNOWN, Props, changes, number

_STRING = "random:index/randomString:RandomString"
_PASSWORD = "random:index/randomPassword:RandomPassword"
_ID = "random:index/randomId:RandomId"
_UUID = "random:index/randomUuid:RandomUuid"
_BYTES = "random:index/randomBytes:RandomBytes"

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_CLASSES = (
    ("upper", "minUpper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("lower", "minLower", "abcdefghijklmnopqrstuvwxyz"),
    ("numeric", "minNumeric", "0123456789"),
    ("special", "minSpecial", _SPECIAL),
)


class Random(Service):
    """The service behind the `random` package."""

    package = "random"

    @override
    def check(self, call: Call, olds: Props, news: Props) -> tuple[Props, list[Failure]]:
        if call.kind not in (_STRING, _PASSWORD, _ID, _UUID, _BYTES):
            raise ApiError(self.unmodelled(call.kind))
        failures = sdk_schema.check(news, sdk_schema.resource(call.kind).inputs)
        if not failures and call.kind == _BYTES and number(news, "length", 1) < 1:
            failures.append(Failure("length", "must be at least 1"))
        if not failures and call.kind in (_STRING, _PASSWORD):
            least = sum(number(news, minimum) for _, minimum, _ in _CLASSES)
            if number(news, "length", 1) < max(1, least):
                failures.append(Failure("length", f"must be at least {max(1, least)}"))
            if all(news.get(name) is False for name, _, _ in _CLASSES):
                failures.append(Failure("length", "every class of characters is switched off"))
        return news, failures

    @override
    def diff(self, call: Call, id_: str, olds: Props, news: Props) -> Difference:
        found = list(changes(olds, news))
        return Difference(found, list(found))

    @override
    def preview(self, call: Call, inputs: Props) -> Props:
        computed = {_ID: ("hex", "dec", "b64Std", "b64Url"), _BYTES: ("base64", "hex")}.get(call.kind, ("result",))
        return {**self._with_defaults(call.kind, inputs), **dict.fromkeys(computed, UNKNOWN)}

    @override
    def create(self, call: Call, inputs: Props) -> tuple[str, Props]:
        outputs = self._with_defaults(call.kind, inputs)
        if call.kind == _ID:
            raw = bytes(self.state.random.randrange(256) for _ in range(number(inputs, "byteLength", 1)))
            prefix = str(inputs.get("prefix") or "")
            url = base64.urlsafe_b64encode(raw).decode().rstrip("=")
            outputs |= {
                "hex": prefix + raw.hex(),
                "dec": prefix + str(int.from_bytes(raw, "big")),
                "b64Std": prefix + base64.b64encode(raw).decode(),
                "b64Url": prefix + url,
            }
            id_ = url
        elif call.kind == _BYTES:
            raw = self.state.random.randbytes(number(inputs, "length", 1))
            outputs |= {"base64": base64.b64encode(raw).decode(), "hex": raw.hex()}
            id_ = "none"
        elif call.kind == _UUID:
            id_ = str(uuid.UUID(int=self.state.random.getrandbits(128), version=4))
            outputs["result"] = id_
        else:
            outputs["result"] = self._text(outputs)
            id_ = "none" if call.kind == _PASSWORD else str(outputs["result"])
            if call.kind == _PASSWORD:
                outputs["bcryptHash"] = "$2a$10$" + self.state.text(53)
        # Random values exist only in the engine's state. The URN distinguishes equal ids, and the scope two of one URN,
        # of which the second is made before the first is gone.
        taken = {resource.scope for resource in self._known(call, id_)}
        scope = next(scope for i in itertools.count() if (scope := call.urn + "#" * i) not in taken)
        self.state.add(CloudResource(call.kind, scope, id_, copy.deepcopy(inputs), outputs, urn=call.urn))
        return id_, outputs

    def _known(self, call: Call, id_: str) -> list[CloudResource]:
        """Those of one URN and id, oldest first."""
        return self.state.find(call.kind, where=lambda resource: (resource.urn, resource.id) == (call.urn, id_))

    @override
    def update(self, call: Call, id_: str, inputs: Props) -> Props:
        raise ApiError(f"{call.kind}: a random value is never changed, only recreated")

    @override
    def delete(self, call: Call, id_: str) -> None:
        for resource in self._known(call, id_)[:1]:
            self.state.remove(resource.key)

    @override
    def read(self, call: Call, id_: str) -> tuple[Props, Props] | None:
        known = self._known(call, id_)
        return (known[-1].inputs, known[-1].outputs) if known else None

    def _with_defaults(self, kind: str, inputs: Props) -> Props:
        if kind not in (_STRING, _PASSWORD):
            return dict(inputs)
        defaults: Props = {name: True for name, _, _ in _CLASSES} | {least: 0 for _, least, _ in _CLASSES}
        return {**defaults, **inputs}

    def _text(self, settings: Props) -> str:
        pools = {
            name: str(settings.get("overrideSpecial") or letters) if name == "special" else letters
            for name, _, letters in _CLASSES
            if settings.get(name) is not False
        }
        pick = self.state.random.choice
        text = [
            pick(pools[name]) for name, least, _ in _CLASSES for _ in range(number(settings, least)) if name in pools
        ]
        every = "".join(pools.values())
        text += [pick(every) for _ in range(number(settings, "length") - len(text))]
        self.state.random.shuffle(text)
        return "".join(text)

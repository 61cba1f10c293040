"""The cases of `policy_cases.yaml`: for each rule of the policy pack, resources that break it and that do not."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from tests import recorder
from tests.conftest import recorded

KEY: Final = "made-up-and-easy-to-search-for"
"""Value of the config secret that the cases give away."""
PROVIDERS: Final[Mapping[str, str | None]] = {"cluster": "a4x-prod", "bare": None, "elsewhere": "another"}
"""Kubernetes providers of the cases, and their clusterIdentifier."""
_NODE_POOL: Final = "gcp:container/nodePool:NodePool"


@dataclass(frozen=True)
class Example:
    """A resource that is to be judged."""

    name: str
    type: str
    inputs: Mapping[str, Any]
    secrets: Sequence[str]
    """Inputs that are marked as secret."""
    protect: bool
    provider: str
    """A key of `PROVIDERS`, or `default`; empty for what is not in the cluster."""


@dataclass(frozen=True)
class Case:
    """One way to break a rule."""

    rule: str
    number: int
    of: str
    says: str
    change: Mapping[str, Any] = field(default_factory=dict[str, Any])
    good: Mapping[str, Any] = field(default_factory=dict[str, Any])
    type: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    protect: bool | None = None
    provider: str = "cluster"
    secret: Sequence[str] = ()
    """Inputs that only the good resource marks as secret."""
    exposed: Sequence[str] = ()
    """Inputs that only the bad resource marks as secret."""
    alone: bool = False

    def __str__(self) -> str:
        return f"{self.rule}-{self.number}"

    def example(self, which: Literal["good", "bad"]) -> Example:
        """The resource that passes, or the one that does not."""
        base, bad, name = _program()[self.of], which == "bad", f"{self}-{which}"
        # Beside other cases, a pool's placement policy is its own.
        own = {} if self.alone or base.type != _NODE_POOL else {"placementPolicy.policyName": name}
        inputs = _changed(base.inputs, own | dict(self.change if bad else self.good))
        secrets = {path.split(".")[0] for path in base.secrets} - set(self.secret)
        provider = (self.provider if bad else "cluster") if base.type.startswith("kubernetes:") else ""
        return Example(
            name,
            (bad and self.type) or base.type,
            self.inputs if bad and self.type else inputs,
            sorted({*secrets, *(self.exposed if bad else self.secret)}),
            bool(base.protect if self.protect is None or not bad else self.protect),
            provider,
        )


@cache
def cases() -> list[Case]:
    """All cases."""
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    content: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)
    return [Case(rule, number, **case) for rule, listed in content.items() for number, case in enumerate(listed, 1)]


def namespaces() -> Iterator[recorder.Resource]:
    """The namespaces that prod creates."""
    return (one for one in _program().values() if one.type == "kubernetes:core/v1:Namespace")


@cache
def _program() -> dict[str, recorder.Resource]:
    return {resource.name: resource for resource in recorded("prod").resources}


def _changed(inputs: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(inputs))
    for path, value in change.items():
        *above, last = path.split(".")
        place: Any = result
        for step in above:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if value is None:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = _filled(value)
    return result


def _filled(value: Any) -> Any:
    """A value with the made-up secret for its placeholders."""
    if isinstance(value, str):
        encoded = base64.b64encode(f"$oauthtoken:{KEY}".encode()).decode()
        return value.replace("KEY", KEY).replace("BASE64", encoded)
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    return [_filled(inner) for inner in value] if isinstance(value, list) else value

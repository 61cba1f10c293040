"""The tasks of an exported stack, and what the engine recorded that each of them waits for.

A rule of `needs` looks at an object as others see it: the part that it plays, what it is called, and which names stand
in its inputs. That is the same for a resource of a stack and for an object of the embedded cloud, and owes nothing to
the recorded dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from rehearsal.simulator.values import items, many, mapping, text
from rehearsal.timeline.graph import Waits

_ALIASES = {
    "gcp:projects/service:Service": "Api",
    "kubernetes:networking.gke.io/v1:Network": "GkeNetwork",
}
"""Short names of kinds that would share theirs with another kind."""

_KEYS = {
    "nodeConfig.bootDiskKmsKey": "compute-system",
    "parameters.disk-encryption-kms-key": "compute-system",
    "databaseEncryption.keyName": "container-engine-robot",
    "encryption.defaultKmsKeyName": "gs-project-accounts",
}
"""Fields that name an encryption key, and the agent that uses it."""


@dataclass(frozen=True)
class Named:
    """An object as others see it."""

    role: str
    """`<component>/<kind>[:<detail>]`, such as `NvlinkDomain/NodePool:a4x-highgpu-4g`; a component has its kind."""
    names: frozenset[str] = frozenset()
    """What others call it."""
    words: frozenset[str] = frozenset()
    """What its inputs name, if anything is called so."""
    namespace: str = ""
    """Where it lies in Kubernetes."""

    def refers_to(self, other: Named) -> bool:
        """Whether it lies in the other, or names it."""
        if other.role.endswith("/Namespace"):
            return self.namespace in other.names
        return other.namespace in ("", self.namespace) and not self.words.isdisjoint(other.names)


@dataclass(frozen=True)
class Task:
    """One resource of the exported stack."""

    urn: str
    kind: str
    """Type token."""
    name: str
    parent: str
    component: str
    """URN of the component above it, or of itself; empty for what belongs to none."""
    custom: bool
    """Whether a provider makes it: a component and a provider take no time of their own."""
    named: Named

    @property
    def role(self) -> str:
        """What the tables match."""
        return self.named.role


@dataclass(frozen=True)
class Plan:
    """Tasks in the order of their URNs, and what each of them was recorded to depend on."""

    tasks: Mapping[str, Task]
    waits: Waits


def read(export: Mapping[str, Any]) -> Plan:
    """Tasks and recorded dependencies of `pulumi stack export`.

    Dependencies of the resource and its properties, parent, provider and deletedWith: what the engine goes by, in both
    directions.
    """
    resources: list[dict[str, Any]] = mapping(export, "deployment")["resources"]
    by_urn = {str(resource["urn"]): resource for resource in resources}
    below: dict[str, list[str]] = {urn: [] for urn in by_urn}
    tasks: dict[str, Task] = {}
    waits: dict[str, dict[str, float]] = {}
    for urn, resource in by_urn.items():
        tasks[urn] = _task(resource, by_urn)
        names = set(_urns(resource.get("dependencies")))
        for urns in mapping(resource, "propertyDependencies").values():
            names.update(_urns(urns))
        # As the engine does, a dependency on a component is one on all that stands below it by then.
        for name in list(names):
            names.update(below.get(name, []))
        names |= {str(resource.get(key) or "") for key in ("parent", "deletedWith")}
        names.add(str(resource.get("provider") or "").rpartition("::")[0])
        waits[urn] = {name: 0.0 for name in by_urn if name in names and name != urn}
        above = str(resource.get("parent") or "")
        while above in by_urn:
            if not by_urn[above].get("custom"):
                below[above].append(urn)
            above = str(by_urn[above].get("parent") or "")
    # The engine writes resources down in the order in which they happened to end.
    return Plan(
        {urn: tasks[urn] for urn in sorted(tasks)}, {urn: dict(sorted(waits[urn].items())) for urn in sorted(waits)}
    )


def _urns(value: Any) -> list[str]:
    return [str(name) for name in cast("list[Any]", value or [])]


def _task(resource: dict[str, Any], by_urn: Mapping[str, dict[str, Any]]) -> Task:
    urn, kind, custom = str(resource["urn"]), str(resource["type"]), bool(resource.get("custom"))
    parent = str(resource.get("parent") or "")
    component = parent if custom else urn
    if component not in by_urn or by_urn[component]["type"] == "pulumi:pulumi:Stack":
        component = ""
    if custom:
        named = named_of(urn, kind, mapping(resource, "inputs"), mapping(resource, "outputs"))
    else:
        named = Named(short_kind(kind))
    real = custom and not kind.startswith("pulumi:")
    return Task(urn, kind, urn.split("::", 3)[-1], parent, component, real, named)


def named_of(urn: str, kind: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Named:
    """An object of a provider as others see it; one that the program did not make has no URN."""
    above = urn.split("::")[2].split("$")[-2:-1] if urn else []
    role = f"{short_kind(above[0]) if above else '-'}/{short_kind(kind)}{_detail(kind, inputs)}"
    release = kind.endswith(":Release")
    namespace = text(inputs, "namespace" if release else "metadata.namespace") if kind.startswith("kubernetes:") else ""
    words = {word for leaf in _leaves(inputs) for word in _words(leaf)}
    words |= {f"{agent} {text(inputs, path)}" for path, agent in _KEYS.items()}
    if text(inputs, "metadata.name"):
        # As a grant names a service account.
        words.add(f"ns/{namespace}/sa/{text(inputs, 'metadata.name')}")
    names = {text(values, key) for values in (inputs, outputs) for key in ("name", "email", "metadata.name")}
    # Others name what comes of these.
    if text(inputs, "cryptoKeyId"):
        # A grant on a key is named by who may use it.
        names.add(f"{_agent(inputs)} {text(inputs, 'cryptoKeyId')}")
    names |= set(map(str, many(inputs, "rrdatas")))
    names.add(text(inputs, "spec.channel.resourceClaimTemplate.name"))
    names.add(text(inputs, "workloadIdentityConfig.workloadPool"))
    names.add(text(inputs, "member").rpartition("/subject/")[2].removeprefix("serviceAccount:"))
    names |= {f"ns/{text(of, 'namespace')}/sa/{text(of, 'name')}" for of in items(inputs, "subjects")}
    return Named(role, frozenset(names - {""}), frozenset(words), namespace)


def _agent(inputs: Mapping[str, Any]) -> str:
    """Which of Google's agents a role is given to: `compute-system` of service-NUMBER@compute-system..."""
    return text(inputs, "member").rpartition("@")[2].partition(".")[0]


def short_kind(kind: str) -> str:
    """The last word of a type token, made unique."""
    return _ALIASES.get(kind) or kind.rsplit(":", 1)[-1]


def _detail(kind: str, inputs: Mapping[str, Any]) -> str:
    if kind.endswith(":NodePool"):
        return f":{mapping(inputs, 'nodeConfig').get('machineType', '')}"
    if kind.endswith(":Release"):
        # The name without folder, and an archive's without version and ending.
        chart = str(inputs.get("chart", "")).rsplit("/", 1)[-1]
        return ":" + (chart.removesuffix(".tgz").rsplit("-", 1)[0] if chart.endswith(".tgz") else chart)
    if kind.endswith(":CryptoKeyIAMMember"):
        return f":{_agent(inputs)}"
    if kind == "gcp:projects/service:Service":
        return ":" + str(inputs.get("service", "")).split(".", 1)[0]
    return ""


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[str, Any]", value).values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _leaves(inner)


@cache
def _words(leaf: str) -> frozenset[str]:
    """A text in its words: the parts of a path, of an address, of JSON."""
    return frozenset(re.findall(r"[\w.@-]+", leaf) + re.findall(r"[\w@-]+", leaf))

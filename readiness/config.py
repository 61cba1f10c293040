"""The configuration file of the check, parsed strictly: the program writes it, so anything unknown is an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, cast

from readiness.fields import Object

ROLE_LABEL: Final = "dynamo-a4x/role"
"""Label of every pod of the program: its role."""
TEMPLATE_ANNOTATION: Final = "dynamo-a4x/pod-template"
"""Annotation of every pod of the program: the hash of its role's pod template."""
DEPLOYMENT_LABEL: Final = "nvidia.com/dynamo-graph-deployment-name"
"""Label of every pod and PodClique of a graph; the only one with the graph's full name (recording 10)."""

DEADLINE_SECONDS: Final = 10800
UNSCHEDULABLE_SECONDS: Final = 600


class ConfigError(Exception):
    """An invalid configuration; the text names the key and its rule."""


@dataclass(frozen=True)
class Role:
    """Desired state of one role."""

    replicas: int
    template: str
    """Value of `TEMPLATE_ANNOTATION` that its pods must have."""
    pods_per_replica: int = 1
    minimum: int = 0
    """Replicas without which the stack does not serve; 0: all."""

    @property
    def pods(self) -> int:
        """Pods of all replicas."""
        return self.replicas * self.pods_per_replica

    @property
    def needed(self) -> int:
        """Replicas without which the check fails."""
        return self.minimum or self.replicas


@dataclass(frozen=True)
class Bounds:
    """How long the check expects a problem to resolve itself, in seconds unless noted. All can be set."""

    poll: float = 5.0
    """Pause between two snapshots of the cluster."""
    progress: float = 30.0
    """Minimum pause between two progress lines."""
    api_request: float = 20.0
    """One request to the Kubernetes API."""
    models_request: float = 15.0
    """One `GET /v1/models`."""
    completion_request: float = 180.0
    """One completion. The first one after loading compiles kernels, which takes minutes."""
    forbidden: float = 120.0
    """The API forbids what the Role allows. Seen on 1.34.4: an API server that has just started does so."""
    graph_failed: float = 60.0
    """The graph is `failed` with the same message. Seen: it leaves `failed` 5 to 7 s after its cause is gone."""
    refused: float = 60.0
    """Pods are rejected by the API server. Grove retries for as long as the cause lasts, with growing intervals."""
    webhook: float = 900.0
    """Pods are rejected because a webhook does not answer. It works again when its pod runs."""
    image: float = 180.0
    """The registry rejects the pull: unauthorized, not found. New grants take minutes to propagate."""
    registry: float = 900.0
    """The registry does not answer in time."""
    container: float = 180.0
    """The container cannot be created from its spec, for example because a Secret is missing."""
    crash: float = 180.0
    """A container has crashed `crashes` times and has not been ready for this long."""
    crashes: int = 3
    """Number of crashes of one container before it is reported as crashing repeatedly."""
    unseen_attempt: float = 1000.0
    """Longest retry interval of Grove and the operator (controller-runtime's rate limiter)."""
    unseen_pull: float = 1800.0
    """The kubelet retries a pull after 300 s at most, and reports nothing during a pull."""
    stalled: float = 900.0
    """Pods are missing or outdated, and none is starting or terminating: the operator or Grove does not act."""
    settling: float = 300.0
    """All wanted pods are ready, but some are about to be removed: surplus, or outdated for Grove. Then it
    continues."""
    unusable_answers: int = 8
    """Number of answers without content, or rejections of the request, before they are reported as the cause."""
    answer_pause: float = 15.0
    """Pause between two requests to the endpoint."""


@dataclass(frozen=True)
class Config:
    """What the check waits for."""

    namespace: str
    deployment: str
    """Name of the graph."""
    job: str
    """The check's own Job, the object of the progress event."""
    roles: Mapping[str, Role]
    url: str
    """The frontends' Service, as `http://host:port`."""
    model: str
    """The served model's name."""
    next: str
    """The command to run next, the last line of a failure message."""
    deadline: int = DEADLINE_SECONDS
    unschedulable: int = UNSCHEDULABLE_SECONDS
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def pods(self) -> int:
        """Pods wanted of all roles."""
        return sum(role.pods for role in self.roles.values())


_KEYS: Final = ("namespace", "deployment", "job", "roles", "url", "model", "next")
_OPTIONAL_KEYS: Final = ("deadlineSeconds", "unschedulableSeconds", "bounds")


def parse(source: str) -> Config:
    """The configuration in `source`, a JSON text. Raises `ConfigError`."""
    try:
        value: object = json.loads(source)
    except json.JSONDecodeError as error:
        raise ConfigError(f"not JSON: {error}") from None
    root = _object(value, "the file", _KEYS, _OPTIONAL_KEYS)
    url = _text(root, "url")
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"url: must be http://host:port, is {url!r}")
    return Config(
        namespace=_text(root, "namespace"),
        deployment=_text(root, "deployment"),
        job=_text(root, "job"),
        roles=_roles(root["roles"]),
        url=url.rstrip("/"),
        model=_text(root, "model"),
        next=_text(root, "next"),
        deadline=_count(root, "deadlineSeconds", DEADLINE_SECONDS),
        unschedulable=_count(root, "unschedulableSeconds", UNSCHEDULABLE_SECONDS),
        bounds=_bounds(root.get("bounds", {})),
    )


def _roles(value: object) -> dict[str, Role]:
    if not isinstance(value, dict) or not value:
        raise ConfigError("roles: must be an object with at least one role")
    roles: dict[str, Role] = {}
    for name, entry in cast("Mapping[str, object]", value).items():
        role = _object(entry, f"roles.{name}", ("replicas", "template"), ("podsPerReplica", "minimum"))
        replicas = _count(role, "replicas", 0)
        minimum = _count(role, "minimum", replicas)
        if minimum > replicas:
            raise ConfigError(f"roles.{name}: minimum {minimum} is more than its {replicas} replicas")
        roles[name] = Role(replicas, _text(role, "template"), _count(role, "podsPerReplica", 1), minimum)
    return roles


def _bounds(value: object) -> Bounds:
    known = tuple(entry.name for entry in fields(Bounds))
    given = _object(value, "bounds", (), known)
    for name, number in given.items():
        if not isinstance(number, int | float) or isinstance(number, bool) or number <= 0:
            raise ConfigError(f"bounds.{name}: must be a number above 0, is {number!r}")
    return Bounds(**cast("dict[str, Any]", given))


def _object(value: object, where: str, needed: tuple[str, ...], optional: tuple[str, ...]) -> Object:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must be an object, is {value!r}")
    found = cast("Object", value)
    for key in needed:
        if key not in found:
            raise ConfigError(f"{where}: {key} is missing")
    for key in found:
        if key not in (*needed, *optional):
            raise ConfigError(f"{where}: {key} is not known")
    return found


def _text(source: Object, key: str) -> str:
    value = source[key]
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key}: must be a string that is not empty, is {value!r}")
    return value


def _count(source: Object, key: str, default: int) -> int:
    value = source.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ConfigError(f"{key}: must be a whole number above 0, is {value!r}")
    return value

"""Rules of how much the pods of a stack may do."""

from __future__ import annotations

from collections.abc import Iterator

from reference import pod_security, pod_volumes
from serving_rules.layout import WORKER_ROLES
from settings.model import Settings, Stack
from validation.problems import Problem

_KEEP_ONE = "remove one of the two"


def check(settings: Settings) -> Iterator[Problem]:
    """What a stack's `security` sets is set nowhere else, and what it promises holds."""
    for i, stack in enumerate(settings.stacks):
        yield from _variables(stack, f"stacks[{i}]")
        if stack.security.restricted_frontends:
            yield from _frontends(stack, f"stacks[{i}]")


def _variables(stack: Stack, key: str) -> Iterator[Problem]:
    said = stack.security
    fixed = {
        **dict.fromkeys(pod_security.OFFLINE if said.offline_workers else (), "offlineWorkers"),
        **dict.fromkeys((pod_security.SYSTEM_HOST,) if said.bind_to_pod_address else (), "bindToPodAddress"),
    }
    for role in WORKER_ROLES:
        for name, value in stack.overrides.of(role).environment.items():
            if name in fixed:
                at = f"{key}.overrides.{role}.environment.{name}"
                yield Problem(at, value, f"{key}.security.{fixed[name]} sets it", _KEEP_ONE)


def _frontends(stack: Stack, key: str) -> Iterator[Problem]:
    by = f"{key}.security.restrictedFrontends"
    for n, volume in enumerate(stack.volumes):
        at, kinds = f"{key}.volumes[{n}]", set(volume.source)
        if "frontend" not in volume.roles:
            continue
        if kinds <= pod_volumes.SOURCES - pod_volumes.RESTRICTED:
            rule = f"the Pod Security Standard `restricted` has no volumes of this kind ({by})"
            yield Problem(f"{at}.source", sorted(kinds), rule, "leave out frontend in its roles, or remove the key")
        if volume.mount_path.rstrip("/") == pod_security.HOME:
            rule = f"it is the home of frontends that are restricted ({by})"
            yield Problem(f"{at}.mountPath", volume.mount_path, rule, "choose another path")
    for name in pod_security.ENVIRONMENT:
        if name in stack.frontend.environment:
            value = stack.frontend.environment[name]
            yield Problem(f"{key}.frontend.environment.{name}", value, f"{by} sets it", _KEEP_ONE)

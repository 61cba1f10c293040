"""Hands the rules to Pulumi's policy SDK. Only this module imports it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Secret,
)
from pulumi_policy.proxy import UnknownValueError

from policy import config
from policy.catalog import RULES
from policy.rule import UNKNOWN, Provider, Resource, Rule, Run, is_list, is_mapping

NAME = "dynamo-a4x"


def serve() -> None:
    """Answer the engine until it ends this process; without a valid config, with a refusal that says why."""
    wrong = config.problems()
    PolicyPack(NAME, [_refusal(wrong)] if wrong else [_policy(rule) for rule in RULES])


def _refusal(wrong: list[str]) -> ResourceValidationPolicy:
    told: list[str] = []

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if told in ([], [args.urn]):
            told[:] = [args.urn]
            report("; ".join(wrong), None)

    return ResourceValidationPolicy(
        name="config",
        description="The pack's config has only what the pack knows.",
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
    )


def _policy(rule: Rule) -> ResourceValidationPolicy:
    run = Run("", "", _config)
    marked: dict[str, frozenset[tuple[str, ...]]] = {}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        nonlocal run
        if not run.stack:
            run = Run(pulumi.get_project(), pulumi.get_stack(), _config)
        for finding in rule.findings(_resource(args, marked.get(args.urn)), args.get_config(), run):
            report(str(finding), None)

    def remember_secrets(args: ResourceValidationArgs) -> None:
        marked[args.urn] = frozenset(_secret_paths(args.props))

    schema = {name: {**setting.schema, "default": setting.default} for name, setting in rule.settings.items()}
    return ResourceValidationPolicy(
        name=rule.name,
        description=rule.text,
        validate=validate,
        # The SDK shows only to a remediation what is marked as secret. This one changes nothing; the engine asks it
        # before it validates, and what it then finds wrong is mandatory.
        remediate=remember_secrets if rule.sees_secrets else None,
        enforcement_level=EnforcementLevel.REMEDIATE if rule.sees_secrets else EnforcementLevel(rule.level),
        config_schema=PolicyConfigSchema(schema) if schema else None,
    )


def _config(key: str) -> str | None:
    namespace, _, name = key.rpartition(":")
    return pulumi.Config(namespace or None).get(name)


def _resource(args: ResourceValidationArgs, secrets: frozenset[tuple[str, ...]] | None) -> Resource:
    provider = args.provider and Provider(args.provider.name, _plain(args.provider.props))
    return Resource(args.resource_type, args.name, args.urn, _plain(args.props), args.opts.protect, provider, secrets)


def _plain(value: Any) -> Any:
    """Without the SDK's proxies, which raise an error for a value that is not known."""
    if is_mapping(value):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        listed = cast("Sequence[Any]", value)
        return [_item(listed, index) for index in range(len(listed))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return _plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def _secret_paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the outermost secrets."""
    if isinstance(value, Secret):
        yield path
        return
    if not isinstance(value, str | dict | list) and hasattr(value, "__getitem__"):
        value = value["__target"]  # what the SDK's proxy hides: it shows the content of a secret
    if is_mapping(value):
        for key, inner in value.items():
            yield from _secret_paths(inner, (*path, key))
    elif is_list(value):
        for index, inner in enumerate(value):
            yield from _secret_paths(inner, (*path, str(index)))

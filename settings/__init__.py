"""The only reader of the stack config: validated, frozen models, or one message with every problem.

`parse` is a pure function of the config, so that tests and the rehearsal can use it without an engine; `load`
reads `pulumi.Config`. Both fail before a resource is registered if a key is unknown, a type is wrong or a rule is
broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi.runtime import config as engine_config
from pydantic import ValidationError

from reference.naming import PROJECT
from settings import artifacts, checks, keys
from settings.model import Settings
from validation import text_values
from validation.plain_values import to_json
from validation.problems import HIDDEN, Problem, from_pydantic, report

__all__ = ["Secrets", "Settings", "SettingsError", "load", "needed", "parse"]

SECRETS: Final[Mapping[str, str]] = {
    "ngcApiKey": "an NGC API key, from ngc.nvidia.com",
    "hfToken": "a Hugging Face access token, from huggingface.co/settings/tokens",
    "natsPassword": "the password of dynamo.natsUser, if that is set; of an environment: its output natsLogin",
}
"""Keys of secrets, and where to get a value."""


class SettingsError(pulumi.RunError):
    """An invalid config. The text is the whole message; `problems` has the parts."""

    def __init__(self, environment: str, problems: list[Problem]) -> None:
        super().__init__(report(f"the config of stack {environment!r}", problems))
        self.problems = problems


@dataclass(frozen=True)
class Secrets:
    """Secret values, as Pulumi secrets: encrypted in state, masked in output."""

    ngc_api_key: pulumi.Output[str] | None
    """None: nothing of the environment is fetched with it."""
    hf_token: pulumi.Output[str]
    nats_password: pulumi.Output[str]
    """Of `dynamo.natsUser`."""


def needed(settings: Settings) -> frozenset[str]:
    """Keys of the secrets without which an environment with these settings is not deployed."""
    wanted = {"ngcApiKey": artifacts.needs_ngc_key(settings), "natsPassword": settings.dynamo.nats_user is not None}
    return frozenset(key for key in SECRETS if wanted.get(key, True))


def parse(raw: Mapping[str, Any], environment: str) -> Settings:
    """Validate a stack config, given as the `config:` mapping of `Pulumi.<environment>.yaml`.

    Keys of the project have its prefix (`dynamo-a4x:cluster`). Values may be plain YAML or, as the engine passes them,
    texts with JSON. Secrets are not read.


    Raises:
        SettingsError: with every problem found.
    """
    known = {field.alias or name: field.annotation for name, field in Settings.model_fields.items()}
    del known["environment"]
    values, problems = keys.sort(raw, known, SECRETS)
    content = {name: text_values.decoded(value, known[name]) for name, value in values.items()}
    try:
        settings = Settings.model_validate_json(to_json({"environment": environment, **content}))
    except ValidationError as error:
        raise SettingsError(environment, problems + from_pydantic(error, Settings)) from None
    problems += checks.problems(settings)
    if problems:
        raise SettingsError(environment, problems)
    return settings


def load() -> tuple[Settings, Secrets]:
    """Read and validate the config of the running stack, and warn of probable mistakes.

    Raises:
        SettingsError: an invalid config; a secret in plaintext; at `pulumi up`, a secret that is not set.
    """
    environment = pulumi.get_stack()
    raw = {**engine_config.get_config_env(), **engine_config.CONFIG.get()}
    settings = parse(raw, environment)
    wanted = needed(settings)
    unset, problems = _check_secrets(raw)
    missing = [key for key in unset if key in wanted]
    if missing and not pulumi.runtime.is_dry_run():
        problems += [
            Problem(
                key,
                None,
                "this secret is required to create resources",
                f"set it: pulumi config set --secret {key}   ({SECRETS[key]})",
            )
            for key in missing
        ]
    if problems:
        raise SettingsError(environment, problems)
    for key in missing:
        pulumi.log.warn(f"{key} is not set; this preview goes on without it, `pulumi up` will not.")
    if "natsPassword" not in {*unset, *wanted}:
        pulumi.log.warn("natsPassword is set and not used: dynamo.natsUser says who logs in with it.")
    for warning in checks.warnings(settings):
        pulumi.log.warn(warning)
    if pulumi.runtime.is_dry_run():
        for line in checks.estimates(settings):
            pulumi.log.info(line)
    config = pulumi.Config(PROJECT)
    values = {key: config.get_secret(key) or pulumi.Output.secret("") for key in SECRETS}
    return settings, Secrets(
        ngc_api_key=values["ngcApiKey"] if "ngcApiKey" in wanted else None,
        hf_token=values["hfToken"],
        nats_password=values["natsPassword"],
    )


def _check_secrets(raw: Mapping[str, Any]) -> tuple[list[str], list[Problem]]:
    """Keys of secrets without a value, and problems with the others."""
    config = pulumi.Config(PROJECT)
    missing: list[str] = []
    problems: list[Problem] = []
    for key in SECRETS:
        if not raw.get(f"{keys.PREFIX}{key}"):
            missing.append(key)
        elif not pulumi.runtime.is_config_secret(config.full_key(key)):
            problems.append(
                Problem(
                    key,
                    HIDDEN,
                    "a secret must not be in plaintext in a stack file",
                    f"revoke it, remove the line, then: pulumi config set --secret {key}",
                )
            )
    return missing, problems

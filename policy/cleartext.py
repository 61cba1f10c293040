"""No secret in clear: neither in Pulumi's state nor in what everybody who reads the cluster can see."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

from policy.images import RELEASE
from policy.rule import Finding, Resource, Rule, Run, Settings, leaves, strings

_SECRET: Final = "kubernetes:core/v1:Secret"  # noqa: S105 - a type
_SHORTEST: Final = 8
"""Characters of a config value that is searched for; shorter ones occur by chance."""
_TOKENS: Final = re.compile(
    r"nvapi-[\w-]{20,}|\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_\w{36}|\bgithub_pat_\w{22,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{35}"
    r"|\bya29\.[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
"""Shapes of API keys and tokens: NGC, Hugging Face, GitHub, AWS, Google, Slack, JWT; and of private keys."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{12,}={0,2}")


def _has_secret(value: Any, known: list[str]) -> bool:
    if not isinstance(value, str):
        return False
    texts = [value, *_decoded(value)]
    return any(secret in text for text in texts for secret in known) or any(_TOKENS.search(text) for text in texts)


def _decoded(value: str) -> Iterator[str]:
    for match in _BASE64.finditer(value):
        try:
            yield base64.b64decode(match[0] + "=" * (-len(match[0]) % 4)).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue


def _is_place_for_secrets(resource: Resource, path: tuple[str, ...]) -> bool:
    """Whether only those can read an input who may read Secrets; of what is not in the cluster, Pulumi decides."""
    if resource.type == _SECRET:
        return path[0] in ("data", "stringData")
    if resource.type == RELEASE:
        return path[0] == "repositoryOpts"
    return not resource.type.startswith("kubernetes:")


def _in_clear(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    values = [run.config(key if ":" in key else f"{run.project}:{key}") for key in settings["keys"]]
    known = [value for value in values if value and len(value) >= _SHORTEST]
    for path, value in leaves(resource.inputs):
        if not path or not _has_secret(value, known):
            continue
        where = ".".join(path)
        marked = resource.secrets is None or any(path[: len(secret)] == secret for secret in resource.secrets)
        if not _is_place_for_secrets(resource, path):
            yield Finding(
                f"{where} holds a key or token, which everybody sees who may read the object",
                "Put it into a Secret and refer to that",
            )
        elif not marked:
            yield Finding(
                f"{where} holds a key or token, which would be in clear in Pulumi's state",
                "Take it from config.require_secret or wrap it in pulumi.Output.secret",
            )


RULES: Final = (
    Rule(
        "no-secret-in-clear",
        "No input holds a secret in clear.",
        "mandatory",
        _in_clear,
        {"keys": strings("config keys whose values are searched for", "ngcApiKey", "hfToken")},
        sees_secrets=True,
    ),
)

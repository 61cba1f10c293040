"""No secret in plaintext: neither in Pulumi's state nor in what everybody who reads the cluster can see."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from policy.images import is_chart
from policy.rule import Finding, Resource, Rule, Run, Settings, leaves, mappings, strings

_SECRETS: Final = ("kubernetes:core/v1:Secret", "kubernetes:core/v1:SecretPatch")
_SHORTEST: Final = 8
"""Characters of a config value that is searched for; shorter ones occur by chance."""
CREDENTIALS: Final = re.compile(
    r"nvapi-[\w-]{20,}|\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_\w{36}|\bgithub_pat_\w{22,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{35}"
    r"|\bya29\.[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|://[^\s/:@]+:[^\s/:@$<{%*][^\s/@]{3,}@"
)
"""Shapes of API keys and tokens: NGC, Hugging Face, GitHub, AWS, Google, Slack, JWT; of private keys; and of a password
in a URL, but not of its placeholder."""
_NO_SECRET: Final = re.compile(
    r"((?i:true|false|yes|no|none|null)|[\d.,]+|[./~<$].*|file:.*"
    r"|[a-z0-9-]*(secret|token|key|credentials)[a-z0-9-]*|[a-z0-9-]+(\.[a-z0-9-]+)+/[\w./-]+)?",
    re.DOTALL,
)
"""Values of variables that are no secret whatever their name: paths, numbers, placeholders, `$(OTHER)`, names of
Secrets, keys of labels."""
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
"""Name of an environment variable; others, such as `secretName` or `secret-store.yaml`, mean something else."""
_WORD: Final = 12
"""Characters below which the value of a `*_KEY` or `*_TOKEN` is a word of the application (`SORT_KEY`, `EOS_TOKEN`)."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{12,}={0,2}")


def _has_secret(value: Any, known: list[str]) -> bool:
    if not isinstance(value, str):
        return False
    texts = [value, *_decoded(value)]
    return any(secret in text for text in texts for secret in known) or any(CREDENTIALS.search(text) for text in texts)


def _decoded(value: str) -> Iterator[str]:
    for match in _BASE64.finditer(value):
        try:
            yield base64.b64decode(match[0] + "=" * (-len(match[0]) % 4)).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue


def _named_like_secrets(resource: Resource, names: list[str]) -> Iterator[tuple[str, ...]]:
    """Paths of literal values whose variable's name says that it is a secret."""
    kind = resource.type.rpartition(":")[2]
    for path, content in mappings(resource.inputs):
        variables = {"value": (content.get("name"), content.get("value"))}
        if path == ("data",) and kind.startswith("ConfigMap"):
            variables = {key: (key, value) for key, value in content.items()}
        for key, (name, value) in variables.items():
            if isinstance(name, str) and isinstance(value, str) and _is_secret(name, value, names):
                yield (*path, key)


def _is_secret(name: str, value: str, names: list[str]) -> bool:
    if not _VARIABLE.fullmatch(name) or not any(fnmatchcase(name, pattern) for pattern in names):
        return False
    if _NO_SECRET.fullmatch(value):
        return False
    return not (name.endswith(("KEY", "TOKEN")) and len(value) < _WORD) and not name.endswith(
        ("_NAME", "_FILE", "_PATH", "_DIR", "_REF", "_ID")
    )


def _is_place_for_secrets(resource: Resource, path: tuple[str, ...]) -> bool:
    """Whether only those can read an input who may read Secrets; of what is not in the cluster, Pulumi decides.

    Helm keeps a release's values in a Secret; what the chart makes of them is not seen here.
    """
    if resource.type in _SECRETS:
        return path[0] in ("data", "stringData")
    if is_chart(resource):
        return path[0] in ("repositoryOpts", "values")
    return not resource.type.startswith("kubernetes:")


def _in_clear(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    values = [run.config(key if ":" in key else f"{run.project}:{key}") for key in settings["keys"]]
    known = [value for value in values if value and len(value) >= _SHORTEST]
    marked = resource.secrets or frozenset()
    found = {path: "holds a key or token" for path, value in leaves(resource.inputs) if _has_secret(value, known)}
    # A name may be marked because it was computed with a secret, and is public all the same.
    found |= {path: "is marked as a secret" for path in marked if path[:1] != ("metadata",) and path not in found}
    if resource.type.startswith("kubernetes:") and resource.type not in _SECRETS:
        named = _named_like_secrets(resource, settings["names"])
        found |= {path: "is a secret by its name" for path in named if path not in found}
    for path, why in found.items():
        where = ".".join(path)
        if not path:
            continue
        if not _is_place_for_secrets(resource, path):
            yield Finding(
                f"{where} {why}, and everybody sees it who may read the object",
                "Put it into a Secret and refer to that",
            )
        elif resource.secrets is not None and not any(path[: len(secret)] == secret for secret in marked):
            yield Finding(
                f"{where} {why}, which would be in plaintext in Pulumi's state",
                "Take it from config.require_secret or wrap it in pulumi.Output.secret",
            )


RULES: Final = (
    Rule(
        "no-plaintext-secrets",
        "No input contains a plaintext secret.",
        "mandatory",
        _in_clear,
        {
            "keys": strings("config keys whose values are searched for", "ngcApiKey", "hfToken", "natsPassword"),
            "names": strings(
                "variables whose literal values are secrets, as patterns", "*TOKEN", "*PASSWORD", "*SECRET*", "*_KEY"
            ),
        },
        sees_secrets=True,
    ),
)

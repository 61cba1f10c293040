"""Finds secrets in text, in plaintext and in the encodings that carry a text inside another one, and masks them.

The engine masks its config's secrets in what it prints, in plaintext. A program can print what it derived from one:
base64 in a Docker config, a part of a URL. Against a program that hides a secret on purpose nothing helps but the
review that the `preview` environment asks for.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import urllib.parse
from collections.abc import Iterable
from typing import Any, Final, cast

MASK: Final = "[secret]"
_BASE64: Final = "[A-Za-z0-9+/_-]"
SHORTEST: Final = 6
"""Characters. Anything shorter stands in ordinary text as well; the engine masks it in plaintext."""


class Masker:
    """Masks some secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in _parts(secret)}
        literal = {re.escape(form) for part in parts for form in forms(part)}
        # The characters on either side hold bits of the secret's first and last bytes.
        encoded = {
            f"{_BASE64}{{0,4}}{re.escape(form)}{_BASE64}{{0,4}}={{0,2}}" for part in parts for form in _inner(part)
        }
        longest_first = sorted(literal, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join([*sorted(encoded), *longest_first])) if parts else None

    def masked(self, text: str) -> str:
        """`text` without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def forms(secret: str) -> set[str]:
    """What a secret looks like in plaintext, in JSON (Python's and Go's, once and twice), a URL, hex and base64."""
    as_json = json.dumps(secret)[1:-1]
    as_unicode_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    found = {
        secret,
        as_json,
        as_unicode_json,
        as_json.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"),
        json.dumps(as_json)[1:-1],
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        secret.encode().hex(),
        secret.encode().hex().upper(),
    }
    return {form for form in found | _inner(secret) if len(form) >= SHORTEST}


def _inner(secret: str) -> set[str]:
    """The part of base64 that any text with the secret in it has, in both alphabets, for each of the three offsets."""
    found: set[str] = set()
    for shift in range(3):
        inner = base64.b64encode(b"\0" * shift + secret.encode()).decode()[4 if shift else 0 : -4]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in found if len(form) >= SHORTEST}


def _parts(secret: str) -> set[str]:
    """The secret and, if it has several lines, each of them: a diff shows them one below the other."""
    return {part for part in {secret, *(line.strip() for line in secret.splitlines())} if len(part) >= SHORTEST}


def config_secrets(shown: str) -> list[str]:
    """The secrets in the output of `pulumi config --show-secrets --json`. Raises `ValueError` if it is none."""
    entries = cast("object", json.loads(shown))
    if not isinstance(entries, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the text is wrong, as where it is not valid JSON
    found: list[str] = []
    for entry in cast("dict[str, object]", entries).values():
        if isinstance(entry, dict) and cast("dict[str, object]", entry).get("secret"):
            _texts(cast("dict[str, Any]", entry), found)
    return found


_SIGNATURE: Final = ("4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270")
"""Marks a secret in a state (sdk/go/common/resource/sig/sig.go)."""
SHORTEST_OF_STATE: Final = 12
"""Characters. Secret values of a state also hold names, user names, and the like."""


def state_secrets(exported: str) -> list[str]:
    """The secrets in the output of `pulumi stack export --show-secrets`. Raises `ValueError` if it is none.

    Of each text also what it is in base64 (the data of a Kubernetes Secret), and if that is JSON, the texts in it.
    """
    state = cast("object", json.loads(exported))
    if not isinstance(state, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as above
    found: list[str] = []
    _secret_values(state, found)
    inner: list[str] = []
    for text in found:
        try:
            decoded = base64.b64decode(text, validate=True).decode()
        except ValueError:
            continue
        inner.append(decoded)
        with contextlib.suppress(ValueError):
            _texts(json.loads(decoded), inner)
    return [text for text in dict.fromkeys([*found, *inner]) if len(text) >= SHORTEST_OF_STATE]


def _secret_values(value: Any, found: list[str]) -> None:
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        if inner.get(_SIGNATURE[0]) == _SIGNATURE[1]:
            _texts(json.loads(str(inner["plaintext"])) if "plaintext" in inner else None, found)
        else:
            _secret_values(list(inner.values()), found)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            _secret_values(item, found)


def _texts(value: Any, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict | list):
        inner = cast("dict[str, Any] | list[Any]", value)
        for item in inner.values() if isinstance(inner, dict) else inner:
            _texts(item, found)

"""Keys of a stack config: which are this program's, and which look like misspelled ones.

The engine passes the keys of every namespace and accepts keys that nothing reads. A key with a typo in its namespace
would be silently ignored: here it is a problem, and its value is checked as that of the intended key.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Final

from reference.naming import PROJECT
from validation.problems import HIDDEN, Problem
from validation.unknown_keys import UNKNOWN, nearest

PREFIX: Final = f"{PROJECT}:"
SHARED: Final = ("gcp:project", "gcp:region")
"""Keys of the provider's namespace that this program reads too."""

OTHERS: Final = frozenset({"gcp", "kubernetes", "pulumi", "random"})
"""Namespaces of the engine and of the program's providers, which check their own keys."""

_SLIP: Final = 0.6


def sort(
    raw: Mapping[Any, Any], known: Collection[str], secrets: Collection[str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Values by the names in `known`, and problems with keys. Values of `secrets` are not read."""
    values: dict[str, Any] = {}
    meant: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in raw.items():
        text = str(key)
        namespace, colon, name = text.rpartition(":")
        if text in SHARED:
            values[text] = value
        elif namespace == PROJECT:
            if name in known:
                values[name] = value
            elif name not in secrets:
                problems.append(_unknown(name, value, known, secrets))
        elif _is_slip(namespace, name, known, secrets):
            rule = "nothing in the program reads this key"
            if not colon:
                rule = "a key needs a namespace prefix"
            fix = f"write {PREFIX}{name}" if name in {*known, *secrets} else nearest(name, [*known, *secrets])
            problems.append(Problem(text, value, rule, fix))
            meant[name] = value
    return {**{name: value for name, value in meant.items() if name in known}, **values}, problems


def _is_slip(namespace: str, name: str, known: Collection[str], secrets: Collection[str]) -> bool:
    if namespace in OTHERS:
        return False
    close = difflib.get_close_matches(namespace.lower()[: 2 * len(PROJECT)], [PROJECT], cutoff=_SLIP)
    return not namespace or bool(close) or name in known or name in secrets


def _unknown(name: str, value: Any, known: Collection[str], secrets: Collection[str]) -> Problem:
    names = [key for key in known if ":" not in key]
    top = name.replace("[", ".").partition(".")[0]
    fix = nearest(name, [*names, *secrets])
    if top != name and top in names:
        fix = f"a key inside {top} is set by its path: pulumi config set --path '{name}' VALUE"
    return Problem(name, HIDDEN if _is_secret(name, names, secrets) else value, UNKNOWN, fix)


def _is_secret(name: str, names: Collection[str], secrets: Collection[str]) -> bool:
    """Whether an unknown key looks like a secret's, so that its value is hidden whatever it looks like itself."""
    close = difflib.get_close_matches(name[: 2 * len(PROJECT)], [*names, *secrets], n=1, cutoff=0.5)
    return bool(close) and close[0] in secrets

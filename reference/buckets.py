"""Cloud Storage buckets: the roles of pods on the bucket with the weights, and Google's rules for names."""

from __future__ import annotations

import re
from typing import Final

from validation.problems import RuleError

READER: Final = "roles/storage.objectViewer"
"""Of a stack's pods, on the bucket with the weights."""
WRITER: Final = "roles/storage.objectUser"
"""Of a download's pod."""

_SHORTEST, _LONGEST = 3, 63
_LONGEST_DOTTED: Final = 222
"""Characters of a name that contains dots; each part has up to 63."""

_PART: Final = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_ADDRESS: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_LOOKALIKES: Final = str.maketrans("01", "ol")
"""Digits that stand for letters in a close misspelling of "google", such as g00gle or goog1e."""


def check(name: str, key: str = "modelBucket.name") -> None:
    """Raise `RuleError` unless `name` is a valid bucket name, without `gs://`."""
    parts = name.split(".")
    longest = _LONGEST_DOTTED if len(parts) > 1 else _LONGEST
    if not _SHORTEST <= len(name) <= longest or not all(_PART.fullmatch(p) and len(p) <= _LONGEST for p in parts):
        raise RuleError(
            key,
            name,
            f"a bucket's name has {_SHORTEST} to {_LONGEST} lower-case letters, digits, hyphens and underscores, and "
            "begins and ends with a letter or digit; so does each part of a name with dots",
            "give the name of the bucket, with or without gs:// and without a folder behind it",
        )
    if _ADDRESS.fullmatch(name):
        raise RuleError(key, name, "a bucket's name must not look like an IP address", "give the name of the bucket")
    if name.startswith("goog") or "google" in name.translate(_LOOKALIKES):
        raise RuleError(
            key,
            name,
            'a bucket\'s name must not contain "google" or a close misspelling of it, nor begin with "goog"',
            "choose another name",
        )

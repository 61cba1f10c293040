"""What is said of a key or a name that does not exist, and which existing one may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

UNKNOWN: Final = "this key does not exist"

_WORD_MAX: Final = 100
"""Characters of a word that are compared with others: the time grows with the square of the length."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A fix for an unknown name: the closest known one first, then all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word[:_WORD_MAX], names, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}known: {', '.join(names)}"

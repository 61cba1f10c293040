"""The message of a failure: what `pulumi up` shows of the check, so it must fit the kubelet's termination message."""

from __future__ import annotations

from typing import Final

LIMIT: Final = 4096
"""Bytes that the kubelet keeps of a container's termination message."""
_FIRST: Final = 1200
_LAST: Final = 600
_CUT: Final = "..."


def compose(cause: str, state: str, words: str, following: str) -> str:
    """The whole message: the cause first, complete in its line; the command to run next last.

    What lies between gives way, and of the last words of a container the end stays, where the error is.
    """
    first, last = head(" ".join(cause.split()), _FIRST), head(f"Next: {following}", _LAST)
    middle = [head(state, _FIRST)] if state else []
    room = LIMIT - sum(len(line.encode()) + 1 for line in (first, *middle, last)) - 1
    if words and room > len(_CUT):
        middle.append(tail(words, room))
    return "\n".join((first, *middle, last))


def head(value: str, limit: int) -> str:
    """The beginning of `value` in at most `limit` bytes of UTF-8, no character cut in two."""
    if len(value.encode()) <= limit:
        return value
    return value.encode()[: limit - len(_CUT)].decode("utf-8", "ignore") + _CUT


def tail(value: str, limit: int) -> str:
    """The end of `value`, likewise."""
    if len(value.encode()) <= limit:
        return value
    return _CUT + value.encode()[-(limit - len(_CUT)) :].decode("utf-8", "ignore")

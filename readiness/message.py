"""The failure message that `pulumi up` shows, which must fit into a termination message."""

from __future__ import annotations

from typing import Final

LIMIT: Final = 4096
"""Bytes of a termination message that the kubelet keeps."""
_FIRST: Final = 1200
_LAST: Final = 600
_CUT: Final = "..."


def compose(cause: str, state: str, words: str, following: str) -> str:
    """The whole message: first the cause, complete in one line; last the command to run next.

    The part between is shortened; of a container's output the end is kept, where the error is.
    """
    first, last = head(" ".join(cause.split()), _FIRST), head(f"Next: {following}", _LAST)
    middle = [head(state, _FIRST)] if state else []
    room = LIMIT - sum(len(line.encode()) + 1 for line in (first, *middle, last)) - 1
    if words and room > len(_CUT):
        middle.append(tail(words, room))
    return "\n".join((first, *middle, last))


def head(value: str, limit: int) -> str:
    """The beginning of `value` in at most `limit` bytes of UTF-8, without splitting a character."""
    if len(value.encode()) <= limit:
        return value
    return value.encode()[: limit - len(_CUT)].decode("utf-8", "ignore") + _CUT


def tail(value: str, limit: int) -> str:
    """The end of `value`, likewise."""
    if len(value.encode()) <= limit:
        return value
    return _CUT + value.encode()[-(limit - len(_CUT)) :].decode("utf-8", "ignore")

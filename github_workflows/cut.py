"""Text that is too long for GitHub."""

from __future__ import annotations

import re
from typing import Final

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


def middle_cut(text: str, most: int) -> str:
    """At most `most` characters: the beginning and the end of `text`, in whole lines where they are short enough.

    The end of what the engine prints is worth as much as its beginning: errors and counts are there.
    """
    if len(text) <= most:
        return text
    note = "\n... (shortened) ...\n"
    keep = max(0, most - len(note))
    head, tail = text[: keep // 2], text[len(text) - (keep - keep // 2) :]
    whole_head, whole_tail = head.rpartition("\n")[0], tail.partition("\n")[2]
    return f"{whole_head or head}{note}{whole_tail or tail}"


def shortened(markdown: str, most: int, note: str) -> str:
    """At most `most` characters of `markdown` with `note` at the end; an open code block or `<details>` is closed."""
    if len(markdown) <= most:
        return markdown
    lines = markdown[:most].split("\n")
    while lines:
        lines.pop()
        cut = "\n".join([*lines, *_open_ends(lines), "", note])
        if len(cut) <= most:
            return cut
    return note[:most]


def _open_ends(lines: list[str]) -> list[str]:
    """What closes the code block and the `<details>` that are open after `lines`."""
    fence, details = "", 0
    for line in lines:
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not line[found.end() :].strip():
                fence = ""
        elif found:
            fence = found[1]
        else:
            # Whole lines of this project's own; in code it is text of others.
            details += line.startswith("<details>") - (line == "</details>")
    return [*([fence] if fence else []), *["", "</details>"] * max(0, details)]

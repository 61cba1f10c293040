"""Text of others in Markdown that GitHub shows: nothing in it is rendered, and nothing in it hides.

Inside a code block or a code span GitHub links no mention, reference or address, and renders neither image nor HTML
(docs.github.com, "Basic writing and formatting syntax"; GFM spec, 4.5 and 6.3). What is left is to keep text inside it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""ECMA-48: control sequences (colours), operating system commands (titles, links), and two-character escapes."""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories: control, format (bidirectional and zero-width), private, surrogate, line and paragraph ends."""
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


def plain(text: str) -> str:
    """`text` without terminal escapes; of other invisible characters only newline and tab stay as they are."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _INVISIBLE:
        return character
    return f"\\u{ord(character):04x}"


def block(text: str, language: str = "") -> str:
    """A fenced code block. The fence is longer than any run of backticks in `text`, which so cannot close it."""
    text = plain(text).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def span(text: str, most: int = 200) -> str:
    """A code span on one line, of at most `most` characters of `text`."""
    text = " ".join(plain(text).split())
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    # The spaces are not shown; without them a backtick at either end would belong to the delimiter.
    return f"{ticks} {text} {ticks}" if text else "(empty)"


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
            details += line.count("<details>") - line.count("</details>")
    return [*([fence] if fence else []), *["", "</details>"] * max(0, details)]

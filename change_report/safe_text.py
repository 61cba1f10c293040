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
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Letters and marks that are not shown: Unicode's Default_Ignorable_Code_Point, and the blank Braille pattern."""


def plain(text: str) -> str:
    """`text` without terminal escapes; of other invisible characters only newline and tab stay as they are."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or (unicodedata.category(character) not in _INVISIBLE and not _BLANK.match(character)):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def block(text: str, language: str = "") -> str:
    """A fenced code block. The fence is longer than any run of backticks in `text`, which so cannot close it."""
    text = plain(text).rstrip("\n")
    fence = "`" * max(3, 1 + _longest_run(text))
    return f"{fence}{language}\n{text}\n{fence}"


def span(text: str) -> str:
    """A code span, on one line."""
    # Backticks around nothing are no code; a space is.
    text = " ".join(plain(text).split()) or " "
    ticks = "`" * (1 + _longest_run(text))
    # A backtick at either end would belong to the delimiter; the spaces are not shown.
    pad = " " if "`" in (text[0], text[-1]) else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def cell(text: str) -> str:
    """A code span in a table, where a bar must be escaped even in code."""
    return span(text).replace("|", "\\|")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)

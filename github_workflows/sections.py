"""A text at GitHub that is edited, not repeated: named sections between hidden markers, of which some are replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from change_report import safe_text
from github_workflows import cut

BODY_MOST: Final = 65_536
"""Characters of a comment or issue; GitHub answers 422, "body is too long (maximum is 65536 characters)", to more."""
SHORTENED: Final = "_Shortened; the summary of the run that is linked above has the whole text._"
_SECTION: Final = re.compile(r"^<!-- section ([a-z0-9-]+) -->\n(.*?)\n<!-- end \1 -->$", re.DOTALL | re.MULTILINE)


def found_in(body: str) -> dict[str, str]:
    """The sections of a text by name."""
    return {match[1]: match[2] for match in _SECTION.finditer(body.replace("\r\n", "\n"))}


def assembled(marker: str, parts: Mapping[str, str], order: Sequence[str], most: int = BODY_MOST) -> str:
    """The text of these sections, those of `order` first, in at most `most` characters.

    Long sections are shortened, to one length; short ones stay whole.
    """
    names = [*(name for name in order if name in parts), *sorted(parts.keys() - set(order))]
    # A marker in the content of a section would end it, or begin another one.
    safe = {name: parts[name].replace("<!--", "<! --") for name in names}
    frame = len(_joined(marker, dict.fromkeys(names, "")))
    lengths = _lengths([len(safe[name]) for name in names], most - frame)
    return _joined(
        marker,
        {name: cut.shortened(safe[name], length, SHORTENED) for name, length in zip(names, lengths, strict=True)},
    )


def details(title: str, text: str) -> str:
    """Text of others, folded. `title` is the project's own."""
    shown = safe_text.block(cut.middle_cut(text, BODY_MOST // 2), "diff")
    return f"<details><summary>{title}</summary>\n\n{shown}\n\n</details>"


def _joined(marker: str, parts: Mapping[str, str]) -> str:
    return "\n\n".join(
        [marker, *(f"<!-- section {name} -->\n{content}\n<!-- end {name} -->" for name, content in parts.items())]
    )


def _lengths(wanted: Sequence[int], room: int) -> list[int]:
    """What each may have of `room`: all that it wants, or an equal share of what those that want less leave."""
    granted = dict[int, int]()
    for place, index in enumerate(sorted(range(len(wanted)), key=lambda index: wanted[index])):
        granted[index] = min(wanted[index], (room - sum(granted.values())) // (len(wanted) - place))
    return [granted[index] for index in range(len(wanted))]

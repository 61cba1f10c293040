"""Reads a file from an artifact, which is a zip file that somebody else made. Nothing is written to disk."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Final

ARCHIVE_MOST: Final = 2_000_000
"""Bytes of the zip file."""
MEMBERS_MOST: Final = 20


class ArchiveError(Exception):
    """An artifact that is refused. The text has the reason, and nothing of the artifact."""


def members(archive: bytes, names: re.Pattern[str], most: int) -> dict[str, bytes]:
    """The files of a zip file whose whole name is `names`, each of at most `most` bytes; others are never opened.

    Raises:
        ArchiveError: it is not a zip file, or larger than it may be.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            listed = opened.infolist()
            if len(listed) > MEMBERS_MOST:
                raise ArchiveError(f"it holds {len(listed)} files, at most {MEMBERS_MOST} are expected")
            chosen = [info for info in listed if names.fullmatch(info.filename)]
            if len({info.filename for info in chosen}) != len(chosen):
                raise ArchiveError("it holds two files of one name")
            return {info.filename: _read(opened, info, most) for info in chosen}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError) as error:
        raise ArchiveError("it is not a readable zip file") from error


def _read(opened: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    # bzip2 and LZMA may ask for gigabytes of memory before the first byte; GitHub's own action uses neither.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 0x1:
        raise ArchiveError("a file in it is encrypted, or compressed in an unusual way")
    with opened.open(info) as member:
        content = member.read(most + 1)  # the size in the directory may be a lie
    if len(content) > most:
        raise ArchiveError(f"a file in it has more than {most} bytes")
    return content

"""Directories of tags as TIFF and Exif have them: of all that they hold, which way up a photo is.

After TIFF 6.0, its 64-bit variant (BigTIFF), and CIPA DC-008 (Exif). One directory is looked at,
and never more of it than was handed over: offsets that lead in circles, and counts without end,
lead nowhere.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

ORIENTATION = 0x0112
WIDTH, HEIGHT = 256, 257

FARTHEST = 1 << 40  #: where nothing is looked for in a file; systems refuse to go much farther

_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, LONG8


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 … 8, in a block of Exif; 1 where it is absent or damaged.

    Parameters
    ----------
    exif : bytes
        As TIFF structures it, without the ``Exif`` prefix of JPEG.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, offset)
    except struct.error:
        return 1
    entries = exif[offset + 2 : offset + 2 + 12 * count]
    return valid_orientation(_values(entries, order, big=False).get(ORIENTATION, 1))


def valid_orientation(value: int) -> int:
    """Return an orientation as it stands in a file, or 1 where it is none."""
    return value if 1 <= value <= 8 else 1


def first_directory(file: BinaryIO, start: bytes) -> dict[int, int]:
    """Return the single numbers of a TIFF file's first directory, by tag.

    Parameters
    ----------
    file : binary file
        Seekable.
    start : bytes
        Its first 16 bytes, at least.

    Raises
    ------
    struct.error
        It ends before its directory does.
    """
    order = "<" if start[:2] == b"II" else ">"
    big = 43 in start[2:4]
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)
    if offset >= FARTHEST:
        raise struct.error
    file.seek(offset)
    (count,) = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))
    size = (20 if big else 12) * min(count, 0xFFFF)
    entries = file.read(size)
    if len(entries) < size:
        raise struct.error
    return _values(entries, order, big=big)


def _values(entries: bytes, order: str, *, big: bool) -> dict[int, int]:
    head, size = (order + "HHQ", 20) if big else (order + "HHI", 12)
    values = {}
    for position in range(0, len(entries) - size + 1, size):
        tag, kind, count = struct.unpack_from(head, entries, position)
        if count == 1 and kind in _CODES and (big or kind != 16):
            at = position + struct.calcsize(head)
            (values[tag],) = struct.unpack_from(order + _CODES[kind], entries, at)
    return values

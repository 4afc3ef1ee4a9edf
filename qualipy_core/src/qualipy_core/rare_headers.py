"""Headers of the formats that cameras do not write: AVIF, JPEG 2000, the plain and the old ones.

Their readers stand beside those of `qualipy_core.headers`, which calls them: a size that is not
known before decoding is memory that nobody has agreed to. After ISO/IEC 14496-12 and 23008-12 (the
boxes of AVIF), ISO/IEC 15444-1 (JPEG 2000), and what Netpbm, Radiance and Sun have written about
theirs.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from qualipy_core.exif import FARTHEST

_MOST_BOXES = 1000
_MOST_META = 1 << 20  # bytes of the box that describes an AVIF; those of a photo have hundreds
_HEAD = 1 << 16  # bytes in which the header of a format as text ends

# How many quarter turns to the left, and then which mirror, as an Exif orientation: Exif first
# mirrors and then turns to the right, HEIF turns (irot) and then mirrors (imir).
_TURNED = {0: 1, 1: 8, 2: 3, 3: 6}
_MIRRORED = {  # axis 0 exchanges top and bottom, axis 1 left and right
    (0, 0): 4, (0, 1): 2, (1, 0): 5, (1, 1): 7, (2, 0): 2, (2, 1): 4, (3, 0): 7, (3, 1): 5,
}  # fmt: skip


class Found(NamedTuple):
    """What a header says."""

    width: int
    height: int
    orientation: int = 1


def avif(file: BinaryIO) -> Found | None:
    """The size and orientation of an AVIF's primary picture; ``None`` where they stand elsewhere.

    Raises
    ------
    struct.error, EOFError
        The file ends in its header.
    """
    meta = _meta_box(file)
    if meta is None:  # a sequence, whose size stands in its tracks
        return None
    inner = dict(_boxes(meta, 4))
    primary = _primary_item(inner.get(b"pitm", b""))
    properties = dict(_boxes(inner.get(b"iprp", b""), 0))
    listed = list(_boxes(properties.get(b"ipco", b""), 0))
    width = height = turns = 0
    axis: int | None = None
    for index in _associated(properties.get(b"ipma", b""), primary):
        if not 1 <= index <= len(listed):
            continue
        kind, data = listed[index - 1]
        if kind == b"ispe":
            width, height = struct.unpack_from(">II", data, 4)
        elif kind == b"irot":
            turns = data[0] & 3
        elif kind == b"imir":
            axis = data[0] & 1
    return Found(width, height, _TURNED[turns] if axis is None else _MIRRORED[turns, axis])


def _meta_box(file: BinaryIO) -> bytes | None:
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return None
        length, kind = struct.unpack_from(">I4s", head)
        begin = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", head, 8)
            begin = 16
        if kind == b"meta":
            file.seek(at + begin)
            return file.read(min(max(length - begin, 0), _MOST_META))
        if length < begin or at + length >= FARTHEST:
            return None
        at += length
    return None


def _boxes(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes in a box, by kind; at most as many as one of these has."""
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _primary_item(pitm: bytes) -> int:
    wide = pitm[:1] > b"\0"
    (item,) = struct.unpack_from(">I" if wide else ">H", pitm, 4)
    return int(item)


def _associated(ipma: bytes, item: int) -> Iterator[int]:
    """Yield the numbers, from 1, of an item's properties."""
    version, flags, count = ipma[0], ipma[3], struct.unpack_from(">I", ipma, 4)[0]
    at = 8
    for _ in range(min(count, _MOST_BOXES)):
        (one,) = struct.unpack_from(">I" if version else ">H", ipma, at)
        at += 4 if version else 2
        number = ipma[at]
        at += 1
        for _ in range(number):
            wide = flags & 1
            (index,) = struct.unpack_from(">H" if wide else ">B", ipma, at)
            at += 2 if wide else 1
            if one == item:
                yield index & (0x7FFF if wide else 0x7F)  # the bit above: whether it is essential


def jpeg_2000(file: BinaryIO) -> Found:
    """The size that the SIZ segment of a JPEG 2000 codestream says, in a JP2 file or bare."""
    data = _start(file)
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise EOFError
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    return Found(right - left, bottom - top)


def netpbm(file: BinaryIO) -> Found:
    """The size of a PBM, PGM, PPM (P1 … P6) or PFM picture: numbers between blanks and comments."""
    words = re.sub(rb"#[^\n\r]*", b" ", _start(file)[2:]).split(maxsplit=2)
    return Found(_number(words[0]), _number(words[1]))


def pam(file: BinaryIO) -> Found:
    """The size of a PAM (P7) picture: lines of a name and a value."""
    lines = (line.split() for line in _start(file).splitlines())
    named = {words[0]: words[1] for words in lines if len(words) == 2}
    if not {b"WIDTH", b"HEIGHT"} <= named.keys():
        raise EOFError
    return Found(_number(named[b"WIDTH"]), _number(named[b"HEIGHT"]))


def radiance(file: BinaryIO) -> Found:
    """The size of a Radiance picture: its resolution line, after an empty one."""
    found = re.search(rb"\n\n?-Y +(\d{1,9}) +\+X +(\d{1,9})", _start(file))
    if found is None:
        raise EOFError
    return Found(int(found[2]), int(found[1]))


def sun_raster(file: BinaryIO) -> Found:
    """The size of a Sun raster picture."""
    return Found(*struct.unpack_from(">II", _start(file), 4))


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_HEAD)


def _number(word: bytes) -> int:
    if not re.fullmatch(rb"\d{1,9}", word):
        raise EOFError
    return int(word)

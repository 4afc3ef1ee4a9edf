"""What an image file's header says, without decoding a pixel.

Knows JPEG, PNG, GIF, BMP, WebP and classic TIFF; for other formats `read_header` returns ``None``
and the pixels must be decoded to learn their size. The readers follow the formats' specifications:
ITU-T T.81 (JPEG), W3C PNG, RFC 9649 (WebP), TIFF 6.0, CIPA DC-008 (Exif).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

EXIF_LIMIT = 1 << 20  # bytes of Exif that are looked at; the orientation stands near the start
_ORIENTATION = 0x0112
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length


class Header(NamedTuple):
    """Format, stored size and orientation of an image file."""

    format: str
    width: int
    height: int
    orientation: int = 1  #: Exif orientation, 1 … 8
    pixels_at: int = 0  #: offset of the frame header; what comes after is the picture itself

    @property
    def upright_size(self) -> tuple[int, int]:
        """``(width, height)`` once the orientation has been applied."""
        if self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height


def read_header(file: BinaryIO) -> Header | None:
    """Read the header of an image file.

    Parameters
    ----------
    file : binary file
        Open for reading and seekable; read from its start.

    Returns
    -------
    Header or None
        ``None`` when the format is not one of those known here or its header is damaged.
    """
    file.seek(0)
    start = file.read(32)
    for signature, offset, reader in _READERS:
        if start[offset : offset + len(signature)] == signature:
            try:
                header = reader(file, start)
            except (struct.error, IndexError, EOFError):
                return None
            return header if header.width > 0 and header.height > 0 else None
    return None


def is_complete(header: Header, data: bytes) -> bool:
    """Whether a file's last part is there, as far as its format lets one tell.

    Decoders fill what a truncated file lacks with grey; this tells such files from whole ones.

    Parameters
    ----------
    header : Header
        What `read_header` returned for the file.
    data : bytes
        The whole file.

    Returns
    -------
    bool
        ``False`` only when the end is certainly missing.
    """
    if header.format == "JPEG":
        # An Exif thumbnail brings an end-of-image marker of its own, before the frame header.
        return data.rfind(b"\xff\xd9") > header.pixels_at
    if header.format == "PNG":
        return _has_png_end(data)
    if header.format == "WebP":
        (length,) = struct.unpack_from("<I", data, 4)
        return len(data) >= int(length) + 8
    return True


def _has_png_end(data: bytes) -> bool:
    """Whether every chunk is as long as it says, up to the last.

    A decoder that believed a length of 4 GB would ask for as much memory.
    """
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return True
        at += 12 + length
    return False


def _jpeg(file: BinaryIO, _start: bytes) -> Header:
    orientation = 1
    file.seek(2)
    while True:
        byte = _read(file, 1)
        if byte != b"\xff":
            raise EOFError
        while byte == b"\xff":  # any number of fill bytes may precede a marker
            byte = _read(file, 1)
        marker = byte[0]
        if marker in _JPEG_BARE:
            continue
        if marker in (0xD9, 0xDA):
            raise EOFError
        (length,) = struct.unpack(">H", _read(file, 2))
        if marker in _JPEG_FRAMES:
            _, height, width = struct.unpack(">BHH", _read(file, 5))
            return Header("JPEG", width, height, orientation, file.tell())
        if marker == 0xE1:
            payload = _read(file, length - 2)
            if payload.startswith(b"Exif\0\0"):
                orientation = _exif_orientation(payload[6:])
        else:
            file.seek(length - 2, 1)


def _png(file: BinaryIO, start: bytes) -> Header:
    width, height = struct.unpack_from(">II", start, 16)
    orientation, pixels_at = 1, 0
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if kind == b"IDAT" and not pixels_at:
            pixels_at = file.tell()
        if kind == b"eXIf":  # before the pixels or behind them
            orientation = _exif_orientation(file.read(min(length, EXIF_LIMIT)))
            break
        file.seek(length + 4, 1)
    return Header("PNG", width, height, orientation, pixels_at)


def _gif(_file: BinaryIO, start: bytes) -> Header:
    width, height = struct.unpack_from("<HH", start, 6)
    return Header("GIF", width, height)


def _bmp(_file: BinaryIO, start: bytes) -> Header:
    (size,) = struct.unpack_from("<I", start, 14)
    if size == 12:  # the OS/2 header has 16-bit sizes
        width, height = struct.unpack_from("<HH", start, 18)
        return Header("BMP", width, height)
    width, height = struct.unpack_from("<ii", start, 18)
    return Header("BMP", width, abs(height))  # negative: rows from top to bottom


def _webp(file: BinaryIO, start: bytes) -> Header:
    kind = start[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", start, 26)
        return Header("WebP", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", start, 21)
        return Header("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X":
        raise EOFError
    width = int.from_bytes(start[24:27], "little") + 1
    height = int.from_bytes(start[27:30], "little") + 1
    orientation = 1
    if start[20] & 0x08:  # there is an EXIF chunk, behind the picture
        file.seek(12)
        while chunk := file.read(8):
            name, length = struct.unpack("<4sI", chunk)
            if name == b"EXIF":
                payload = _read(file, min(length, EXIF_LIMIT)).removeprefix(b"Exif\0\0")
                orientation = _exif_orientation(payload)
                break
            file.seek(length + (length & 1), 1)
    return Header("WebP", width, height, orientation)


def _tiff(file: BinaryIO, start: bytes) -> Header:
    order = "<" if start[:2] == b"II" else ">"
    (offset,) = struct.unpack_from(order + "I", start, 4)
    file.seek(offset)
    (count,) = struct.unpack(order + "H", _read(file, 2))
    tags = _ifd(_read(file, 12 * count), order)
    if not {256, 257} <= tags.keys():
        raise EOFError
    return Header("TIFF", tags[256], tags[257], _valid_orientation(tags.get(_ORIENTATION, 1)))


def _exif_orientation(exif: bytes) -> int:
    """The orientation in a TIFF-structured Exif block; 1 when it is absent or damaged."""
    exif = exif[:EXIF_LIMIT]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, offset)
    except struct.error:
        return 1
    return _valid_orientation(
        _ifd(exif[offset + 2 : offset + 2 + 12 * count], order).get(_ORIENTATION, 1)
    )


def _valid_orientation(value: int) -> int:
    return value if 1 <= value <= 8 else 1


def _ifd(entries: bytes, order: str) -> dict[int, int]:
    """The SHORT and LONG entries of an image file directory that hold a single value."""
    values = {}
    for position in range(0, len(entries) - 11, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", entries, position)
        if count == 1 and kind in (3, 4):
            code = "H" if kind == 3 else "I"
            (values[tag],) = struct.unpack_from(order + code, entries, position + 8)
    return values


def _read(file: BinaryIO, count: int) -> bytes:
    data = file.read(max(count, 0))
    if len(data) != count:
        raise EOFError
    return data


_READERS: tuple[tuple[bytes, int, Callable[[BinaryIO, bytes], Header]], ...] = (
    (b"\xff\xd8\xff", 0, _jpeg),
    (b"\x89PNG\r\n\x1a\n", 0, _png),
    (b"GIF8", 0, _gif),
    (b"BM", 0, _bmp),
    (b"WEBP", 8, _webp),
    (b"II*\0", 0, _tiff),
    (b"MM\0*", 0, _tiff),
)

"""What an image file's header says, without decoding a pixel.

Knows every format that OpenCV reads; for others `read_header` returns ``None``, and the pixels must
be decoded to learn their size. The readers follow the formats' specifications: ITU-T T.81 (JPEG),
W3C PNG, RFC 9649 (WebP); see also `qualipy_core.exif` and `qualipy_core.rare_headers`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, NamedTuple

from qualipy_core import exif, rare_headers
from qualipy_core.limits import DEFAULTS

_MOST_SEGMENTS = 10_000  # of a JPEG, before its picture; a camera's has a dozen
_MOST_JUNK = 1 << 16  # bytes between two segments that are passed over
_MOST_CHUNKS = 1_000_000  # of a PNG: a gigabyte of the usual ones has a tenth
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


class DamagedHeaderError(ValueError):
    """A file begins as one of a known format, and then says nothing that makes sense."""


def read_header(file: BinaryIO, max_exif: float = DEFAULTS["max_exif"]) -> Header | None:
    """Read the header of an image file.

    Parameters
    ----------
    file : binary file
        Open for reading and seekable; read from its start.
    max_exif : float
        How many bytes of Exif are looked at.

    Returns
    -------
    Header or None
        ``None`` when the format is not one of those known here.

    Raises
    ------
    DamagedHeaderError
        It is, and the header is damaged. Decoders are not asked about such a file: they would take
        it for as large as they like.
    """
    file.seek(0)
    start = file.read(32)
    for signature, offset, reader in _READERS:
        if start[offset : offset + len(signature)] == signature:
            try:
                header = reader(_File(file, start, max_exif))
            except (struct.error, IndexError, EOFError):
                raise DamagedHeaderError from None
            if header is not None and not (header.width > 0 and header.height > 0):
                raise DamagedHeaderError
            return header
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
    for _ in range(_MOST_CHUNKS):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if kind == b"IEND":
            return bool(at <= len(data))
    return False


class _File(NamedTuple):
    """A file whose header is read."""

    file: BinaryIO
    start: bytes  #: its first 32 bytes
    max_exif: float

    def read(self, count: int) -> bytes:
        data = self.file.read(max(count, 0))
        if len(data) != count:
            raise EOFError
        return data

    def orientation(self, length: int) -> int:
        """The orientation in the Exif of that length that begins here."""
        block = self.file.read(int(min(length, self.max_exif)))
        return exif.orientation(block.removeprefix(b"Exif\0\0"))


def _jpeg(header: _File) -> Header:
    orientation = 1
    file = header.file
    file.seek(2)
    for _ in range(_MOST_SEGMENTS):
        marker = _marker(header)
        if marker in _JPEG_BARE:
            continue
        if marker in (0xD9, 0xDA):
            raise EOFError
        (length,) = struct.unpack(">H", header.read(2))
        if length < 2:
            raise EOFError
        if marker in _JPEG_FRAMES:
            _, height, width = struct.unpack(">BHH", header.read(5))
            return Header("JPEG", width, height, orientation, file.tell())
        end = file.tell() + length - 2
        if marker == 0xE1 and length >= 8 and file.read(6) == b"Exif\0\0":
            orientation = header.orientation(length - 8)
        file.seek(end)
    raise EOFError


def _marker(header: _File) -> int:
    """The next marker: behind fill bytes, and behind junk, which decoders pass over as well."""
    pair = header.read(2)
    for _ in range(_MOST_JUNK):
        byte, after = pair
        if byte == 0xFF and after not in (0xFF, 0):
            return after
        pair = pair[1:] + header.read(1)
    raise EOFError


def _png(header: _File) -> Header:
    width, height = struct.unpack_from(">II", header.start, 16)
    orientation, pixels_at = 1, 0
    file = header.file
    file.seek(8)
    for _ in range(_MOST_CHUNKS):
        if len(head := file.read(8)) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if kind == b"IDAT" and not pixels_at:
            pixels_at = file.tell()
        if kind == b"eXIf":  # before the pixels or behind them
            orientation = header.orientation(length)
            break
        file.seek(length + 4, 1)
    return Header("PNG", width, height, orientation, pixels_at)


def _gif(header: _File) -> Header:
    width, height = struct.unpack_from("<HH", header.start, 6)
    return Header("GIF", width, height)


def _bmp(header: _File) -> Header:
    (size,) = struct.unpack_from("<I", header.start, 14)
    if size == 12:  # the OS/2 header has 16-bit sizes
        width, height = struct.unpack_from("<HH", header.start, 18)
        return Header("BMP", width, height)
    width, height = struct.unpack_from("<ii", header.start, 18)
    return Header("BMP", width, abs(height))  # negative: rows from top to bottom


def _webp(header: _File) -> Header:
    file, start = header.file, header.start
    kind = start[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", start, 26)
        return Header("WebP", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", start, 21)
        return Header("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X" or len(start) < 30:
        raise EOFError
    width = int.from_bytes(start[24:27], "little") + 1
    height = int.from_bytes(start[27:30], "little") + 1
    orientation = 1
    if start[20] & 0x08:  # there is an EXIF chunk, behind the picture
        file.seek(12)
        for _ in range(_MOST_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                break
            name, length = struct.unpack("<4sI", chunk)
            if name == b"EXIF":
                orientation = header.orientation(length)
                break
            file.seek(length + (length & 1), 1)
    return Header("WebP", width, height, orientation)


def _tiff(header: _File) -> Header:
    tags = exif.first_directory(header.file, header.start)
    if not {exif.WIDTH, exif.HEIGHT} <= tags.keys():
        raise EOFError
    orientation = exif.valid_orientation(tags.get(exif.ORIENTATION, 1))
    return Header("TIFF", tags[exif.WIDTH], tags[exif.HEIGHT], orientation)


def _rare(
    name: str, reader: Callable[[BinaryIO], rare_headers.Found | None], header: _File
) -> Header | None:
    found = reader(header.file)
    return None if found is None else Header(name, *found)


_Reader = Callable[[_File], Header | None]

_jpeg_2000 = partial(_rare, "JPEG 2000", rare_headers.jpeg_2000)
_avif = partial(_rare, "AVIF", rare_headers.avif)
_netpbm = partial(_rare, "PNM", rare_headers.netpbm)
_pfm = partial(_rare, "PFM", rare_headers.netpbm)
_hdr = partial(_rare, "HDR", rare_headers.radiance)

_READERS: tuple[tuple[bytes, int, _Reader], ...] = (
    (b"\xff\xd8\xff", 0, _jpeg),
    (b"\x89PNG\r\n\x1a\n", 0, _png),
    (b"GIF8", 0, _gif),
    (b"BM", 0, _bmp),
    (b"WEBP", 8, _webp),
    (b"II*\0", 0, _tiff),
    (b"MM\0*", 0, _tiff),
    (b"II+\0", 0, _tiff),
    (b"MM\0+", 0, _tiff),
    (b"ftypavif", 4, _avif),
    (b"ftypavis", 4, _avif),
    (b"\0\0\0\x0cjP  \r\n\x87\n", 0, _jpeg_2000),
    (b"\xff\x4f\xff\x51", 0, _jpeg_2000),
    *((b"P" + digit, 0, _netpbm) for digit in (b"1", b"2", b"3", b"4", b"5", b"6")),
    (b"P7", 0, partial(_rare, "PAM", rare_headers.pam)),
    (b"PF", 0, _pfm),
    (b"Pf", 0, _pfm),
    (b"#?RADIANCE", 0, _hdr),
    (b"#?RGBE", 0, _hdr),
    (b"\x59\xa6\x6a\x95", 0, partial(_rare, "Sun raster", rare_headers.sun_raster)),
)

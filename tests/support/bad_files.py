"""Image files of every format and kind, and what accidents and strangers make of them.

All is made here, the same for the same seed.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import cv2
import numpy as np
import PIL.features
import PIL.Image
import tifffile
from numpy.typing import NDArray
from sample_files import PICTURE, encode, exif, jpeg_with_exif

SMALL = np.ascontiguousarray(PICTURE[:90, :120])
RGB = SMALL[..., ::-1]


def _opencv(suffix: str, pixels: NDArray[Any] = SMALL, *parameters: int) -> bytes:
    ok, data = cv2.imencode(suffix, pixels, parameters)
    assert ok
    return data.tobytes()


def _pillow(kind: str, mode: str = "RGB", frames: int = 1, **options: Any) -> bytes:
    first = PIL.Image.fromarray(RGB).convert(mode)
    if frames > 1:
        more = [first.rotate(10 * number) for number in range(1, frames)]
        options |= {"save_all": True, "append_images": more}
    file = io.BytesIO()
    first.save(file, kind, **options)
    return file.getvalue()


def _tiff(pixels: NDArray[Any] = RGB, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb" if pixels.ndim == 3 else None, **options)
    return file.getvalue()


_LIGHT = (SMALL / 255).astype(np.float32)

_KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg.jpg": lambda: _opencv(".jpg"),
    "progressive.jpg": lambda: _opencv(".jpg", SMALL, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts.jpg": lambda: _opencv(".jpg", SMALL, cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "turned.jpg": lambda: jpeg_with_exif(exif(6)),
    "grey.jpg": lambda: _opencv(".jpg", SMALL[..., 0]),
    "cmyk.jpg": lambda: _pillow("JPEG", "CMYK"),
    "png.png": lambda: _opencv(".png"),
    "alpha.png": lambda: _pillow("PNG", "RGBA"),
    "palette.png": lambda: _pillow("PNG", "P"),
    "bit.png": lambda: _pillow("PNG", "1"),
    "16-bit.png": lambda: _opencv(".png", SMALL.astype(np.uint16) * 257),
    "animated.png": lambda: _pillow("PNG", frames=3),
    "lossy.webp": lambda: _opencv(".webp", SMALL, cv2.IMWRITE_WEBP_QUALITY, 60),
    "lossless.webp": lambda: _opencv(".webp"),
    "animated.webp": lambda: _pillow("WEBP", frames=3),
    "gif.gif": lambda: _opencv(".gif"),
    "animated.gif": lambda: _pillow("GIF", frames=3),
    "bmp.bmp": lambda: _opencv(".bmp"),
    "palette.bmp": lambda: _pillow("BMP", "P"),
    "lzw.tiff": lambda: _opencv(".tiff"),
    "raw.tiff": lambda: _pillow("TIFF"),
    "deflated.tiff": lambda: _pillow("TIFF", compression="tiff_adobe_deflate"),
    "jpeg.tiff": lambda: _pillow("TIFF", compression="jpeg"),
    "cmyk.tiff": lambda: _pillow("TIFF", "CMYK"),
    "pages.tiff": lambda: _pillow("TIFF", frames=3),
    "tiles.tiff": lambda: _tiff(tile=(32, 32)),
    "big.tiff": lambda: _tiff(bigtiff=True),
    "16-bit.tiff": lambda: _tiff(RGB.astype(np.uint16) * 257),
    "float.tiff": lambda: _tiff((RGB / 255).astype(np.float32)),
    "jpeg-2000.jp2": lambda: _opencv(".jp2"),
    "ppm.ppm": lambda: _opencv(".ppm"),
    "pgm.pgm": lambda: _opencv(".pgm", SMALL[..., 0]),
    "pbm.pbm": lambda: _opencv(".pbm", SMALL[..., 0]),
    "pam.pam": lambda: _opencv(".pam"),
    "sun.ras": lambda: _opencv(".ras"),
    "radiance.hdr": lambda: _opencv(".hdr", _LIGHT),
    "float.pfm": lambda: _opencv(".pfm", _LIGHT),
    "1x1.png": lambda: _opencv(".png", SMALL[:1, :1]),
    "1x20000.png": lambda: _opencv(".png", np.zeros((20_000, 1, 3), np.uint8)),
    "20000x1.jpg": lambda: _opencv(".jpg", np.zeros((1, 20_000, 3), np.uint8)),
}
if PIL.features.check("avif"):
    _KINDS["avif.avif"] = lambda: _pillow("AVIF")
    _KINDS["animated.avif"] = lambda: _pillow("AVIF", frames=3)


@cache
def valid_files() -> dict[str, bytes]:
    """Return a whole file of every kind, by name."""
    return {name: make() for name, make in _KINDS.items()}


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _cut_head(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(min(200, len(data)))]


def _cut_tail(data: bytes, rng: random.Random) -> bytes:
    return data[: -rng.randint(1, min(64, len(data) - 1))]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    return _edited(data, rng, len(data))


def _flipped_head(data: bytes, rng: random.Random) -> bytes:
    return _edited(data, rng, min(300, len(data)))


def _edited(data: bytes, rng: random.Random, end: int) -> bytes:
    edited = bytearray(data)
    for _ in range(rng.choice((1, 2, 5, 20))):
        edited[rng.randrange(end)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(edited)


def _zeroed(data: bytes, rng: random.Random) -> bytes:
    """As a disk leaves it that has lost a block."""
    start = rng.randrange(len(data))
    length = rng.randint(1, max(1, len(data) // 3))
    return (data[:start] + bytes(length) + data[start + length :])[: len(data)]


def _without_a_piece(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 64) :]


def _with_a_piece_more(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + rng.randbytes(rng.randint(1, 64)) + data[start:]


def _spliced(data: bytes, rng: random.Random) -> bytes:
    other = rng.choice(list(valid_files().values()))
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _numbers_beyond(data: bytes, rng: random.Random) -> bytes:
    """Sizes, counts and offsets that promise everything."""
    edited = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(max(1, min(400, len(data) - 4)))
        edited[at : at + 4] = rng.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\1\x86\xa0"))
    return bytes(edited)


MUTATIONS = (
    _cut, _cut_head, _cut_tail, _flipped, _flipped_head, _zeroed, _without_a_piece,
    _with_a_piece_more, _spliced, _numbers_beyond,
)  # fmt: skip


def mutants(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield damaged files with names of their own: every kind of file, damaged in every way."""
    rng = random.Random(seed)
    files = list(valid_files().items())
    for number in range(count):
        name, data = files[number % len(files)]
        mutate = MUTATIONS[number // len(files) % len(MUTATIONS)]
        if rng.random() < 0.1:
            name = rng.choice(files)[0]  # a suffix that is wrong
        yield f"{number:05}{mutate.__name__}-{name}", mutate(data, rng)


HUGE = 100_000


def claiming(width: int = HUGE, height: int = HUGE) -> dict[str, bytes]:
    """Return files whose headers say that they are very large, by name; there is little behind."""
    big, little = struct.pack(">II", width, height), struct.pack("<II", width, height)
    short = struct.pack(">HH", min(height, 65_500), min(width, 65_500))
    files = valid_files()

    def patched(name: str, place: bytes, behind: int, claim: bytes) -> bytes:
        data = files[name]
        at = data.index(place) + behind
        return data[:at] + claim + data[at + len(claim) :]

    tall = struct.pack("<HHI", 257, 4, 1) + struct.pack("<I", height)
    claims = {
        "claims.jpg": patched("jpeg.jpg", b"\xff\xc0", 5, short),
        "claims.png": patched("png.png", b"IHDR", 4, big),
        "claims.bmp": patched("bmp.bmp", b"BM", 18, little),
        "claims.jp2": patched("jpeg-2000.jp2", b"\xff\x4f\xff\x51", 8, big),
        "claims.ras": patched("sun.ras", b"\x59\xa6\x6a\x95", 4, big),
        "claims.ppm": b"P6\n%d %d\n255\n" % (width, height) + bytes(1000),
        "claims.pfm": b"PF\n%d %d\n-1.0\n" % (width, height) + bytes(1000),
        "claims.pam": b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
        % (width, height) + bytes(1000),
        "claims.hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width)
        + bytes(1000),
        "claims.gif": patched("gif.gif", b"GIF8", 6, b"\xff\xff\xff\xff"),
        "claims.tiff": struct.pack("<2sHIH", b"II", 42, 8, 2)
        + struct.pack("<HHII", 256, 4, 1, width) + tall + bytes(4),
    }  # fmt: skip
    if "avif.avif" in files:
        claims["claims.avif"] = patched("avif.avif", b"ispe", 8, big)
    return claims


def absurd_exif() -> dict[str, bytes]:
    """Return blocks of Exif that no camera has written, by what is wrong with them."""
    head, orientation = b"II*\0", struct.pack("<HHI", 0x0112, 3, 1)
    one = struct.pack("<I", 8) + struct.pack("<H", 1)
    return {
        "empty": b"",
        "order of nobody": b"XX*\0\x08\0\0\0",
        "orientation 9": exif(9),
        "orientation 0": exif(0),
        "orientation as text": head + one + struct.pack("<HHI4s", 0x0112, 2, 9, b"left") + bytes(4),
        "orientation as rational by zero": head + one + struct.pack("<HHII", 0x0112, 5, 1, 26)
        + bytes(4) + struct.pack("<II", 6, 0),
        "orientations without end": head + one + struct.pack("<HHII", 0x0112, 3, 0xFFFFFFFF, 6),
        "more tags than there are": head + struct.pack("<IH", 8, 0xFFFF) + orientation,
        "a directory that follows itself": head + one + orientation + struct.pack("<II", 1, 8),
        "a directory beyond the end": head + struct.pack("<I", 0xFFFFFFF0),
        "a directory in its own head": head + struct.pack("<I", 0),
        "tags within tags within tags": head + one
        + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8),
        "sixty thousand tags": head + struct.pack("<IH", 8, 5400) + 5400 * (orientation + bytes(4)),
        "noise": random.Random(1).randbytes(60_000),
        "code": b"II*\0__import__('os').abort()",
    }  # fmt: skip


__all__ = ["MUTATIONS", "absurd_exif", "claiming", "encode", "mutants", "valid_files"]

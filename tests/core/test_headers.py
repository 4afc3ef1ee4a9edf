"""Reading image headers."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_files import encode, exif, jpeg_with_exif

from qualipy_core.headers import DamagedHeaderError, is_complete, read_header
from qualipy_core.opencv import cv2

SUFFIXES = [".jpg", ".png", ".gif", ".bmp", ".webp", ".tiff", ".avif", ".jp2", ".ppm"]
SUFFIXES += [".pam", ".ras"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_size_stands_in_the_header_of_every_known_format(suffix):
    header = read_header(io.BytesIO(encode(suffix)))
    assert header is not None
    assert (header.width, header.height) == (211, 150)
    assert header.upright_size == (211, 150)


def test_both_kinds_of_webp_are_read():
    for quality in (50, 101):  # lossy, lossless
        header = read_header(io.BytesIO(encode(".webp", cv2.IMWRITE_WEBP_QUALITY, quality)))
        assert header is not None
        assert header[:3] == ("WebP", 211, 150)


def test_a_progressive_jpeg_is_read():
    header = read_header(io.BytesIO(encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)))
    assert header is not None
    assert header.upright_size == (211, 150)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_jpeg_is_read_in_both_byte_orders(orientation, order):
    header = read_header(io.BytesIO(jpeg_with_exif(exif(orientation, order))))
    assert header is not None
    assert header.orientation == orientation
    assert header.upright_size == ((150, 211) if orientation >= 5 else (211, 150))


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"XX*\0\x08\0\0\0",
        exif(9),
        exif(0),
        exif(6)[:20],
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        exif(6).replace(struct.pack("<HHI", 0x0112, 3, 1), struct.pack("<HHI", 0x0112, 2, 9)),
    ],
)
def test_absurd_exif_means_upright(block):
    header = read_header(io.BytesIO(jpeg_with_exif(block)))
    assert header is not None
    assert header.orientation == 1


def test_the_orientation_of_a_png_is_read():
    data = encode(".png")
    block = exif(6)
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + bytes(4)
    header = read_header(io.BytesIO(data[:33] + chunk + data[33:]))
    assert header is not None
    assert header.orientation == 6


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"hello, world", b"RIFF", b"P", b"%PDF-1.7"])
def test_what_is_no_image_has_no_header(data):
    assert read_header(io.BytesIO(data)) is None


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"P6 x", b"P7", b"#?RADIANCE\n", b"PF\n1"]
)
def test_a_header_that_makes_no_sense_is_told_from_what_is_no_image(data):
    with pytest.raises(DamagedHeaderError):
        read_header(io.BytesIO(data))


@given(
    suffix=st.sampled_from(SUFFIXES),
    edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=12),
    length=st.integers(0, 400),
)
def test_a_damaged_header_raises_nothing(suffix, edits, length):
    data = bytearray(encode(suffix)[:length])
    for position, value in edits:
        if position < len(data):
            data[position] = value
    try:
        header = read_header(io.BytesIO(bytes(data)))
    except DamagedHeaderError:
        return
    if header is not None:
        assert header.width > 0
        assert header.height > 0
        is_complete(header, bytes(data))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_whole_file_is_complete_and_a_truncated_one_is_not(suffix):
    data = encode(suffix)
    header = read_header(io.BytesIO(data))
    assert header is not None
    assert is_complete(header, data)
    assert is_complete(header, data + b"what a camera appends")
    for part in (0.5, 0.9, 0.99):
        assert not is_complete(header, data[: int(len(data) * part)])


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_photo():
    thumbnail = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    data = jpeg_with_exif(exif(1) + thumbnail)
    header = read_header(io.BytesIO(data))
    assert header is not None
    assert is_complete(header, data)
    assert not is_complete(header, data[:-200])

"""Image files for tests, made in memory."""

from __future__ import annotations

import struct

from qualipy_core.opencv import cv2
from qualipy_core.testing import sample_images

PICTURE = sample_images()["natural"][:150, :211]


def encode(suffix: str, *parameters: int) -> bytes:
    """Return `PICTURE` in the format of a suffix."""
    ok, data = cv2.imencode(suffix, PICTURE, parameters)
    assert ok
    return data.tobytes()


def exif(orientation: int, order: str = "<") -> bytes:
    """Return a minimal Exif block, without the ``Exif`` prefix of JPEG."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "H", 1) + entry + bytes(4)


def jpeg_with_exif(block: bytes) -> bytes:
    """Return a JPEG whose Exif segment holds a block."""
    data = encode(".jpg")
    payload = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]

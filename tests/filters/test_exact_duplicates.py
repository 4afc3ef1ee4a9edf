from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image, scan
from qualipy_core.opencv import cv2
from qualipy_core.testing import SetFilterContract
from qualipy_filters_builtin.exact_duplicates import ExactDuplicates


class TestExactDuplicatesKeepsTheContract(SetFilterContract):
    filter_class = ExactDuplicates

    def sets(self):
        photo = data.coffee()
        return [([photo, photo[:, ::-1], photo.copy(), photo + 1], [False, False, True, False])]


def encoded(pixels, kind, *options):
    ok, file = cv2.imencode(kind, pixels[..., ::-1], options)
    assert ok
    return file.tobytes()


def with_exif(jpeg, orientation=1, note=b""):
    """A JPEG with Exif in front: an orientation, and some bytes more."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0MM\0\x2a\0\0\0\x08" + struct.pack(">H", 1) + entry + b"\0" * 4 + note
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def with_text(png, text):
    """A PNG with a comment after its header."""
    body = b"tEXtComment\0" + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def digest(source):
    return tuple(ExactDuplicates().fingerprint(Image(source)).tolist())


@pytest.mark.parametrize("by", [1, 3])
def test_metadata_take_no_part(by):
    photo = cv2.resize(data.astronaut(), None, fx=by, fy=by)
    jpeg = encoded(photo, ".jpg")
    assert digest(with_exif(jpeg, note=b"somebody")) == digest(jpeg)
    png = encoded(photo, ".png")
    assert digest(with_text(png, b"edited")) == digest(png)


@pytest.mark.parametrize("by", [1, 3])
def test_the_container_takes_no_part(by):
    photo = cv2.resize(data.chelsea(), None, fx=by, fy=by)
    files = [
        encoded(photo, ".png", cv2.IMWRITE_PNG_COMPRESSION, 0),
        encoded(photo, ".png", cv2.IMWRITE_PNG_COMPRESSION, 9),
        encoded(photo, ".bmp"),
        photo,
    ]
    assert len({digest(file) for file in files}) == 1


def test_a_small_jpeg_is_the_same_as_a_png_of_its_pixels():
    jpeg = encoded(data.coffee(), ".jpg")
    assert digest(encoded(Image(jpeg).pixels(None), ".png")) == digest(jpeg)


def test_photos_are_compared_upright():
    photo = data.coffee()
    jpeg = encoded(photo, ".jpg")
    shown = Image(with_exif(jpeg, orientation=6)).pixels(None)
    assert digest(encoded(shown, ".png")) == digest(with_exif(jpeg, orientation=6))
    assert digest(with_exif(jpeg, orientation=6)) != digest(jpeg)


def test_one_level_of_one_pixel_makes_a_difference():
    photo = data.rocket()
    for place in ((0, 0, 0), (-1, -1, 2), (200, 300, 1)):
        other = photo.copy()
        other[place] ^= 1
        assert digest(other) != digest(photo)


@pytest.mark.parametrize("other", [(8, 4), (16, 2), (4, 9)])
def test_flat_pictures_of_other_sizes_are_others(other):
    assert digest(np.zeros((4, 8, 3), np.uint8)) != digest(np.zeros((*other, 3), np.uint8))


def test_equal_working_images_of_other_full_sizes_are_others():
    flat = np.full((1500, 2000, 3), 99, np.uint8)
    assert digest(flat) != digest(cv2.resize(flat, (2002, 1500)))


def test_the_first_by_name_is_kept(tmp_path):
    png = encoded(data.coffee(), ".png")
    for name in ("c", "a", "b"):
        (tmp_path / f"{name}.png").write_bytes(png)
    (tmp_path / "other.png").write_bytes(encoded(data.chelsea(), ".png"))
    names = [str(tmp_path / f"{name}.png") for name in ("c", "other", "b", "a")]
    results = {r.image: r for r in scan(names, [ExactDuplicates()])}
    assert {n for n, r in results.items() if not r.suitable} == {names[0], names[2]}
    companions = (names[3], names[2], names[0])
    assert results[names[2]].companions["exact_duplicates"] == companions
    assert "exact_duplicates" not in results[names[1]].companions


def test_a_hundred_thousand_equal_photos_are_one_group():
    prints = np.zeros((100_000, 2), np.uint64)
    compared = ExactDuplicates().compare(prints)
    assert compared.predictions.sum() == 99_999
    assert [len(group) for group in compared.groups] == [100_000]

"""Opening pictures."""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_files import encode, exif, jpeg_with_exif
from sample_filters import Brightness, mean_luma, write_image

from qualipy_core import Image, derived, gray, scan
from qualipy_core.errors import (
    ImageReadError,
    ImageTooLargeError,
    ImageTypeError,
    ROITypeError,
    ROIValueError,
)
from qualipy_core.opencv import cv2
from qualipy_core.pixels import shrink
from qualipy_core.testing import sample_images

NATURAL = sample_images()["natural"]


@pytest.fixture
def large_jpeg(tmp_path):
    """A JPEG of 4000 × 3000 pixels."""
    pixels = cv2.resize(NATURAL, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    return write_image(tmp_path / "large.jpg", pixels)


@pytest.fixture
def count_decodes(monkeypatch):
    """The flags of every call of OpenCV's decoder."""
    calls = []
    decode = cv2.imdecode

    def counting(buffer, flags):
        calls.append(flags)
        return decode(buffer, flags)

    monkeypatch.setattr(cv2, "imdecode", counting)
    return calls


def test_a_path_bytes_and_an_array_are_the_same_picture(tmp_path):
    path = write_image(tmp_path / "a.png", NATURAL)
    for source in (path, Path(path), Path(path).read_bytes(), NATURAL, Image(path)):
        image = Image.open(source)
        assert image.size == (320, 240)
        assert np.array_equal(image.pixels(), NATURAL)


def test_nothing_is_read_before_it_is_needed():
    assert Image("there is no such file.jpg").name == "there is no such file.jpg"


def test_the_size_costs_no_decode(large_jpeg, count_decodes):
    assert Image(large_jpeg).size == (4000, 3000)
    assert count_decodes == []


def test_all_working_sizes_cost_one_reduced_decode(large_jpeg, count_decodes):
    image = Image(large_jpeg)
    for side in (1024, 640, 100, 512, 1000):
        assert max(image.pixels(side).shape) <= side
    gray(image)
    gray(image, 256)
    assert len(count_decodes) == 1
    assert image.pixels().shape == (375, 500, 3)


def test_a_level_is_the_same_whatever_was_asked_for_before(large_jpeg):
    for side in (480, 256, 160, 64):
        alone = Image(large_jpeg).pixels(side)
        late = Image(large_jpeg)
        for other in (512, 64, 300, 128):
            late.pixels(other)
        assert np.array_equal(late.pixels(side), alone)
        assert max(alone.shape) == side


def test_half_a_level_is_the_means_of_its_pixels():
    pixels = np.random.default_rng(3).integers(0, 256, (300, 512, 3), dtype=np.uint8)
    means = pixels.reshape(150, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(Image(pixels).pixels(256) - means).max() <= 0.5


def test_full_resolution_costs_one_more_decode_and_only_when_asked_for(large_jpeg, count_decodes):
    image = Image(large_jpeg)
    image.pixels()
    for _ in range(3):
        assert image.pixels(None).shape == (3000, 4000, 3)
        assert image.pixels(2000).shape == (1500, 2000, 3)
    assert len(count_decodes) == 2


def test_what_a_filter_sees_does_not_depend_on_who_asked_before(large_jpeg):
    sides = (1024, 300, None, 2000)
    alone = {side: Image(large_jpeg).pixels(side) for side in sides}
    for order in (sides, sides[::-1]):
        shared = Image(large_jpeg)
        for side in order:
            assert np.array_equal(shared.pixels(side), alone[side])


def test_a_small_picture_is_never_enlarged():
    assert Image(NATURAL).pixels(5000).shape == NATURAL.shape


def test_pixels_are_read_only_and_shared():
    image = Image(NATURAL)
    assert image.pixels() is image.pixels()
    assert image.pixels(100) is image.pixels(100)
    for array in (image.pixels(), image.pixels(100), gray(image)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_callers_array_stays_theirs():
    mine = NATURAL.copy()
    image = Image(mine)
    mine[:] = 0
    assert image.pixels().any()
    assert mine.flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_shown_upright(tmp_path, orientation):
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg_with_exif(exif(orientation)))
    image = Image(path)
    height, width = image.pixels().shape[:2]
    assert image.size == (width, height) == ((150, 211) if orientation >= 5 else (211, 150))


def test_an_orientation_turns_the_pixels():
    plain = Image(jpeg_with_exif(exif(1))).pixels()
    turned = Image(jpeg_with_exif(exif(6))).pixels()
    assert np.array_equal(turned, np.rot90(plain, -1))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp", ".webp", ".tiff", ".ppm"])
def test_every_common_format_is_read(tmp_path, suffix):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = (250, 20, 20)
    image = Image(write_image(tmp_path / f"picture{suffix}", pixels))
    assert image.size == (60, 40)
    left, right = image.pixels()[20, 10], image.pixels()[20, 50]
    assert left.max() < 30
    assert right[0] > 200
    assert right[1] < 60


def test_grey_16_bit_alpha_and_palette_files_are_read(tmp_path):
    path = str(tmp_path / "picture.png")
    cv2.imwrite(path, np.full((4, 4), 100, np.uint8))
    assert Image(path).pixels()[0, 0].tolist() == [100] * 3
    cv2.imwrite(path, np.full((4, 4, 3), 100 * 257, np.uint16))
    assert Image(path).pixels()[0, 0].tolist() == [100] * 3
    cv2.imwrite(path, np.zeros((4, 4, 4), np.uint8))
    assert Image(path).pixels()[0, 0].tolist() == [255] * 3


def test_names_that_are_hard_for_others_are_opened(tmp_path):
    for name in ("with space.png", "größe-写真-📷.png", "new\nline.png"):
        path = str(tmp_path / "plain.png")
        write_image(path, NATURAL)
        os.rename(path, tmp_path / name)
        assert Image(tmp_path / name).pixels().shape == NATURAL.shape


def test_bytes_that_are_no_utf8_in_a_name_are_no_obstacle(tmp_path):
    plain = os.fsencode(write_image(tmp_path / "plain.png", NATURAL))
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    os.rename(plain, odd)
    assert Image(os.fsdecode(odd)).size == (320, 240)


@pytest.fixture
def hopeless(tmp_path):
    """Paths of what cannot be read, by what it is."""
    whole = Path(write_image(tmp_path / "whole.jpg", NATURAL)).read_bytes()
    contents = {
        "empty": b"",
        "text": b"I am no photo.\n" * 50,
        "truncated": whole[: len(whole) // 2],
        "header only": whole[:200],
        "garbage": whole[:300] + bytes(500),
    }
    paths = {}
    for what, content in contents.items():
        paths[what] = tmp_path / f"{what}.jpg"
        paths[what].write_bytes(content)
    paths["missing"] = tmp_path / "missing.jpg"
    paths["folder"] = tmp_path / "folder.jpg"
    paths["folder"].mkdir()
    paths["dangling link"] = tmp_path / "link.jpg"
    paths["dangling link"].symlink_to(tmp_path / "nowhere.jpg")
    paths["fifo"] = tmp_path / "fifo.jpg"
    os.mkfifo(paths["fifo"])
    paths["null byte"] = Path("a\0b.jpg")
    return paths


HOPELESS = ["empty", "text", "truncated", "header only", "garbage", "missing", "folder",
            "dangling link", "fifo", "null byte"]  # fmt: skip


@pytest.mark.parametrize("what", HOPELESS)
def test_what_cannot_be_read_is_an_os_error_that_names_it(hopeless, what):
    image = Image(hopeless[what])
    with pytest.raises(ImageReadError) as caught:
        image.pixels()
    assert str(hopeless[what]) in str(caught.value)
    assert caught.value.image == str(hopeless[what])
    with pytest.raises(ImageReadError):  # and again, to the next who asks
        image.pixels(100)


def test_a_truncated_photo_is_not_passed_off_as_half_grey(hopeless):
    with pytest.raises(ImageReadError, match="truncated"):
        Image(hopeless["truncated"]).pixels()


def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(
    tmp_path, monkeypatch, count_decodes
):
    monkeypatch.setenv("QUALIPY_MAX_PIXELS", "1000")
    path = write_image(tmp_path / "a.png", NATURAL)
    with pytest.raises(ImageTooLargeError, match="limit"):
        Image(path).pixels()
    assert count_decodes == []


@pytest.mark.parametrize("source", [None, 5, 1.5, object(), {"a": 1}, ["a.jpg"]])
def test_what_is_no_image_is_a_type_error(source):
    with pytest.raises(ImageTypeError, match="An image is a path"):
        Image(source)


def test_an_array_that_is_no_picture_is_a_type_error():
    with pytest.raises(ImageTypeError, match="shape"):
        Image(np.zeros((3, 4, 5, 6)))


def test_a_roi_is_a_picture_of_its_own():
    image = Image(NATURAL, ROI=(10, 20, 100, 50))
    assert image.size == (100, 50)
    assert np.array_equal(image.pixels(), NATURAL[20:70, 10:110])
    inner = image.crop((5, 5, 10, 10))
    assert np.array_equal(inner.pixels(), NATURAL[25:35, 15:25])
    assert inner.ROI == (15, 25, 10, 10)


@pytest.mark.parametrize(
    ("roi", "error"),
    [((0, 0, 321, 240), ROIValueError), ((0, 0, 0, 9), ROIValueError), ("abcd", ROITypeError)],
)
def test_a_bad_roi_is_told_at_once(roi, error):
    with pytest.raises(error):
        Image(NATURAL, ROI=roi)
    with pytest.raises(error):
        Image(NATURAL).crop(roi)


def test_crops_of_one_picture_share_its_decode(large_jpeg, count_decodes):
    image = Image(large_jpeg)
    for x in (0, 500, 1000):
        image.crop((x, 0, 900, 900)).pixels()
    assert len(count_decodes) == 1


def test_a_small_region_of_a_large_photo_is_seen_at_full_resolution(large_jpeg):
    full = Image(large_jpeg).pixels(None)
    region = Image(large_jpeg, ROI=(1001, 777, 300, 200)).pixels()
    assert np.array_equal(region, full[777:977, 1001:1301])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3900), st.integers(0, 2900), st.data())
def test_any_region_has_the_shape_of_its_roi(x, y, data):
    width = data.draw(st.integers(1, 4000 - x))
    height = data.draw(st.integers(1, 3000 - y))
    image = _LARGE.crop((x, y, width, height))
    shown = image.pixels()
    assert image.size == (width, height)
    assert 1 <= max(shown.shape[:2]) <= 1024
    scale = max(shown.shape[:2]) / max(width, height)
    assert shown.shape[1] == pytest.approx(width * scale, abs=4)
    assert shown.shape[0] == pytest.approx(height * scale, abs=4)


_LARGE = Image(
    cv2.imencode(".jpg", cv2.resize(NATURAL, (4000, 3000), interpolation=cv2.INTER_LINEAR))[
        1
    ].tobytes()
)


def test_derived_data_is_computed_once_per_image_and_argument():
    calls = []

    @derived
    def size_of(image: Image, factor: int = 1) -> int:
        calls.append(factor)
        return image.width * factor

    image = Image(NATURAL)
    assert [size_of(image), size_of(image), size_of(image, 2), size_of(image, factor=2)] == [
        320, 320, 640, 640,
    ]  # fmt: skip
    assert calls.count(1) == 1
    size_of(Image(NATURAL))
    assert calls.count(1) == 2


def test_derived_data_of_a_crop_is_its_own():
    image = Image(NATURAL)
    assert mean_luma(image) != mean_luma(image.crop((0, 0, 20, 20)))


def test_a_derived_error_is_not_kept_as_a_value():
    @derived
    def fails(image: Image) -> int:
        raise KeyError("not a cache miss")

    image = Image(NATURAL)
    for _ in range(2):
        with pytest.raises(KeyError, match="not a cache miss"):
            fails(image)


def test_luma_is_that_of_bt_601():
    image = Image(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    assert gray(image)[0].tolist() == [76, 150, 29]


def test_an_image_crosses_to_another_process_as_its_source(tmp_path):
    path = write_image(tmp_path / "a.png", NATURAL)
    for image in (Image(path), Image(NATURAL), Image(path, ROI=(1, 2, 30, 40))):
        image.pixels()
        other = pickle.loads(pickle.dumps(image))
        assert other.name == image.name
        assert other.ROI == image.ROI
        assert np.array_equal(other.pixels(), image.pixels())


def test_an_image_says_what_it_is():
    assert repr(Image("a.jpg")) == "Image('a.jpg')"
    assert repr(Image(NATURAL, ROI=(1, 2, 3, 4))) == "Image('<array 240×320×3>', ROI=(1, 2, 3, 4))"


@pytest.mark.parametrize("sides", [(1024, 256, 512, 100), (100, 512, 256, 1024)])
def test_levels_that_share_halvings_are_what_shrinking_gives(sides):
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (1501, 1999, 3), dtype=np.uint8)
    image, working = Image(picture), shrink(picture, 1024)
    for side in sides:
        assert np.array_equal(image.pixels(side), shrink(working, side))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".tiff", ".png", ".webp"])
def test_every_format_with_an_orientation_is_turned_once(tmp_path, suffix, orientation):
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[:20, :32] = (255, 0, 0)
    path = tmp_path / f"turned{suffix}"
    tags = PIL.Image.Exif()
    tags[0x0112] = orientation
    PIL.Image.fromarray(pixels).save(path, exif=tags)
    image = Image(path)
    shown = image.pixels()
    assert image.size == shown.shape[1::-1] == ((40, 64) if orientation >= 5 else (64, 40))
    red = image.crop(_corner(orientation, image.size)).pixels().reshape(-1, 3).mean(axis=0)
    assert red[0] > 200
    assert red[1] < 60


def _corner(orientation, size):
    """The region into which the stored picture's top left quarter goes."""
    width, height = size[0] // 2, size[1] // 2
    right = orientation in (2, 3, 6, 7)
    bottom = orientation in (3, 4, 7, 8)
    return (width * right + 4, height * bottom + 4, width - 8, height - 8)


def test_the_orientation_of_a_png_may_stand_behind_its_pixels():
    data = encode(".png")
    block = exif(6)
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    assert Image(data[:-12] + chunk + data[-12:]).size == (150, 211)


def test_a_chunk_that_claims_gigabytes_is_not_believed():
    data = bytearray(encode(".png"))
    at = data.index(b"IDAT")
    data[at - 4 : at] = b"\xff\xff\xff\xf0"
    with pytest.raises(ImageReadError, match="truncated"):
        Image(bytes(data)).pixels()


def test_pixels_that_cannot_be_used_are_the_images_fault(tmp_path):
    path = tmp_path / "signed.tiff"
    tifffile.imwrite(path, np.full((20, 30, 3), 3000, np.int16), bigtiff=True, photometric="rgb")
    with pytest.raises(ImageReadError, match="cannot be used"):
        Image(path).pixels()
    (result,) = scan(path, [Brightness()], (0, 0, 5, 5))
    assert isinstance(result.error, ImageReadError)


def test_a_file_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("QUALIPY_MAX_BYTES", "1000")
    with pytest.raises(ImageTooLargeError, match="larger than"):
        Image(write_image(tmp_path / "a.png", NATURAL)).pixels()


def test_light_beyond_white_is_white_in_formats_made_for_it_and_an_error_elsewhere(tmp_path):
    light = np.full((20, 30, 3), 0.5, np.float32)
    light[:, 15:] = 40.0
    path = str(tmp_path / "light.hdr")
    assert cv2.imwrite(path, light)
    shown = Image(path).pixels()
    assert shown[10, 5].tolist() == pytest.approx([128] * 3, abs=2)
    assert shown[10, 20].tolist() == [255] * 3
    tifffile.imwrite(tmp_path / "float.tiff", light, photometric="rgb")
    with pytest.raises(ImageReadError, match="within 0"):
        Image(tmp_path / "float.tiff").pixels()

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.highlights import Highlights


def degree(pixels):
    return Highlights().predict(pixels, return_boolean=False)


def dimmed(name="astronaut"):
    """A photo without anything blown out."""
    return (getattr(data, name)() * 0.85).astype(np.uint8)


def with_sun(radius, photo=None):
    picture = dimmed() if photo is None else photo.copy()
    height, width = picture.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    disc = (rows - height // 3) ** 2 + (columns - width // 4) ** 2 <= radius**2
    picture[disc] = 255
    return picture


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_a_photo_without_blown_pixels_has_no_highlights(name):
    assert degree(dimmed(name)) == 0


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_a_sun_is_a_highlight(name):
    assert Highlights().predict(with_sun(20, dimmed(name)))


def test_a_larger_sun_has_a_higher_degree():
    degrees = [degree(with_sun(radius)) for radius in (0, 2, 5, 10, 20, 50, 100)]
    assert degrees == sorted(set(degrees))


def test_specks_are_no_contiguous_area():
    picture = dimmed()
    picture[::16, ::16] = 255  # as many white pixels as in a sun that is flagged
    assert picture[::16, ::16].size >= 1000
    assert not Highlights().predict(picture)


def test_a_bright_colour_is_not_blown_out():
    picture = dimmed()
    picture[100:300, 100:300] = (255, 240, 60)
    assert degree(picture) == 0


def test_mirroring_changes_nothing():
    picture = with_sun(15)
    assert degree(picture[:, ::-1]) == pytest.approx(degree(picture), abs=0.02)
    assert degree(picture[::-1]) == pytest.approx(degree(picture), abs=0.02)


def test_compression_and_size_change_little():
    picture = with_sun(25)
    jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    large = cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for other in (jpeg, large, half):
        assert degree(other) == pytest.approx(degree(picture), abs=0.05)


def test_black_has_none_and_white_is_one():
    assert degree(np.zeros((30, 40, 3), np.uint8)) == 0
    assert degree(np.full((30, 40, 3), 255, np.uint8)) > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (64, 48)])
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) <= 1


def test_grey_is_grey_in_any_number_of_channels():
    grey = with_sun(20)[..., 0]
    assert degree(grey) == degree(np.dstack([grey] * 3))
